/**
 * Beside: what a session suffers while another one moves all that the uplink carries, and what
 * memory a reader costs that is slower than what it reads.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { alternate, type Contender } from "./measure.ts";
import * as peers from "./peers.ts";
import type { openReport } from "./report.ts";
import { echoes } from "./ssh.ts";

const mib = 1024 * 1024;
const uplinkBytes = 20_000_000;

const residentMib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_024;

/** Reads all that a command prints, so many bytes a second, and sees how far each process grows. */
async function readSlowly(
  args: readonly string[],
  bytesPerSecond: number,
  pids: readonly number[],
): Promise<number[]> {
  const before = pids.map(residentMib);
  const most = [...before];
  const child = spawn("ssh", args, { stdio: ["ignore", "pipe", "inherit"] });
  const began = performance.now();
  let taken = 0;
  const look = setInterval(() => {
    for (const [n, pid] of pids.entries()) most[n] = Math.max(most[n] ?? 0, residentMib(pid));
  }, 50);
  for await (const chunk of child.stdout) {
    taken += chunk.length;
    const early = (taken / bytesPerSecond) * 1_000 - (performance.now() - began);
    if (early > 5) await new Promise((done) => setTimeout(done, early));
  }
  clearInterval(look);
  return most.map((value, n) => value - (before[n] ?? 0));
}

export async function benchBeside(
  report: ReturnType<typeof openReport>,
  rounds: number,
  isQuick: boolean,
): Promise<void> {
  const relay = await peers.startRelay();
  const pair = peers.makeKeys();
  const { port } = await peers.startGo("uplink", new URL(relay.url).host, String(uplinkBytes));
  const throttled = await peers.startAgent(`http://127.0.0.1:${port}`, pair, relay.url);
  const sshd = await peers.startSshd(pair);
  const go = await peers.startGoStack(pair, sshd.port, uplinkBytes);
  // Ours are compiled as they run, and Go's take twenty times as long.
  const keys = isQuick ? 50 : 4_000;
  const keysOfGo = keys / 10;
  type Session = { ssh: readonly string[] };
  const alone = (name: string, { ssh }: Session, keys: number): Contender => ({
    name,
    run: () => echoes(ssh, keys),
  });
  const beside = (name: string, { ssh }: Session, keys: number): Contender => ({
    name,
    run: async () => {
      // What comes is thrown away by the system, for who measures must not be busy with it.
      const bulk = spawn("ssh", [...ssh, "echo begun >&2; exec cat /dev/zero"], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      await once(bulk.stderr, "data");
      const figures = await echoes(ssh, keys);
      bulk.kill("SIGKILL");
      await once(bulk, "close");
      return figures;
    },
  });
  const goName = "Go stack, beside bulk";
  report.add({
    title: "20 MB/s uplink, keystroke echo beside a bulk transfer",
    results: await alternate(
      [
        beside("beside bulk", throttled, keys),
        alone("echo alone", throttled, keys),
        beside(goName, go, keysOfGo),
        alone("Go stack, alone", go, keysOfGo),
      ],
      rounds,
    ),
    units: { p50: "ms", p99: "ms" },
    goals: [
      { figure: "p50", against: "echo alone", target: "≤ 1.5" },
      { figure: "p50", against: goName, target: "" },
      { figure: "p99", against: goName, target: "" },
    ],
  });

  const agent = await peers.startAgent(relay.url, pair);
  const bytes = (isQuick ? 64 : 1_024) * mib;
  const command = (size: number): string[] => [...agent.ssh, `head -c ${size} /dev/zero`];
  await readSlowly(command(64 * mib), 1_000 * mib, []); // buffers that are kept for the next one
  const grown = await readSlowly(command(bytes), 100 * mib, [agent.pid, relay.pid]);
  for (const [n, name] of ["agent", "relay"].entries())
    report.add({
      title: `1 GiB through a slow reader, ${name}`,
      results: new Map([
        [name, { growth: Math.max(0, grown[n] ?? Number.NaN) }],
        ["bound", { growth: 32 }],
      ]),
      units: { growth: "MiB" },
      goals: [{ figure: "growth", against: "bound", target: "≤ 1" }],
    });
}

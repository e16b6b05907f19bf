/**
 * Ssh: whole sessions with OpenSSH's client, through relay and wsproxy, beside Debian's sshd reached
 * directly and beside a stack in Go that ends at the same sshd.
 */
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { openTerminal } from "../src/io/terminal.ts";
import { alternate, type Contender, cpuSeconds, type Figures, percentile } from "./measure.ts";
import * as peers from "./peers.ts";
import type { openReport } from "./report.ts";
import { forms } from "./startup.ts";

const mib = 1024 * 1024;

/** Runs a client and resolves with seconds; a failure is an error. */
function seconds(
  file: string,
  args: readonly string[],
  input: string | number = "",
): Promise<number> {
  const start = performance.now();
  return new Promise((done, fail) => {
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    child.stdout.resume();
    child.stdin.on("error", () => {});
    if (typeof input === "string") child.stdin.end(input);
    else {
      const chunk = Buffer.alloc(mib);
      let left = input / mib;
      const write = (): void => {
        while (left > 0) {
          left -= 1;
          if (!child.stdin.write(chunk)) return void child.stdin.once("drain", write);
        }
        child.stdin.end();
      };
      write();
    }
    child.once("exit", (status) => {
      if (status === 0) done((performance.now() - start) / 1_000);
      else fail(new Error(`${file} ended with ${status}`));
    });
  });
}

/** Milliseconds from a key to its echo, one key at a time. */
async function echoes(args: readonly string[], keys: number): Promise<Figures> {
  const child = openTerminal({
    file: "/usr/bin/ssh",
    args: ["-tt", ...args, "stty raw -echo; echo ready; cat"],
    cwd: "/",
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm" },
    cols: 80,
    rows: 24,
  });
  let seen: (text: string) => void = () => {};
  child.stdout.on("data", (data: Buffer) => seen(data.toString()));
  const next = (what: string): Promise<void> =>
    new Promise((done) => {
      let text = "";
      seen = (more) => {
        text += more;
        if (text.includes(what)) done();
      };
    });
  await next("ready");
  const times: number[] = [];
  for (let n = 0; n < keys; n += 1) {
    const echoed = next("x");
    const start = performance.now();
    child.stdin.write("x");
    await echoed;
    times.push(performance.now() - start);
  }
  child.abandon();
  return { p50: percentile(times, 50), p99: percentile(times, 99) };
}

/** All about sessions. */
export async function benchSsh(
  report: ReturnType<typeof openReport>,
  rounds: number,
  isQuick: boolean,
): Promise<void> {
  const bytes = (isQuick ? 32 : 512) * mib;
  const relay = await peers.startRelay();
  const pair = peers.makeKeys();
  const agent = await peers.startAgent(relay.url, pair);
  const sshd = await peers.startSshd(pair);
  const go = await peers.startGoStack(pair, sshd.port);
  const goName = "Go stack and sshd";
  const three = [
    { name: "converge", args: agent.ssh, pid: agent.pid },
    { name: "sshd, direct", args: sshd.ssh, pid: sshd.pid },
    { name: goName, args: go.ssh, pid: sshd.pid },
  ];
  const each = (
    among: typeof three,
    run: (args: readonly string[]) => Promise<number>,
  ): Contender[] =>
    among.map(({ name, args, pid }) => ({
      name,
      run: async () => {
        const before = cpuSeconds(pid);
        const took = await run(args);
        return {
          speed: bytes / mib / took,
          cpu: (cpuSeconds(pid) - before) / (bytes / mib / 1_024),
        };
      },
    }));
  const [ours, theirs] = three;
  const two = ours && theirs ? [ours, theirs] : [];
  const units = { speed: "MiB/s", cpu: "s/GiB" };
  const down = (args: readonly string[]): Promise<number> =>
    seconds("ssh", [...args, `head -c ${bytes} /dev/zero`]);
  const up = (args: readonly string[]): Promise<number> =>
    seconds("ssh", [...args, "cat >/dev/null"], bytes);
  for (const [way, run, least] of [
    ["up", up, 3],
    ["down", down, 2],
  ] as const)
    report.add({
      title: `ssh exec ${way}, aes128-gcm`,
      results: await alternate(each(three, run), rounds),
      units,
      goals: [
        { figure: "speed", against: goName, target: `≥ ${least}` },
        { figure: "speed", against: "sshd, direct", target: "≥ 0.5" },
        { figure: "cpu", against: "sshd, direct", target: "≤ 1.2" },
      ],
    });
  const chacha = (args: readonly string[]): string[] =>
    args.map((arg) =>
      arg.startsWith("-oCiphers=") ? "-oCiphers=chacha20-poly1305@openssh.com" : arg,
    );
  for (const [way, run] of [
    ["up", up],
    ["down", down],
  ] as const)
    report.add({
      title: `ssh exec ${way}, OpenSSH's default cipher`,
      results: await alternate(
        each(two, (args) => run(chacha(args))),
        rounds,
      ),
      units,
      goals: [{ figure: "cpu", against: "sshd, direct", target: "≤ 1.25" }],
    });

  const file = join(peers.folder, "bulk");
  execFileSync("truncate", ["-s", String(bytes), file]);
  const sftp = (what: string) => (args: readonly string[]) => {
    // sftp wants the port as -P, and no host's options after it.
    const plain = args.map((arg) => (arg === "-p" ? "-P" : arg));
    return seconds("sftp", ["-q", "-b", "-", ...plain.slice(0, -1), plain.at(-1) ?? ""], what);
  };
  for (const [way, what] of [
    ["put", `put ${file} ${join(peers.folder, "put-there")}\n`],
    ["get", `get ${file} /dev/null\n`],
  ] as const)
    report.add({
      title: `sftp ${way}, aes128-gcm`,
      results: await alternate(each(two, sftp(what)), rounds),
      units,
      goals: [{ figure: "speed", against: "sshd, direct", target: "≥ 0.9" }],
    });

  const login: Contender[] = two.map(({ name, args }) => ({
    name,
    run: async () => ({ time: (await seconds("ssh", [...args, "true"])) * 1_000 }),
  }));
  report.add({
    title: "ssh host true",
    results: await alternate(login, rounds * 2),
    units: { time: "ms" },
    goals: [{ figure: "time", against: "sshd, direct", target: "≤ 1.5" }],
  });
  const keys: Contender[] = two.map(({ name, args }) => ({
    name,
    run: () => echoes(args, isQuick ? 50 : 1_000),
  }));
  report.add({
    title: "keystroke echo",
    results: await alternate(keys, rounds),
    units: { p50: "ms", p99: "ms" },
    goals: [
      { figure: "p50", against: "sshd, direct", target: "≤ 1.0" },
      { figure: "p99", against: "sshd, direct", target: "≤ 2" },
    ],
  });
  report.add({
    title: "agent",
    results: await alternate(forms(relay.url, agent.dir), rounds),
    units: { ready: "ms to ready", memory: "MiB at rest", size: "MB", packed: "MB packed" },
    goals: [],
  });
}

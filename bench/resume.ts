/**
 * Resume: whole sessions over a stream that outlives its links, beside the same over one that does not,
 * in pairs. The processor's time is that of all programs: ssh, wsproxy, relay, agent and command.
 */
import { cpuSeconds, type Figures, median } from "./measure.ts";
import * as peers from "./peers.ts";
import type { openReport } from "./report.ts";
import { echoes, exec } from "./ssh.ts";

const mib = 1024 * 1024;

/** 95 % of the median's place among so many values, by the sign test: the 4th and 12th of 15. */
function interval(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const off = Math.max(0, Math.floor(sorted.length / 2 - Math.sqrt(sorted.length)));
  const shown = [sorted[off], sorted[sorted.length - 1 - off]].map((value) => value?.toFixed(2));
  return shown.join("–");
}

/** Runs both in turn, and says of each figure between what its ratio lies. */
async function inPairs(
  report: ReturnType<typeof openReport>,
  title: string,
  rounds: number,
  run: (isResumable: boolean) => Promise<Figures>,
  units: Record<string, string>,
  goals: Record<string, string>,
): Promise<void> {
  const ours: Figures[] = [];
  const raw: Figures[] = [];
  for (let round = 0; round <= rounds; round += 1)
    // Who goes first changes, for the second finds a warmer machine.
    for (const isOurs of round % 2 === 0 ? [true, false] : [false, true]) {
      const figures = await run(isOurs);
      if (round > 0) (isOurs ? ours : raw).push(figures);
    }
  const of = (runs: readonly Figures[]): Figures =>
    Object.fromEntries(
      Object.keys(units).map((name) => [name, median(runs.map((run) => run[name] ?? Number.NaN))]),
    );
  const intervals = Object.keys(units).map((name) => {
    const ratios = ours.map((run, n) => (run[name] ?? Number.NaN) / (raw[n]?.[name] ?? Number.NaN));
    return `${name} ${interval(ratios)}`;
  });
  report.add({
    title: `${title} (ratio of ${rounds} pairs: ${intervals.join(", ")})`,
    results: new Map([
      ["converge", of(ours)],
      ["raw", of(raw)],
    ]),
    units,
    goals: Object.entries(goals).map(([figure, target]) => ({ figure, against: "raw", target })),
  });
}

export async function benchResume(
  report: ReturnType<typeof openReport>,
  isQuick: boolean,
): Promise<void> {
  const bytes = (isQuick ? 32 : 512) * mib;
  const rounds = isQuick ? 3 : 15;
  const relay = await peers.startRelay();
  const agent = await peers.startAgent(relay.url, peers.makeKeys());
  const rawArgs = agent.ssh.map((arg) => arg.replace(" --quiet ", " --quiet --resume-timeout 0s "));
  const argsOf = (isResumable: boolean): readonly string[] => (isResumable ? agent.ssh : rawArgs);
  const { up, down } = exec(bytes);
  for (const [way, run] of [
    ["up", up],
    ["down", down],
  ] as const)
    await inPairs(
      report,
      `whole session ${way}, aes128-gcm`,
      rounds,
      async (isResumable) => {
        const before = cpuSeconds(process.pid);
        const took = await run(argsOf(isResumable));
        const cpu = (cpuSeconds(process.pid) - before) / (bytes / mib / 1_024);
        return { speed: bytes / mib / took, cpu };
      },
      { speed: "MiB/s", cpu: "s/GiB" },
      { speed: "≥ 0.97", cpu: "≤ 1.03" },
    );
  await inPairs(
    report,
    "whole session, keystroke echo",
    rounds,
    (isResumable) => echoes(argsOf(isResumable), isQuick ? 50 : 1_000),
    { p50: "ms", p99: "ms" },
    { p50: "≤ 1.05" },
  );
}

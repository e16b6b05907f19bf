/**
 * Measure: rounds of A B A B …, medians, ratios, and the processor time of a process and its
 * children from /proc. It knows nothing of what is measured.
 */
import { readdirSync, readFileSync } from "node:fs";

/** One run of one contender: more figures may be there, all numbers. */
export type Figures = Record<string, number>;

export interface Contender {
  readonly name: string;
  run(): Promise<Figures>;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export const percentile = (values: readonly number[], p: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] ?? Number.NaN;
};

/** Runs all contenders in turn, `rounds` times after one that isn't counted (unless `isWarmed` is false); medians. */
export async function alternate(
  contenders: readonly Contender[],
  rounds: number,
  isWarmed = true,
): Promise<Map<string, Figures>> {
  const seen = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]));
  for (let round = isWarmed ? 0 : 1; round <= rounds; round += 1)
    for (const { name, run } of contenders) {
      const figures = await run();
      if (round > 0) seen.get(name)?.push(figures);
    }
  return new Map(
    [...seen].map(([name, runs]) => [
      name,
      Object.fromEntries(
        Object.keys(runs[0] ?? {}).map((key) => [
          key,
          median(runs.map((figures) => figures[key] ?? Number.NaN)),
        ]),
      ),
    ]),
  );
}

/** Prints a table: each contender's medians, and the first one's ratio to each other. */
export function table(
  title: string,
  results: Map<string, Figures>,
  units: Record<string, string>,
): void {
  const [ours, ...others] = [...results];
  if (!ours) return;
  const write = (line: string): void => void process.stdout.write(`${line}\n`);
  write(`\n${title}`);
  for (const [name, figures] of results) {
    const shown = Object.entries(figures).map(
      ([key, value]) => `${key} ${value.toPrecision(4)} ${units[key] ?? ""}`,
    );
    write(`  ${name.padEnd(22)} ${shown.join("   ")}`);
  }
  for (const [name, figures] of others) {
    const ratios = Object.entries(figures).map(
      ([key, value]) => `${key} ${((ours[1][key] ?? Number.NaN) / value).toFixed(2)}`,
    );
    write(`  ${`${ours[0]} / ${name}`.padEnd(22)} ${ratios.join("   ")}`);
  }
}

/** proc(5): clock ticks are 100 a second wherever this runs. */
const ticksPerSecond = 100;

/** Seconds of processor time that a process and its living and reaped children have used. */
export function cpuSeconds(pid: number): number {
  const stats = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, "utf8");
        const fields = text
          .slice(text.lastIndexOf(")") + 2)
          .split(" ")
          .map(Number);
        // After the name: state 0, ppid 1, …, utime 11, stime 12, cutime 13, cstime 14.
        const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + (fields[at] ?? 0), 0);
        return [{ pid: Number(name), parent: fields[1] ?? 0, ticks }];
      } catch {
        return []; // it ended while we looked
      }
    });
  const tree = new Set([pid]);
  for (let before = 0; before !== tree.size; ) {
    before = tree.size;
    for (const stat of stats) if (tree.has(stat.parent)) tree.add(stat.pid);
  }
  return (
    stats.filter((stat) => tree.has(stat.pid)).reduce((sum, { ticks }) => sum + ticks, 0) /
    ticksPerSecond
  );
}

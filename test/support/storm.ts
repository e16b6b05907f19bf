/**
 * Storm: one transfer each way by plain ssh while the relay is killed again and again. The tests of
 * test/slow and of test/long share it, and differ in size and in when it is killed.
 */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { sh } from "../../src/actors/words/quoting.ts";
import { type Program, program, run } from "./child.ts";
import { outage, times } from "./outage.ts";
import { sshArgs } from "./programs.ts";
import { until } from "./until.ts";

export interface Storm {
  /** Resumes of both together. */
  readonly resumes: number;
  readonly tookMs: number;
}

/**
 * Moves so many bytes each way; both must be whole. The relay, once it listens, is killed when `isDue`
 * says so: after so many milliseconds, and so many bytes more of either.
 */
export async function storm(
  bytes: number,
  isDue: (upMs: number, moreBytes: number) => boolean,
): Promise<Storm> {
  const { agent, kill, revive } = await outage();
  const { dir } = agent;
  const file = (name: string): string => join(dir, name);
  const made = await run("sh", ["-c", `head -c ${bytes} /dev/urandom > data`], { cwd: dir });
  assert.equal(made.status, 0, made.stderr);
  const began = performance.now();
  const through = (command: string, redirect: string): Program =>
    program(
      "sh",
      ["-c", `exec ${["ssh", ...sshArgs(agent), command].map(sh.word).join(" ")} ${redirect}`],
      { cwd: dir },
    );
  const both = [through("cat data", "> down"), through("cat > up", "< data")];
  await until("both are in", () => times(agent, "client joined") === 2);
  const isOver = (): boolean => both.some((one) => one.ended());
  const sizeOf = (name: string): number =>
    statSync(file(name), { throwIfNoEntry: false })?.size ?? 0;
  const moved = (): number => Math.max(sizeOf("down"), sizeOf("up"));
  while (!isOver()) {
    const [upAt, movedAt] = [performance.now(), moved()];
    await until(
      "it is due, or over",
      () => isOver() || isDue(performance.now() - upAt, moved() - movedAt),
      60_000,
    );
    if (isOver()) break;
    await kill();
    await revive();
  }
  for (const one of both) assert.equal((await one.exited).status, 0, one.err().slice(-2_000));
  const tookMs = performance.now() - began;
  for (const name of ["down", "up"])
    assert.equal((await run("cmp", ["data", name], { cwd: dir })).status, 0, `${name} differs`);
  assert.equal(times(agent, "client lost"), 0);
  return { resumes: times(agent, "client resumed"), tookMs };
}

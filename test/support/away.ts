/**
 * Away: sessions whose relay is gone for a while, and how soon after it they are back. The tests of
 * test/slow and of test/long share it, and differ in how long and how many.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { allStats } from "../../src/io/agent/shell/proc.ts";
import { finished, type Program } from "./child.ts";
import { type Outage, outage, times } from "./outage.ts";
import { ssh } from "./programs.ts";
import { until } from "./until.ts";

const limitMs = 300_000;

/** One that says nothing and one that never stops; gives how long after the relay each is back. */
export async function relayGone(downMs: number): Promise<{ idleMs: number; busyMs: number }> {
  const scene = await outage();
  const { agent, kill, revive } = scene;
  const idle = ssh(agent, ["cat"], { input: "open", limitMs });
  const count = `n=0; until test -e ${agent.dir}/stop; do echo $n; n=$((n + 1)); done; exit 3`;
  const busy = ssh(agent, [count], { limitMs, streams: true });
  let next = 0;
  let rest = "";
  busy.child.stdout?.on("data", (data: Buffer) => {
    const lines = (rest + data.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      assert.equal(line, String(next));
      next += 1;
    }
  });
  idle.type("hello\n");
  await idle.see("hello");
  await until("it counts", () => next > 1_000);
  await kill();
  await until("both are away", () => times(agent, "client detached") === 2);
  await delay(downMs);
  await revive();
  const began = performance.now();
  const had = next;
  idle.type("again\n");
  const since = async (what: string, isSo: () => boolean): Promise<number> => {
    await until(what, isSo);
    return performance.now() - began;
  };
  const [idleMs, busyMs] = await Promise.all([
    since("the idle one is back", () => idle.out() === "hello\nagain\n"),
    since("the busy one is back", () => next > had),
  ]);
  await ssh(agent, [`touch ${agent.dir}/stop`]).exited;
  idle.end();
  assert.deepEqual(
    [(await finished(idle)).status, (await busy.exited).status],
    [0, 3],
    `${idle.err()}${busy.err()}`,
  );
  return { idleMs, busyMs };
}

/** The proxy command of an ssh. */
export function proxyOf(run: Program): number {
  const [proxy, ...others] = allStats().filter(({ parent }) => parent === run.pid);
  assert.ok(proxy && others.length === 0, "a proxy command is its ssh's child");
  return proxy.pid;
}

/**
 * A machine that sleeps: wsproxy is stopped, and meanwhile `cut` takes its link. Gives how long after
 * it goes on the session does.
 */
export async function asleep(cut: (scene: Outage) => Promise<void>): Promise<number> {
  const scene = await outage();
  const { agent } = scene;
  const run = ssh(agent, ["cat"], { input: "open", limitMs });
  run.type("hello\n");
  await run.see("hello");
  const proxy = proxyOf(run);
  process.kill(proxy, "SIGSTOP");
  try {
    run.type("again\n");
    await cut(scene);
  } finally {
    process.kill(proxy, "SIGCONT");
  }
  const began = performance.now();
  await until("it is back", () => run.out() === "hello\nagain\n");
  const awayMs = performance.now() - began;
  run.end();
  assert.equal((await run.exited).status, 0, run.err());
  assert.equal(times(agent, "client resumed"), 1);
  return awayMs;
}

export interface Crowd {
  /** From when the relay listened until each was back, the soonest first. */
  readonly backMs: readonly number[];
  /** The most that came in any one second, as a share of all. */
  readonly share: number;
}

/** So many sessions from one address lose the relay at once. */
export async function crowdGone(count: number, downMs: number): Promise<Crowd> {
  const { agent, kill, revive, relay } = await outage();
  const runs: Program[] = [];
  // A few at a time: a hundred logins at once are another story.
  while (runs.length < count) {
    for (let n = 0; n < 10 && runs.length < count; n += 1)
      runs.push(ssh(agent, ["cat"], { input: "open", limitMs }));
    await until("they are in", () => times(agent, "client joined") === runs.length, 60_000);
  }
  for (const [n, run] of runs.entries()) run.type(`${n}\n`);
  await until("all echo", () => runs.every((run, n) => run.out() === `${n}\n`));
  await kill();
  await until("all are away", () => times(agent, "client detached") === count);
  await delay(downMs);
  await revive();
  const began = performance.now();
  const backMs: number[] = [];
  await until(
    "all are back",
    () => {
      const now = performance.now() - began;
      for (let n = times(agent, "client resumed") - backMs.length; n > 0; n -= 1) backMs.push(now);
      return backMs.length === count;
    },
    60_000,
  );
  const refused = relay()
    .lines()
    .filter(({ msg }) => String(msg).includes("refused"));
  assert.deepEqual(refused, []);
  for (const run of runs) {
    run.type("again\n");
    run.end();
  }
  for (const [n, run] of runs.entries()) {
    assert.equal((await run.exited).status, 0, run.err());
    assert.equal(run.out(), `${n}\nagain\n`);
  }
  const most = Math.max(
    ...backMs.map((from) => backMs.filter((at) => at >= from && at < from + 1_000).length),
  );
  return { backMs, share: most / count };
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { type ActorRef, createActor, SimulatedClock, type Snapshot } from "xstate";
import {
  deadlineOf,
  type InactivityEvent,
  type InactivityNews,
  inactivityMachine,
  marksOf,
  passedOver,
  sliceMs,
} from "../../src/machines/inactivity.ts";
import { walk } from "../support/walk.ts";

const minute = 60_000;
const never = Number.NEGATIVE_INFINITY;

for (const [name, times, want] of [
  ["activity alone", { lastMs: 10, holdMs: never, timeoutMs: 100, capAtMs: null }, 110],
  ["a hold in the past", { lastMs: 10, holdMs: 5, timeoutMs: 100, capAtMs: null }, 110],
  ["a hold in the future", { lastMs: 10, holdMs: 500, timeoutMs: 100, capAtMs: null }, 600],
  ["a cap before it", { lastMs: 10, holdMs: 500, timeoutMs: 100, capAtMs: 300 }, 300],
  ["a cap after it", { lastMs: 10, holdMs: never, timeoutMs: 100, capAtMs: 300 }, 110],
] as const) {
  test(`the deadline with ${name}`, () => assert.equal(deadlineOf(times), want));
}

test("marks that are not below the timeout don't count", () => {
  assert.deepEqual(marksOf({ warnAtMs: [300, 100, 10], timeoutMs: 100 }), [10]);
});

test("marks that lie behind are passed over, without a warning", () => {
  const times = { lastMs: 0, holdMs: never, timeoutMs: 1_000, capAtMs: 300, nowMs: 0 };
  assert.equal(
    passedOver({ ...times, warnAtMs: [500, 300, 100], owner: null as never, atMs: 0 }),
    2,
  );
});

function start(input: { timeoutMs: number; warnAtMs?: number[]; capAtMs?: number | null }) {
  const clock = new SimulatedClock();
  const news: InactivityNews[] = [];
  const owner = {
    send: (event: InactivityNews) => void news.push(event),
    _send: (event: InactivityNews) => void news.push(event),
    sessionId: "owner",
  } as unknown as ActorRef<Snapshot<unknown>, InactivityNews>;
  const actor = createActor(inactivityMachine, {
    clock,
    input: { owner, atMs: 0, warnAtMs: [], capAtMs: null, ...input },
  }).start();
  const send = (event: DistributiveOmit<InactivityEvent, "atMs">): void =>
    actor.send({ ...event, atMs: clock.now() } as InactivityEvent);
  const told = (): string[] =>
    news
      .splice(0)
      .map((item) =>
        item.type === "INACTIVITY.MOVED"
          ? `moved ${item.deadlineMs}`
          : `${item.type.slice(11).toLowerCase()} ${item.leftMs}`,
      );
  return { clock, actor, send, told };
}
type DistributiveOmit<T, K extends string> = T extends unknown ? Omit<T, K> : never;

test("silence: a warning at every mark, then the end", () => {
  const { clock, actor, told } = start({ timeoutMs: 10 * minute, warnAtMs: [5 * minute, minute] });
  walk(clock, 10 * minute - 1);
  assert.deepEqual(told(), [`moved ${10 * minute}`, `warned ${5 * minute}`, `warned ${minute}`]);
  assert.equal(actor.getSnapshot().status, "active");
  clock.increment(1);
  assert.equal(actor.getSnapshot().output, "inactivity");
});

test("activity after a warning takes it back, and the marks come again", () => {
  const { clock, send, told } = start({ timeoutMs: 10 * minute, warnAtMs: [minute] });
  walk(clock, 9.5 * minute);
  told();
  send({ type: "ACTIVITY" });
  assert.deepEqual(told(), [`moved ${19.5 * minute}`, `extended ${10 * minute}`]);
  walk(clock, 9 * minute);
  assert.deepEqual(told(), [`warned ${minute}`]);
});

test("activity never brings the expiry nearer than the hold's future mtime", () => {
  const { clock, actor, send, told } = start({ timeoutMs: minute });
  send({ type: "HOLD.SET", aheadMs: 120 * minute });
  told();
  walk(clock, minute);
  send({ type: "ACTIVITY" });
  assert.deepEqual(told(), [`moved ${121 * minute}`]);
  walk(clock, 120 * minute - 1);
  assert.equal(actor.getSnapshot().status, "active");
  walk(clock, 1);
  assert.equal(actor.getSnapshot().status, "done");
});

test("touching the hold back to now, and removing it, take the future away", () => {
  for (const event of [{ type: "HOLD.SET", aheadMs: 0 }, { type: "HOLD.CLEARED" }] as const) {
    const { send, told } = start({ timeoutMs: minute });
    send({ type: "HOLD.SET", aheadMs: 120 * minute });
    told();
    send(event);
    assert.deepEqual(told(), [`moved ${minute}`]);
  }
});

test("the hard cap wins, warns, and nothing extends it", () => {
  const { clock, actor, send, told } = start({
    timeoutMs: 10 * minute,
    warnAtMs: [minute],
    capAtMs: 5 * minute,
  });
  walk(clock, 4.5 * minute);
  assert.deepEqual(told(), [`moved ${5 * minute}`, `warned ${minute}`]);
  send({ type: "ACTIVITY" });
  assert.deepEqual(told(), [`moved ${5 * minute}`]);
  walk(clock, 0.5 * minute);
  assert.equal(actor.getSnapshot().output, "hard cap");
});

test("a delay longer than a timer can hold is re-armed in slices", () => {
  const { clock, actor } = start({ timeoutMs: 40 * sliceMs, warnAtMs: [] });
  walk(clock, 40 * sliceMs - 1, sliceMs);
  assert.equal(actor.getSnapshot().status, "active");
  clock.increment(1);
  assert.equal(actor.getSnapshot().status, "done");
});

test("the timeout after the first login takes the place of the join timeout", () => {
  const { clock, send, told } = start({ timeoutMs: 3 * minute });
  walk(clock, minute);
  told();
  send({ type: "TIMEOUT.SET", timeoutMs: 10 * minute });
  assert.deepEqual(told(), [`moved ${11 * minute}`]);
});

test("another timeout has other marks, also where the hard cap stays the deadline", () => {
  const { clock, send, told } = start({
    timeoutMs: 3 * minute,
    warnAtMs: [5 * minute, minute],
    capAtMs: 2 * minute,
  });
  send({ type: "TIMEOUT.SET", timeoutMs: 10 * minute });
  walk(clock, 2 * minute);
  const moved = `moved ${2 * minute}`;
  assert.deepEqual(told(), [moved, moved, `warned ${minute}`]);
});

test("marks that the former timeout had, and the new one has not, are not counted for it", () => {
  const { clock, send, told } = start({
    timeoutMs: 10 * minute,
    warnAtMs: [5 * minute, minute],
    capAtMs: 6 * minute,
  });
  walk(clock, 2 * minute);
  send({ type: "TIMEOUT.SET", timeoutMs: 5 * minute });
  walk(clock, 4 * minute);
  const moved = `moved ${6 * minute}`;
  assert.deepEqual(told(), [moved, `warned ${5 * minute}`, moved, `warned ${minute}`]);
});

/** Activity: however much flows, machines hear of it once a second at most, and not of what does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "xstate";
import { activity, Meter, sampleMs, ticks } from "../../src/actors/activity.ts";
import type { Clock } from "../../src/actors/clock.ts";
import { walk } from "../support/walk.ts";

/** A clock by hand, with the timers counted that nobody has taken back. */
function counted(): { hand: SimulatedClock; clock: Clock; pending: Set<unknown> } {
  const hand = new SimulatedClock();
  const pending = new Set<unknown>();
  const clock: Clock = {
    now: () => hand.now(),
    wall: () => hand.now(),
    setTimeout: (fn, ms) => {
      const id = hand.setTimeout(() => {
        pending.delete(id);
        fn();
      }, ms);
      pending.add(id);
      return id;
    },
    clearTimeout: (id) => {
      pending.delete(id);
      hand.clearTimeout(id);
    },
  };
  return { hand, clock, pending };
}

test("a second with many bytes is one activity, a second without is none", () => {
  const { hand, clock } = counted();
  const meter = new Meter();
  const heard: number[] = [];
  const subscription = activity(meter, clock).subscribe((atMs) => heard.push(atMs));
  for (let n = 0; n < 1_000; n += 1) meter.add(32_768);
  walk(hand, 2 * sampleMs, sampleMs);
  assert.deepEqual(heard, [sampleMs]);
  meter.add(1);
  walk(hand, 3 * sampleMs, sampleMs);
  assert.deepEqual(heard, [sampleMs, 3 * sampleMs]);
  meter.add(0);
  walk(hand, sampleMs, sampleMs);
  assert.equal(heard.length, 2);
  subscription.unsubscribe();
});

test("ticks go on for as long as somebody listens, and leave no timer behind", () => {
  const { hand, clock, pending } = counted();
  let count = 0;
  const counts = ticks(clock, 100);
  assert.equal(pending.size, 0, "before anybody listens");
  const subscription = counts.subscribe(() => {
    count += 1;
  });
  walk(hand, 1_000, 100);
  assert.deepEqual([count, pending.size], [10, 1]);
  subscription.unsubscribe();
  walk(hand, 1_000, 100);
  assert.deepEqual([count, pending.size], [10, 0]);
});

test("who leaves at a tick is not ticked again", () => {
  const { hand, clock, pending } = counted();
  let count = 0;
  const subscription = ticks(clock, 100).subscribe(() => {
    count += 1;
    subscription.unsubscribe();
  });
  walk(hand, 1_000, 100);
  assert.deepEqual([count, pending.size], [1, 0]);
});

/** History: one look a minute whatever happens, and so many numbers however long it goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "xstate";
import type { Clock } from "../../../src/actors/clock.ts";
import { openHistory, stepMs, stepsMost } from "../../../src/actors/observe/history.ts";
import type { RelayActor } from "../../../src/actors/relay.ts";

/** A relay of which only the counts are there; `looks` is how often they were asked for. */
function open() {
  const time = new SimulatedClock();
  const clock: Clock = {
    now: () => time.now(),
    wall: () => Date.UTC(2026, 10, 28, 12) + time.now(),
    setTimeout: (fn, ms) => time.setTimeout(fn, ms),
    clearTimeout: (id) => time.clearTimeout(id),
  };
  const relay = { agents: 0, looks: 0, end: () => {} };
  const actor = {
    getSnapshot: () => {
      relay.looks += 1;
      const all = Array.from({ length: relay.agents }, () => ({
        control: "link",
        status: null,
        detached: [],
      }));
      return { context: { agents: { all }, pairings: { all: () => [] } } };
    },
    subscribe: ({ complete }: { complete: () => void }) => {
      relay.end = complete;
    },
  };
  const history = openHistory(actor as unknown as RelayActor, clock);
  const go = (ms: number): void => {
    for (let gone = 0; gone < ms; gone += 30_000) time.increment(30_000);
  };
  return { relay, history, go };
}

test("each step keeps the most that was there in it", () => {
  const { relay, history, go } = open();
  relay.agents = 3;
  go(60_000);
  relay.agents = 1;
  go(stepMs);
  assert.deepEqual(history(), {
    since: "2026-11-28T12:00:00.000Z",
    agents: [3, 1],
    clients: [0, 0],
  });
});

test("it looks once a minute, keeps so many steps, and ends with the relay", () => {
  const { relay, history, go } = open();
  go(24 * 3_600_000);
  assert.ok(relay.looks <= 24 * 60 + 1, `${relay.looks} looks`);
  const { agents, clients } = history();
  assert.deepEqual([agents.length, clients.length], [stepsMost, stepsMost]);
  relay.end();
  const before = relay.looks;
  go(3_600_000);
  assert.equal(relay.looks, before);
});

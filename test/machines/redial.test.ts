/** Redial: when the client's end looks for its next link, what the person is told, and how it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createActor, fromPromise, SimulatedClock } from "xstate";
import {
  type RedialEvent,
  type Redialled,
  redialMachine,
  redialMs,
} from "../../src/machines/redial.ts";

const graceMs = 60_000;

/** A machine whose tries are answered by hand; `tries` are those under way, the oldest first. */
function begin() {
  const clock = new SimulatedClock();
  const tries: ((outcome: Redialled) => void)[] = [];
  const told: string[] = [];
  const given = { up: 0 };
  const dial = fromPromise<Redialled>(({ signal }) => {
    signal.addEventListener("abort", () => {
      given.up += 1;
    });
    return new Promise((resolve) => tries.push(resolve));
  });
  const actor = createActor(redialMachine.provide({ actors: { dial } }), {
    input: { graceMs, jitter: 0 },
    clock,
  });
  actor.on("*", ({ type }) => told.push(type));
  actor.start();
  return {
    told,
    tries,
    given,
    send: (...types: RedialEvent["type"][]) => {
      for (const type of types) actor.send({ type });
    },
    answer: async (kind: Redialled["kind"], why = "no way") => {
      tries.shift()?.({ kind, why, jitter: 1 } as Redialled);
      await turn();
    },
    go: async (ms: number) => {
      clock.increment(ms);
      await turn();
    },
    state: () => JSON.stringify(actor.getSnapshot().value),
    output: () => actor.getSnapshot().output,
  };
}

test("a link that is lost is looked for at once, and soon found: nobody is told", async () => {
  const { send, tries, answer, state, told, go } = begin();
  send("LINK.LOST");
  assert.equal(tries.length, 1);
  await answer("attached");
  assert.equal(state(), '"live"');
  await go(graceMs);
  assert.deepEqual(told, []);
});

test("after two seconds the person is told, and when it is found too", async () => {
  const { send, answer, told, go } = begin();
  send("LINK.LOST");
  await answer("failed");
  await go(100);
  await go(1_899);
  assert.deepEqual(told, []);
  await go(1);
  assert.deepEqual(told, ["lost"]);
  await answer("attached");
  assert.deepEqual(told, ["lost", "resumed"]);
});

test("tries come later and later, and then in turns", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => redialMs(failures, 0.5));
  assert.deepEqual(pauses, [50, 100, 200, 400, 800, 1_600, 2_250, 4_500, 4_500]);
});

for (const [name, kind, want] of [
  ["is refused", "refused", { kind: "refused", why: "gone", jitter: 1 }],
  ["hears that the agent is over", "ended", { kind: "ended", why: "gone", jitter: 1 }],
] as const)
  test(`a try that ${name} is the last`, async () => {
    const { send, answer, output } = begin();
    send("LINK.LOST");
    await answer(kind, "gone");
    assert.deepEqual(output(), want);
  });

test("it is given up when the time is over, with the last reason", async () => {
  const { send, answer, output, go, given } = begin();
  send("LINK.LOST");
  await answer("failed", "no route");
  await go(graceMs);
  assert.deepEqual(output(), { kind: "expired", why: "no route" });
  assert.ok(given.up <= 1);
});

test("whoever wakes tries anew, and gives up the try that hangs", async () => {
  const { send, tries, answer, state, go, given } = begin();
  send("LINK.LOST", "WOKE");
  assert.deepEqual([tries.length, given.up], [2, 1]);
  tries.shift();
  await answer("failed");
  send("WOKE");
  assert.equal(tries.length, 1);
  await answer("attached");
  await go(0);
  assert.equal(state(), '"live"');
});

test("before a link is cut another is brought, again and again while it stands", async () => {
  const { send, tries, answer, state, go, told } = begin();
  send("MOVE.ASKED");
  await answer("failed");
  await go(4_999);
  assert.equal(tries.length, 0);
  await go(1);
  assert.equal(tries.length, 1);
  send("LINK.LOST");
  assert.equal(tries.length, 2, "and at once when it is cut after all");
  tries.shift();
  await answer("attached");
  assert.equal(state(), '"live"');
  assert.deepEqual(told, []);
});

test("who leaves while away only says so, for ten seconds", async () => {
  const { send, tries, answer, state, output, go } = begin();
  send("LINK.LOST", "NEAR.ENDED");
  tries.shift(); // that of before is given up
  await answer("attached");
  assert.equal(state(), '"leaving"');
  send("LINK.LOST");
  assert.match(state(), /parting/);
  await answer("failed");
  await go(10_000);
  assert.deepEqual(output(), { kind: "parted" });
});

test("who leaves in order is done when the link is", () => {
  const { send, state } = begin();
  send("NEAR.ENDED");
  assert.equal(state(), '"leaving"');
});

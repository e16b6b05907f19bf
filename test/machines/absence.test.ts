/** Absence: whom a client's going away is told, and when it is given up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActor, SimulatedClock } from "xstate";
import { type AbsenceInput, absenceMachine, unnoticedMs } from "../../src/machines/absence.ts";
import type { ClientId } from "../../src/machines/vocabulary.ts";

const graceMs = 10_000;

/** A client that goes away, and is back after so long; what its owner hears. */
function heard(backAfterMs: number): string[] {
  const clock = new SimulatedClock();
  const said: string[] = [];
  const owner = { send: () => {}, _send: ({ type }: { type: string }) => said.push(type) };
  const input = { owner, client: "client-1" as ClientId, who: "ann", graceMs };
  const actor = createActor(absenceMachine, { input: input as unknown as AbsenceInput, clock });
  actor.start();
  clock.increment(backAfterMs);
  actor.send({ type: "CLIENT.RESUMED", outageMs: backAfterMs });
  clock.increment(2 * graceMs);
  assert.equal(actor.getSnapshot().status, "done");
  return said;
}

for (const [name, backAfterMs, want] of [
  ["at once", 0, []],
  ["before anybody is told", unnoticedMs - 1, []],
  ["when the others know", unnoticedMs, ["ABSENCE.NOTICED", "ABSENCE.ENDED"]],
  ["in its last moment", graceMs - 1, ["ABSENCE.NOTICED", "ABSENCE.ENDED"]],
  ["too late", graceMs, ["ABSENCE.NOTICED", "ABSENCE.EXPIRED"]],
] as const)
  test(`a client that is back ${name}`, () => assert.deepEqual(heard(backAfterMs), want));

/** Trace: one debug line for each message between actors, with its name and nothing of what it says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActor, setup } from "xstate";
import { trace } from "../../src/actors/trace.ts";

const machine = setup({ types: { events: {} as { type: "DOOR.OPENED"; secret: string } } });

test("a message is one line, by its name; states and snapshots are none", () => {
  const said: [string, object][] = [];
  const refused = (): never => assert.fail("a level that is read by people");
  const debug = (fields: object, message: string): void => void said.push([message, fields]);
  const log = { debug, info: refused, warn: refused, error: refused };
  const states = { shut: { on: { "DOOR.OPENED": "open" } }, open: {} } as const;
  const door = machine.createMachine({ initial: "shut", states });
  const actor = createActor(door, { inspect: trace(log) }).start();
  actor.send({ type: "DOOR.OPENED", secret: "hunter2" });
  const { sessionId } = actor;
  assert.deepEqual(
    said,
    ["xstate.init", "DOOR.OPENED"].map((event) => ["event", { actor: sessionId, event }]),
  );
});

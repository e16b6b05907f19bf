/**
 * Visitors' words: what those at an agent's door say and hear, for tests of who is let in.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ackOf, recordOf, recordTypes } from "../../src/io/resume/records.ts";
import { until } from "./until.ts";
import type { AgentDoor, Visitor } from "./visitors.ts";

/** What stands for ssh. */
export const text = Buffer.from("ssh would be here");
export const data = (bytes: Uint8Array): Uint8Array => recordOf(recordTypes.data, bytes);
export const isClosed = (visitor: Visitor): Promise<number> =>
  until("the link is closed", () => visitor.closed());
export const cameBack = (visitor: Visitor, bytes: Buffer): Promise<boolean> =>
  until("it came back", () => visitor.data().equals(bytes));

/** The code and the way in which a link was refused. */
export async function refusal(visitor: Visitor): Promise<number | undefined> {
  const [code] = await visitor.hear(recordTypes.refused);
  assert.equal(await isClosed(visitor), 1000);
  assert.deepEqual(
    visitor.records.map(({ type }) => type),
    [recordTypes.welcome, recordTypes.refused],
  );
  return code;
}

/** A stream of whose bytes the next come when the last have come back, with an ack, as of an honest end. */
export async function pumped(door: AgentDoor) {
  const opened = await door.open();
  const { visitor, carrier } = opened;
  let sent = Buffer.alloc(0);
  const pumping = setInterval(() => {
    if (visitor.data().length < sent.length) return;
    const next = randomBytes(50_000);
    sent = Buffer.concat([sent, next]);
    visitor.say(ackOf(visitor.data().length), data(next));
  }, 2);
  return {
    ...opened,
    /** After each: a second later, and this one is as it was. */
    goesOn: async (): Promise<void> => {
      const before = visitor.data().length;
      await until("more has come back", () => visitor.data().length > before);
      const back = visitor.data();
      assert.ok(back.equals(sent.subarray(0, back.length)));
      assert.equal(visitor.closed(), null);
      assert.equal(carrier.standing?.resumes, 0);
      door.clock.increment(1_000);
    },
    /** No more is sent, and all of it was right. */
    allCameBack: async (): Promise<void> => {
      clearInterval(pumping);
      await until("all came back", () => visitor.data().length === sent.length);
      assert.ok(visitor.data().equals(sent));
    },
    stop: () => clearInterval(pumping),
  };
}

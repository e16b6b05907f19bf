/**
 * Visits: who comes through the agent's door, on real websockets: what a link must say first.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { unauthenticatedMost } from "../../../src/io/agent/ssh/pre-auth.ts";
import { nonceBytes, welcomeBytes } from "../../../src/io/resume/keys.ts";
import { ackOf, type RecordType, recordOf, recordTypes } from "../../../src/io/resume/records.ts";
import { until } from "../../support/until.ts";
import { type AgentDoor, agentDoor, type Visitor } from "../../support/visitors.ts";
import { cameBack, data, isClosed, text } from "../../support/visitors-said.ts";

describe("a link that is dialled back", () => {
  let door: AgentDoor;
  before(async () => {
    door = await agentDoor();
  });
  after(() => door.close());

  test("is welcomed before it says anything, with a nonce of its own", async () => {
    const nonces = new Set<string>();
    const keys = new Set<string>();
    for (let n = 0; n < 3; n += 1) {
      const visitor = await door.knock();
      const welcome = Buffer.from(await visitor.hear(recordTypes.welcome));
      assert.deepEqual([welcome.length, welcome[0]], [welcomeBytes, 1]);
      nonces.add(welcome.subarray(1, 1 + nonceBytes).toString("hex"));
      keys.add(welcome.subarray(1 + nonceBytes).toString("hex"));
      visitor.socket.terminate();
    }
    assert.deepEqual([nonces.size, keys.size], [3, 1]);
  });

  test("of a client that cannot do it is a plain one", async () => {
    for (const can of [[], ["resume2"]]) {
      const visitor = await door.knock({ can });
      const heard: Buffer[] = [];
      visitor.socket.removeAllListeners("message");
      visitor.socket.on("message", (bytes: Buffer) => heard.push(bytes));
      visitor.socket.send(text);
      await until("it came back", () => Buffer.concat(heard).equals(text));
      assert.equal(door.carriers.at(-1)?.standing, null);
      visitor.socket.terminate();
    }
  });

  test("is cut when it has said nothing for ten seconds, and not when it has", async () => {
    const { visitor: known } = await door.open({ isLoggedIn: false });
    const visitor = await door.knock();
    await visitor.hear(recordTypes.welcome);
    // Half a head is nothing, and so is what may be skipped.
    visitor.say(recordOf(0x80 as RecordType), Uint8Array.of(3, 0));
    door.clock.increment(9_999);
    known.say(data(text));
    await cameBack(known, text);
    assert.equal(visitor.closed(), null);
    door.clock.increment(1);
    assert.equal(await isClosed(visitor), 1006);
    assert.equal(known.closed(), null);
    known.socket.terminate();
  });

  const junk: readonly (readonly [string, Uint8Array | string])[] = [
    ["data", data(text)],
    ["an ack", ackOf(0)],
    ["a welcome", recordOf(recordTypes.welcome, new Uint8Array(welcomeBytes))],
    ["a close", recordOf(recordTypes.close, Uint8Array.of(0))],
    ["a ping", recordOf(recordTypes.ping, new Uint8Array(4))],
    ["a record that nobody knows", Uint8Array.of(0x50, 0, 0, 0)],
    ["an ssh client without records", Buffer.from("SSH-2.0-OpenSSH_9.2\r\n")],
    ["text", "hello"],
    ["an opening without a key", recordOf(recordTypes.open, Uint8Array.of(1))],
    [
      "an opening with too long a key",
      recordOf(recordTypes.open, Uint8Array.of(1), new Uint8Array(33)),
    ],
    [
      "an opening of another version",
      recordOf(recordTypes.open, Uint8Array.of(2), new Uint8Array(32)),
    ],
  ];
  for (const [name, first] of junk)
    test(`is cut when ${name} comes first`, async () => {
      const carriers = door.carriers.length;
      const visitor = await door.knock();
      await visitor.hear(recordTypes.welcome);
      visitor.socket.send(first);
      assert.equal(await isClosed(visitor), 1006);
      assert.equal(door.carriers.length, carriers);
      assert.equal(visitor.records.length, 1);
    });

  test("with a key that makes no secret opens a stream that ends with its link", async () => {
    const visitor = await door.knock();
    await visitor.hear(recordTypes.welcome);
    const carriers = door.carriers.length;
    const low = recordOf(recordTypes.open, Uint8Array.of(1), new Uint8Array(32));
    visitor.say(low, data(text));
    await cameBack(visitor, text);
    const carrier = door.carriers[carriers];
    carrier?.keep(() => true);
    visitor.say(data(text));
    await cameBack(visitor, Buffer.concat([text, text]));
    visitor.socket.terminate();
    await until("it has no link, or is over", () => carrier?.isOver || carrier?.standing?.awayAtMs);
    assert.equal(carrier?.isOver, true, "nobody can come back to it");
  });

  test("puts another out where too many have said nothing", async () => {
    const visitors: Visitor[] = [];
    for (let n = 0; n < unauthenticatedMost + 5; n += 1) visitors.push(await door.knock());
    const cut = (): number => visitors.filter((visitor) => visitor.closed() !== null).length;
    await until("five are out", () => cut() === 5);
    for (const { socket } of visitors) socket.terminate();
  });
});

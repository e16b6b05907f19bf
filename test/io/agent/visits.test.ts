/**
 * Visits: who comes through the agent's door, on real websockets: what a link must say first, and every
 * way in which somebody may ask for a stream that is not his, or not any more.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { unauthenticatedMost } from "../../../src/io/agent/ssh/pre-auth.ts";
import {
  agentProof,
  askedBytes,
  macBytes,
  newKeyPair,
  nonceBytes,
  welcomeBytes,
} from "../../../src/io/resume/keys.ts";
import {
  ackOf,
  closings,
  placeAt,
  placeBytes,
  type RecordType,
  recordOf,
  recordTypes,
  refusals,
} from "../../../src/io/resume/records.ts";
import { until } from "../../support/until.ts";
import {
  type AgentDoor,
  agentDoor,
  nowhere,
  type Opened,
  resume,
  type Visitor,
} from "../../support/visitors.ts";

const text = Buffer.from("ssh would be here");
const data = (bytes: Uint8Array): Uint8Array => recordOf(recordTypes.data, bytes);
const isClosed = (visitor: Visitor): Promise<number> =>
  until("the link is closed", () => visitor.closed());
const cameBack = (visitor: Visitor, bytes: Buffer): Promise<boolean> =>
  until("it came back", () => visitor.data().equals(bytes));

/** The code and the way in which a link was refused. */
async function refusal(visitor: Visitor): Promise<number | undefined> {
  const [code] = await visitor.hear(recordTypes.refused);
  assert.equal(await isClosed(visitor), 1000);
  assert.deepEqual(
    visitor.records.map(({ type }) => type),
    [recordTypes.welcome, recordTypes.refused],
  );
  return code;
}

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

describe("a stream that is asked for on another link", () => {
  let door: AgentDoor;
  /** One that goes on all the while. */
  let living: Opened;
  let pumped = Buffer.alloc(0);
  let pumping: NodeJS.Timeout;
  before(async () => {
    door = await agentDoor();
    living = await door.open();
    // Once the last has come back, the next; with an ack, as an honest end does.
    pumping = setInterval(() => {
      const { visitor } = living;
      if (visitor.data().length < pumped.length) return;
      const next = randomBytes(50_000);
      pumped = Buffer.concat([pumped, next]);
      visitor.say(ackOf(visitor.data().length), data(next));
    }, 2);
  });
  after(async () => {
    clearInterval(pumping);
    await door.close();
  });

  /** After each: a second later, and the living one is as it was. */
  async function othersGoOn(): Promise<void> {
    const before = living.visitor.data().length;
    await until("more has come back", () => living.visitor.data().length > before);
    const back = living.visitor.data();
    assert.ok(back.equals(pumped.subarray(0, back.length)));
    assert.equal(living.visitor.closed(), null);
    assert.equal(living.carrier.standing?.resumes, 0);
    door.clock.increment(1_000);
  }

  test("goes on there: the agent proves itself, and sends what was missed", async () => {
    const { visitor, carrier, keys } = await door.open();
    visitor.say(data(text));
    await cameBack(visitor, text);
    visitor.socket.terminate();
    await until("it is away", () => carrier.standing?.awayAtMs !== null);
    door.clock.increment(500);
    const next = await door.knock({ address: "203.0.113.7" });
    const proof = await resume(next, keys, { attempt: 1, place: 4 });
    const resumed = await next.hear(recordTypes.resumed);
    assert.equal(placeAt(resumed, 0), text.length);
    assert.deepEqual(
      Buffer.from(resumed.slice(placeBytes)),
      Buffer.from(agentProof(keys, proof, text.length)),
    );
    next.say(data(text));
    await cameBack(next, Buffer.concat([text.subarray(4), text]));
    assert.deepEqual(carrier.standing, { stream: 2, awayAtMs: null, resumes: 1, outageMs: 500 });
    assert.equal(carrier.address, "203.0.113.7");
    // While that stands, a later try takes its place.
    const third = await door.knock();
    await resume(third, keys, { attempt: 9, place: 2 * text.length });
    await third.hear(recordTypes.resumed);
    assert.equal(await isClosed(next), 1006);
    third.say(recordOf(recordTypes.close, Uint8Array.of(closings.done)));
    assert.equal(await isClosed(third), 1000);
    assert.equal(carrier.isOver, true);
    await othersGoOn();
  });

  test("is not known before somebody has logged in on it, and ends with its link", async () => {
    const { visitor, carrier, keys } = await door.open({ isLoggedIn: false });
    const next = await door.knock();
    await resume(next, keys);
    assert.equal(await refusal(next), refusals.unknown);
    assert.equal(carrier.isOver, false);
    visitor.socket.terminate();
    await until("it is over", () => carrier.isOver);
    await othersGoOn();
  });

  test("is not known when there was none of that name, or it is over", async () => {
    const { carrier, keys } = await door.open();
    const stream = randomBytes(16);
    const next = await door.knock();
    await resume(next, keys, { stream });
    assert.equal(await refusal(next), refusals.unknown);
    carrier.cut();
    const last = await door.knock();
    await resume(last, keys);
    assert.equal(await refusal(last), refusals.unknown);
    await othersGoOn();
  });

  /** Each is asked of a stream that has sent back what was said, and has taken it; it had try 5. */
  const wrong: readonly (readonly [
    string,
    number,
    (next: Visitor, opened: Opened, used: Uint8Array) => Promise<unknown> | unknown,
  ])[] = [
    [
      "with another's proof",
      refusals.proof,
      (next, { keys }) =>
        resume(next, { ...keys, client: living.keys.client }, { attempt: 6, place: text.length }),
    ],
    [
      "with the agent's own key",
      refusals.proof,
      (next, { keys }) => resume(next, { ...keys, client: keys.agent }, { attempt: 6 }),
    ],
    [
      "in a name that is another's",
      refusals.proof,
      (next, { keys }) => resume(next, keys, { stream: living.keys.stream, attempt: 6 }),
    ],
    [
      "with a proof for another link",
      refusals.proof,
      (next, { keys }) => resume(next, keys, { attempt: 6, nonce: randomBytes(nonceBytes) }),
    ],
    ["with what was said before, word for word", refusals.proof, (next, _, used) => next.say(used)],
    [
      "with too little",
      refusals.proof,
      (next) => next.say(recordOf(recordTypes.resume, new Uint8Array(askedBytes + macBytes - 1))),
    ],
    ["with nothing", refusals.proof, (next) => next.say(recordOf(recordTypes.resume))],
    ["by the same try", refusals.stale, (next, { keys }) => resume(next, keys, { attempt: 5 })],
    ["by an earlier try", refusals.stale, (next, { keys }) => resume(next, keys, { attempt: 4 })],
    ["by no try", refusals.stale, (next, { keys }) => resume(next, keys, { attempt: 0 })],
  ];
  for (const [name, code, ask] of wrong)
    test(`is refused ${name}, and goes on where it was`, async () => {
      const opened = await door.open();
      const { visitor, carrier, keys } = opened;
      visitor.say(data(text));
      await cameBack(visitor, text);
      const second = await door.knock();
      const said: Buffer[] = [];
      const send = second.say;
      const kept = {
        ...second,
        say: (...all: readonly Uint8Array[]) => {
          said.push(Buffer.concat(all));
          send(...all);
        },
      };
      await resume(kept, keys, { attempt: 5, place: text.length });
      await second.hear(recordTypes.resumed);
      const next = await door.knock();
      await next.hear(recordTypes.welcome);
      await ask(next, opened, Buffer.concat(said));
      assert.equal(await refusal(next), code);
      second.say(data(text));
      await cameBack(second, text);
      assert.deepEqual([carrier.isOver, carrier.standing?.resumes], [false, 1]);
      carrier.cut();
      await othersGoOn();
    });

  for (const [name, place] of [
    ["ahead", text.length + 1],
    ["behind", 3],
    ["farther than any stream", 2 ** 48 - 1],
  ] as const)
    test(`is over when it is asked for at a place ${name} by who has its keys`, async () => {
      const { visitor, carrier, keys } = await door.open();
      visitor.say(data(text));
      await cameBack(visitor, text);
      visitor.say(ackOf(4), recordOf(recordTypes.ping, new Uint8Array(4)));
      await visitor.hear(recordTypes.pong);
      const next = await door.knock();
      await resume(next, keys, { place });
      assert.equal(await refusal(next), refusals.gap);
      assert.equal(await isClosed(visitor), 1006);
      assert.equal(carrier.isOver, true);
      await othersGoOn();
    });

  test("is refused from where its key may not be used, and not from elsewhere after that", async () => {
    const { visitor, keys } = await door.open();
    const next = await door.knock({ address: nowhere });
    await resume(next, keys);
    assert.equal(await refusal(next), refusals.address);
    assert.equal(visitor.closed(), null);
    const last = await door.knock();
    await resume(last, keys);
    await last.hear(recordTypes.resumed);
    await othersGoOn();
  });

  test("keeps its name when another is opened with the same key, which ends with its link", async () => {
    const own = newKeyPair();
    const { visitor, carrier, keys } = await door.open({ own });
    const second = await door.open({ own });
    second.visitor.socket.terminate();
    await until("it is over", () => second.carrier.isOver);
    visitor.socket.terminate();
    const next = await door.knock();
    await resume(next, keys);
    await next.hear(recordTypes.resumed);
    assert.equal(carrier.standing?.resumes, 1);
    await othersGoOn();
  });

  test("is given five links in a second and no more, and more in the next", async () => {
    const { keys, carrier } = await door.open();
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const next = await door.knock();
      await resume(next, keys, { attempt });
      await next.hear(recordTypes.resumed);
    }
    const sixth = await door.knock();
    await resume(sixth, keys, { attempt: 6 });
    assert.equal(await refusal(sixth), refusals.busy);
    door.clock.increment(1_000);
    const seventh = await door.knock();
    await resume(seventh, keys, { attempt: 6 });
    await seventh.hear(recordTypes.resumed);
    assert.equal(carrier.standing?.resumes, 6);
    await othersGoOn();
  });

  test("is not slowed down by who cannot prove that it is his", async () => {
    const { keys } = await door.open();
    for (let n = 0; n < 8; n += 1) {
      const next = await door.knock();
      await resume(next, { ...keys, client: keys.agent }, { attempt: 2 ** 32 - 1 });
      assert.equal(await refusal(next), refusals.proof);
    }
    const own = await door.knock();
    await resume(own, keys);
    await own.hear(recordTypes.resumed);
    await othersGoOn();
  });

  test("is a line in the log, thirty in a minute at most, without a word of what is secret", async () => {
    const refused = (): number =>
      door.log.lines.filter(({ message }) => message === "resume refused").length;
    const before = refused();
    const { keys } = await door.open();
    const secrets: Uint8Array[] = [keys.stream, keys.client, keys.agent];
    for (let n = 0; n < 40; n += 1) {
      const next = await door.knock({ address: "203.0.113.50" });
      secrets.push(await resume(next, { ...keys, client: keys.agent }));
      await refusal(next);
    }
    assert.equal(refused() - before, 30);
    assert.deepEqual(door.log.lines.at(-1)?.fields, {
      address: "203.0.113.50",
      reason: "its proof is wrong",
    });
    const all = JSON.stringify(door.log.lines);
    for (const secret of secrets)
      for (const form of ["hex", "base64", "latin1"] as const)
        assert.equal(all.includes(Buffer.from(secret).toString(form)), false);
    await othersGoOn();
  });

  test("is refused once the agent is ending, to everybody alike", async () => {
    const { keys } = await door.open();
    clearInterval(pumping);
    await until("all came back", () => living.visitor.data().length === pumped.length);
    assert.ok(living.visitor.data().equals(pumped));
    door.visits.move(5_000);
    assert.deepEqual([...(await living.visitor.hear(recordTypes.move))], [0, 0, 0x13, 0x88]);
    door.visits.close();
    for (const asked of [{}, { stream: randomBytes(16) }]) {
      const next = await door.knock();
      await resume(next, keys, asked);
      assert.equal(await refusal(next), refusals.ended);
    }
    assert.equal(living.visitor.closed(), null);
  });
});

/**
 * Visits again: every way in which somebody may ask for a stream that is his, is not, or not any more.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  agentProof,
  askedBytes,
  macBytes,
  newKeyPair,
  nonceBytes,
} from "../../../src/io/resume/keys.ts";
import {
  ackOf,
  closings,
  placeAt,
  placeBytes,
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
import { cameBack, data, isClosed, pumped, refusal, text } from "../../support/visitors-said.ts";

describe("a stream that is asked for on another link", () => {
  let door: AgentDoor;
  /** One that goes on all the while. */
  let living: Awaited<ReturnType<typeof pumped>>;
  before(async () => {
    door = await agentDoor();
    living = await pumped(door);
  });
  after(async () => {
    living.stop();
    await door.close();
  });
  const othersGoOn = (): Promise<void> => living.goesOn();

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
    await living.allCameBack();
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

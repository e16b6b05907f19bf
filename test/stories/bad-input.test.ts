/** Everything that is wrong, each with its answer; and after all of it a session as ever. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeCodes, subprotocols } from "../../src/io/protocol/wire.ts";
import { openFiles } from "../support/processes.ts";
import {
  bytesOver,
  facts,
  messages,
  register,
  type Stranger,
  stranger,
} from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let base: string;
let filesBefore: number;
const strangers: Stranger[] = [];

before(async () => {
  world = await meet({ id: "good" });
  base = world.relay.url.href.replace(/\/$/, "");
  filesBefore = openFiles();
});
after(() => world.close());

const known = <T extends Stranger>(one: T): T => {
  strangers.push(one);
  return one;
};
const open = (path: string, protocol?: string): Stranger =>
  known(stranger(`${base}${path}`, protocol));

/** The HTTP answer to a websocket that is not to be. */
const refused = (path: string, protocol?: string) => async () =>
  await until("an answer", open(path, protocol).refusal);

/** The answer to bytes over TCP: status and body. */
const answerTo = (request: string) => async () => {
  const answer = await bytesOver(Number(world.relay.url.port), request);
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), body };
};
const upgrade = (path: string, headers: Record<string, string> = {}): string =>
  [
    `GET ${path} HTTP/1.1`,
    ...Object.entries({
      Host: "relay",
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`),
    "\r\n",
  ].join("\r\n");

/** How a link is closed after something was done on it. */
const closedAfter =
  (path: string, protocol: string | undefined, act: (link: Stranger) => unknown = () => {}) =>
  async () => {
    const link = open(path, protocol);
    await until("an open link", () => link.isOpen() || link.closed());
    await act(link);
    return await link.end;
  };
/** The same on a control link, once the challenge is there. */
const controlAfter = (act: (link: Stranger) => unknown) =>
  closedAfter("/agent/bad", subprotocols.agent, async (link) => {
    await until("a challenge", () => link.heard.length > 0);
    await act(link);
  });

/** A client and the ticket that an agent made by hand was summoned with. */
async function knock(
  id: string,
): Promise<{ agent: Stranger; client: Stranger; ticket: string; end(): void }> {
  const agent = known(await register(world.relay.url, id));
  const client = open(`/client/${id}`);
  const summons = await until("a summons", () =>
    messages(agent).find(({ type }) => type === "summon"),
  );
  const end = (): void => {
    for (const { socket } of [agent, client]) socket.terminate();
  };
  return { agent, client, ticket: String(summons["ticket"]), end };
}

/** A raw ssh client of the good agent: how it is closed after it said this and then nothing. */
const sshAfter = (said: string | Buffer, waitMs: number) => async () => {
  const client = open("/client/good");
  await until("the agent's own words", () => client.heard.length > 0);
  client.socket.send(Buffer.from(said));
  if (waitMs > 0) {
    await world.clock.advance(waitMs - 2_000);
    assert.equal(client.closed(), null, "it was cut too early");
    await world.clock.advance(3_000);
  }
  return await client.end;
};

const idSentence = "A rendez-vous id is 1 to 128 of the characters A-Z a-z 0-9 . _ - only.\n";
const pathSentence = "There is no websocket here: use /agent/<id> or /client/<id>.\n";
const ticketSentence = "That ticket is not known, or was used.\n";
const cutByAgent = { code: closeCodes.peerLost, reason: "the agent's connection was lost" };
/** The agent said an ssh DISCONNECT and left in order. */
const partedByAgent = { code: closeCodes.done, reason: "" };
const right = { type: "register", id: "bad", host: "x", key: "", signature: "", facts };

const table: readonly (readonly [string, () => Promise<unknown>, unknown])[] = [
  ["an id with a space", refused("/agent/a%20b"), { status: 400, body: idSentence }],
  ["an id with a slash", refused("/agent/a/b"), { status: 404, body: pathSentence }],
  ["an id of 129", refused(`/client/${"x".repeat(129)}`), { status: 400, body: idSentence }],
  ["an id that is ..", answerTo(upgrade("/client/..")), { status: 400, body: idSentence }],
  ["an id that is .", answerTo(upgrade("/client/.")), { status: 400, body: idSentence }],
  ["an id with ü", refused("/client/ü"), { status: 400, body: idSentence }],
  ["an empty id", refused("/client/"), { status: 400, body: idSentence }],
  ["no id", refused("/client"), { status: 400, body: idSentence }],
  ["an id with a line end", refused("/client/a%0d%0ab"), { status: 400, body: idSentence }],
  ["a path that does not exist", refused("/nowhere/x"), { status: 404, body: pathSentence }],
  ["the root", refused("/"), { status: 404, body: pathSentence }],
  [
    "a whole URL as target",
    answerTo(upgrade("http://relay/client/x")),
    { status: 404, body: pathSentence },
  ],
  [
    "a wait that is no number",
    refused("/client/x?wait=soon"),
    { status: 400, body: "wait is a number of milliseconds.\n" },
  ],
  [
    "a URL of 3 KiB",
    refused(`/client/x?${"y".repeat(3_000)}`),
    { status: 414, body: "That URL is too long.\n" },
  ],
  [
    "a URL of 64 KiB",
    answerTo(upgrade(`/${"y".repeat(65_536)}`)),
    {
      status: 431,
      body: '{"error":"Request Header Fields Too Large","message":"Exceeded maximum allowed HTTP header size","statusCode":431}',
    },
  ],
  [
    "an upgrade to something else",
    answerTo(upgrade("/client/x", { Upgrade: "h2c" })),
    { status: 400, body: "Invalid Upgrade header" },
  ],
  [
    "a websocket key that is none",
    answerTo(upgrade("/client/x", { "Sec-WebSocket-Key": "short" })),
    { status: 400, body: "Missing or invalid Sec-WebSocket-Key header" },
  ],
  [
    "a websocket version of the past",
    answerTo(upgrade("/client/x", { "Sec-WebSocket-Version": "7" })),
    { status: 400, body: "Missing or invalid Sec-WebSocket-Version header" },
  ],
  [
    "bytes that are no HTTP",
    answerTo("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    { status: 400, body: '{"error":"Bad Request","message":"Client Error","statusCode":400}' },
  ],
  [
    "a version of the future on /agent",
    closedAfter("/agent/bad", "converge.agent.v9"),
    { code: 4426, reason: "the relay speaks protocol version 1, the other side 9" },
  ],
  [
    "no version on /agent",
    closedAfter("/agent/bad", undefined),
    { code: 4426, reason: "the relay speaks protocol version 1, the other side none" },
  ],
  [
    "a version of the future on /client",
    closedAfter("/client/good", "converge.client.v23"),
    { code: 4426, reason: "the relay speaks protocol version 1, the other side 23" },
  ],
  [
    "an agent at the clients' door",
    closedAfter("/client/good", subprotocols.agent),
    { code: 4426, reason: "this door speaks converge.client.v1, the other side converge.agent.v1" },
  ],
  [
    "a version of the future on /dial",
    async () => {
      const { ticket, end } = await knock("future");
      const seen = await closedAfter(`/dial/${ticket}`, "converge.data.v2")();
      end();
      return seen;
    },
    { code: 4426, reason: "the relay speaks protocol version 1, the other side 2" },
  ],
  [
    "garbage instead of JSON",
    controlAfter((link) => link.say("{")),
    { code: 4400, reason: "not JSON" },
  ],
  ...["[]", "null", "5", '"register"', "{}", '{"type":5}'].map(
    (text) =>
      [
        `${text} as a message`,
        controlAfter((link) => link.say(text)),
        { code: 4400, reason: "not an object with a type" },
      ] as const,
  ),
  ...(
    [
      ["an id that is a number", { id: 5 }, "id: not a rendez-vous id"],
      ["an id with a space in the message", { id: "a b" }, "id: not a rendez-vous id"],
      ["a key that is no base64", { key: "§" }, /^key: /],
      ["a key that is too long", { key: "A".repeat(400) }, /^key: /],
      ["a host that is too long", { host: "x".repeat(2_000) }, /^host: /],
      ["facts that are a list", { facts: [] }, /^facts/],
      ["facts that are missing", { facts: undefined }, /^facts: /],
      ["a shell that is an object", { facts: { ...facts, shell: {} } }, /^facts\.shell: /],
    ] as const
  ).map(
    ([name, over, reason]) =>
      [
        name,
        controlAfter((link) => link.say({ ...right, ...over })),
        { code: 4400, reason },
      ] as const,
  ),
  ...(
    [
      ["a status that is empty", {}, /^status\./],
      [
        "a status with a time below zero",
        { state: "waiting", leftMs: -1, held: false, clients: [] },
        /^status\.leftMs: /,
      ],
      [
        "a status with ten thousand clients",
        {
          state: "waiting",
          leftMs: 1,
          held: false,
          clients: Array.from({ length: 1_001 }, () => ({})),
        },
        /^status\.clients/,
      ],
    ] as const
  ).map(
    ([name, status, reason]) =>
      [
        name,
        controlAfter((link) => link.say({ type: "status", status })),
        { code: 4400, reason },
      ] as const,
  ),
  [
    "a message of an unknown type is ignored, and so is a status before the registration",
    async () => {
      const agent = open("/agent/later-release", subprotocols.agent);
      await until("a challenge", () => agent.heard.length > 0);
      agent.say({ type: "dance", steps: 3 });
      agent.say({
        type: "status",
        status: { state: "waiting", leftMs: 1, held: false, clients: [] },
      });
      agent.socket.ping();
      await new Promise((resolve) => {
        agent.socket.once("pong", resolve);
      });
      const seen = agent.closed();
      agent.socket.terminate();
      return seen;
    },
    null,
  ],
  [
    "a control message that is too large",
    controlAfter((link) => link.say(`"${"x".repeat(70_000)}"`)),
    { code: 1009, reason: "" },
  ],
  [
    "bytes on a control link",
    controlAfter((link) => link.socket.send(Buffer.from("{}"))),
    { code: 4400, reason: "control messages are text" },
  ],
  [
    "text on a data link before the splice",
    async () => {
      const { client, end } = await knock("texting");
      client.say("hello");
      const seen = await client.end;
      end();
      return seen;
    },
    { code: 1003, reason: "binary frames only" },
  ],
  [
    "text on a data link after the splice",
    async () => {
      const { client, ticket, end } = await knock("texting-later");
      const data = open(`/dial/${ticket}`, subprotocols.data);
      data.socket.on("open", () => data.socket.send(Buffer.from("x")));
      await until("a splice", () => client.heard.length > 0);
      data.say("hello");
      const seen = [await data.end, await client.end];
      end();
      return seen;
    },
    [
      { code: 1003, reason: "binary frames only" },
      { code: 1000, reason: "" },
    ],
  ],
  [
    "a frame on a data link that is too large",
    closedAfter("/client/good", undefined, (link) => link.socket.send(Buffer.alloc(5_000_000))),
    { code: 1009, reason: "" },
  ],
  [
    "a ticket that is guessed",
    refused(`/dial/${"A".repeat(22)}`),
    { status: 404, body: ticketSentence },
  ],
  ["a ticket that is a word", refused("/dial/__proto__"), { status: 404, body: ticketSentence }],
  ["no ticket", refused("/dial/"), { status: 404, body: ticketSentence }],
  [
    "a ticket that is used twice",
    async () => {
      const { ticket, end } = await knock("twice");
      const first = open(`/dial/${ticket}`, subprotocols.data);
      await until("a splice", first.isOpen);
      const seen = await refused(`/dial/${ticket}`, subprotocols.data)();
      assert.equal(first.closed(), null);
      end();
      await first.end;
      return seen;
    },
    { status: 404, body: ticketSentence },
  ],
  [
    "a ticket whose client has left",
    async () => {
      const { client, ticket, end } = await knock("left");
      client.socket.terminate();
      await until("the relay forgot it", () =>
        world.relay.rows().every(({ id, clients }) => id !== "left" || clients.length === 0),
      );
      const seen = await refused(`/dial/${ticket}`, subprotocols.data)();
      end();
      return seen;
    },
    { status: 404, body: ticketSentence },
  ],
  [
    "an agent that never answers the challenge",
    controlAfter(async (link) => {
      await world.clock.advance(9_000);
      assert.equal(link.closed(), null);
      await world.clock.advance(2_000);
    }),
    { code: 4408, reason: "the agent did not register in time" },
  ],
  [
    "an agent that never dials back",
    async () => {
      const { client, end } = await knock("never");
      await world.clock.advance(9_000);
      assert.equal(client.closed(), null);
      await world.clock.advance(2_000);
      const seen = await client.end;
      end();
      return seen;
    },
    { code: 4408, reason: "the agent did not answer" },
  ],
  [
    "an agent that summons nobody, and a client that comes while it is half dead",
    async () => {
      const { agent, end } = await knock("half-dead");
      agent.socket.terminate();
      const late = open("/client/half-dead");
      await until("an end or a summons", () => late.closed() ?? late.isOpen());
      await world.clock.advance(11_000);
      const seen = await late.end;
      end();
      return seen.code === 4404 || seen.code === 4408;
    },
    true,
  ],
  [
    "no agent under the id",
    closedAfter("/client/nobody", undefined),
    { code: 4404, reason: "no agent is registered under this id" },
  ],
  ["an ssh client that never says its version", sshAfter(Buffer.alloc(0), 30_000), cutByAgent],
  ["an ssh client that never logs in", sshAfter("SSH-2.0-nobody\r\n", 30_000), cutByAgent],
  ["a web browser instead of ssh", sshAfter("GET / HTTP/1.1\r\n\r\n", 0), partedByAgent],
  ["noise instead of ssh", sshAfter(Buffer.alloc(2_000, 0xa5), 0), cutByAgent],
  ["zeros instead of ssh", sshAfter(Buffer.alloc(100_000), 0), partedByAgent],
  ["ssh of version 1", sshAfter("SSH-1.5-old\r\n", 0), partedByAgent],
  [
    "a packet of 4 GiB",
    sshAfter(Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(64, 0xff)]), 0),
    cutByAgent,
  ],
  [
    "a packet of length zero",
    sshAfter(Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(64)]), 0),
    cutByAgent,
  ],
  [
    "a flood before the pairing is held back, and all of it arrives when it pairs",
    async () => {
      const { agent, client, ticket, end } = await knock("flooded");
      const block = 64 * 1024;
      const blocks = 400;
      for (let n = 0; n < blocks; n += 1) {
        const data = Buffer.alloc(block);
        data.writeUInt32BE(n);
        client.socket.send(data);
      }
      let before = -1;
      let looks = 0;
      await until("the flood stands", () => {
        looks = client.socket.bufferedAmount === before ? looks + 1 : 0;
        before = client.socket.bufferedAmount;
        return looks > 20;
      });
      assert.ok(before > (blocks * block) / 2, `only ${before} were held back`);
      const data = open(`/dial/${ticket}`, subprotocols.data);
      const got = (): number => data.heard.reduce((sum, part) => sum + part.length, 0);
      await until("all of it", () => got() === blocks * block);
      const all = Buffer.concat(data.heard as Buffer[]);
      for (let n = 0; n < blocks; n += 1) assert.equal(all.readUInt32BE(n * block), n);
      agent.socket.terminate();
      end();
      return (await data.end).code;
    },
    closeCodes.peerLost,
  ],
];

test("everything that is wrong has its answer", { timeout: 120_000 }, async (t) => {
  for (const [name, attempt, want] of table)
    await t.test(name, { timeout: 30_000 }, async () => {
      const seen = await attempt();
      const { code, reason } = (want ?? {}) as { code?: number; reason?: unknown };
      if (reason instanceof RegExp) {
        assert.match((seen as { reason: string }).reason, reason);
        assert.equal((seen as { code: number }).code, code);
      } else assert.deepEqual(seen, want);
    });
});

test("after all that the relay holds nothing of it, and a session works as ever", async () => {
  for (const { socket } of strangers) socket.terminate();
  const { pairings } = world.relay.actor.getSnapshot().context;
  await until("no pairing is left", () => {
    const now = world.relay.actor.getSnapshot().context.pairings;
    return now.size === 0;
  });
  assert.ok(pairings.size <= 1);
  await until("no socket is left", () => openFiles() <= filesBefore);
  assert.equal(world.agent.ending(), null);
  assert.deepEqual(
    world.agent.news.map(({ event }) => event),
    ["ready"],
  );
  const said = await world.ssh(["echo fine"]);
  assert.deepEqual([said.status, said.stdout.toString()], [0, "fine\n"], said.stderr);
});

/**
 * Adversary: what somebody who knows the websocket protocol well would try at the relay's doors.
 * Each attempt is answered with the code that RFC 6455 has for it, costs little, and disturbs nobody.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { endPrograms } from "../support/child.ts";
import { frame } from "../support/client-frame.ts";
import { type RelayProgram, relayProgram } from "../support/programs.ts";
import { messages, register, type Stranger, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";

const MiB = 1024 * 1024;
let relay: RelayProgram;
before(async () => {
  relay = await relayProgram(["--connections-per-second", "100000", "--drain-timeout", "5s"]);
});
after(endPrograms);

const statusOf = (pid: number, field: string): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
const residentMiB = (): number => statusOf(relay.pid, "VmRSS") / 1_024;
/** Processor time of the relay so far, in ms. */
const spentMs = (): number => {
  const [, , ...fields] = readFileSync(`/proc/${relay.pid}/stat`, "utf8").split(/\) | /);
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

interface RawLink {
  readonly socket: Socket;
  /** The code of the close frame that came, or what else ended it. */
  readonly end: Promise<number | string>;
}

/** A websocket opened by hand, so that any frame can be sent. */
async function rawLink(path: string, protocol: string): Promise<RawLink> {
  const socket = connect(relay.port, "127.0.0.1");
  socket.on("error", () => {});
  let got = Buffer.alloc(0);
  let isOpen = false;
  socket.on("data", (data: Buffer) => {
    got = Buffer.concat([got, data]);
    if (isOpen && closeIn(got) !== null) socket.destroy();
  });
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${relay.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
  );
  await until("an upgrade", () => got.includes("\r\n\r\n"));
  assert.match(got.toString("latin1"), /^HTTP\/1\.1 101 /);
  got = got.subarray(got.indexOf("\r\n\r\n") + 4);
  isOpen = true;
  const end = once(socket, "close").then(() => closeIn(got) ?? "no close frame");
  return { socket, end };
}

/** The code of the close frame among these whole, unmasked frames; null when there is none. */
function closeIn(frames: Buffer): number | string | null {
  for (let at = 0; at < frames.length; ) {
    const opcode = (frames[at] ?? 0) & 15;
    const short = (frames[at + 1] ?? 0) & 127;
    const head = short === 126 ? 4 : 2;
    const length = short === 126 ? frames.readUInt16BE(at + 2) : short;
    if (opcode === 8) return length >= 2 ? frames.readUInt16BE(at + head) : "an empty close";
    at += head + length;
  }
  return null;
}

/** What is sent, and the close code that answers it. */
const attempts: [string, Buffer, number][] = [
  ["300 MiB announced", frame(0x82, randomBytes(64), 300 * MiB), 1009],
  ["a length of 2^63", frame(0x82, randomBytes(64), Number.MAX_SAFE_INTEGER), 1009],
  ["reserved bits", frame(0xf2, Buffer.from("x")), 1002],
  ["a reserved opcode", frame(0x83, Buffer.from("x")), 1002],
  ["a reserved control opcode", frame(0x8b, Buffer.from("x")), 1002],
  ["no mask", Buffer.from([0x82, 1, 120]), 1002],
  ["a ping of 126 bytes", frame(0x89, Buffer.alloc(126)), 1002],
  ["a ping in pieces", frame(0x09, Buffer.from("x")), 1002],
  ["a continuation of nothing", frame(0x80, Buffer.from("x")), 1002],
  ["a message within another", Buffer.concat([frame(0x02), frame(0x82)]), 1002],
  ["a close of one byte", frame(0x88, Buffer.from([3])), 1002],
  ["a close with a code that is none", frame(0x88, Buffer.from([0, 5])), 1002],
  ["a close whose reason is no UTF-8", frame(0x88, Buffer.from([3, 232, 0xff])), 1007],
];

/** A client and an agent's data link, joined, and the agent that they belong to. */
async function joined(id: string): Promise<{ agent: Stranger; client: RawLink; data: RawLink }> {
  const agent = await register(new URL(relay.url), id);
  const client = await rawLink(`/client/${id}`, subprotocols.client);
  const { ticket } = await until("a summons", () =>
    messages(agent).find(({ type }) => type === "summon"),
  );
  const data = await rawLink(`/dial/${ticket}`, subprotocols.data);
  return { agent, client, data };
}

test("frames that are not right are answered with the code for it, at each door and after the splice", async () => {
  const first = residentMiB();
  const other = await joined("undisturbed");
  const echoed = once(other.data.socket, "data");
  for (const [n, [what, bytes, code]] of attempts.entries()) {
    const control = await rawLink("/agent/abuser", subprotocols.agent);
    const waiting = await rawLink("/client/nobody?wait=60000", subprotocols.client);
    const both = await joined(`abused-${n}`);
    const one = await joined(`abused-too-${n}`);
    for (const { socket } of [control, waiting, both.client, one.data]) socket.write(bytes);
    assert.equal(await control.end, code, `${what}, as an agent`);
    assert.equal(await waiting.end, code, `${what}, while waiting`);
    assert.equal(await both.client.end, code, `${what}, as a client`);
    assert.equal(await one.data.end, code, `${what}, as an agent's data link`);
    assert.ok(typeof (await both.data.end) === "number", "the other side is told");
    assert.ok(typeof (await one.client.end) === "number", "the other side is told");
    for (const { agent } of [both, one]) agent.socket.terminate();
  }
  const grown = residentMiB() - first;
  assert.ok(grown < 32, `${grown} MiB more`);
  other.client.socket.write(frame(0x82, Buffer.from("still here")));
  assert.match(String(await echoed), /still here/);
  other.agent.socket.terminate();
});

test("a control message that comes byte by byte is too much for what it costs", async () => {
  const control = await rawLink("/agent/dripping", subprotocols.agent);
  const [whole, ended] = [frame(0x81, Buffer.alloc(60_000, "x")), control.end];
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  control.socket.setNoDelay();
  for (let at = 0; at < whole.length - 1 && !isOver; at += 1) {
    control.socket.write(whole.subarray(at, at + 1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await ended, 1008);
});

test("100 000 fragments of a byte are too many for a message, and once joined just bytes", async () => {
  const fragments = Buffer.concat(
    Array.from({ length: 100_000 }, (_, n) => frame(n === 0 ? 0x02 : 0x00, Buffer.from("x"))),
  );
  const waiting = await rawLink("/client/nobody?wait=60000", subprotocols.client);
  waiting.socket.write(fragments);
  assert.equal(await waiting.end, 1008);
  const { agent, client, data } = await joined("crumbs");
  let got = 0;
  data.socket.on("data", (bytes: Buffer) => {
    got += bytes.toString("latin1").replace(/[^x]/g, "").length;
  });
  client.socket.write(fragments);
  await until("all of them", () => got === 100_000);
  agent.socket.terminate();
});

test("text on a data link is refused, joined or not", async () => {
  const waiting = await rawLink("/client/nobody?wait=60000", subprotocols.client);
  const { agent, client } = await joined("textual");
  for (const { socket } of [waiting, client]) socket.write(frame(0x81, Buffer.from("hello")));
  assert.deepEqual([await waiting.end, await client.end], [1003, 1003]);
  agent.socket.terminate();
});

test("a request that is too much is answered with 4xx and little work", async () => {
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  const key = `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n`;
  const requests: [string, string, RegExp][] = [
    [
      "3 000 headers",
      `GET / HTTP/1.1\r\nHost: x\r\n${"abcde: fgh\r\n".repeat(3_000)}\r\n`,
      /^4\d\d/,
    ],
    ["a URL of 64 KiB", `GET /${"x".repeat(65_536)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^4\d\d/],
    [
      "a subprotocol of blanks",
      `GET /client/x HTTP/1.1\r\nHost: x\r\n${upgrade}${key}Sec-WebSocket-Protocol: a${" ".repeat(10_240)}b\r\n\r\n`,
      /^4\d\d/,
    ],
    ["an upgrade of /metrics", `GET /metrics HTTP/1.1\r\nHost: x\r\n${upgrade}${key}\r\n`, /^404/],
    [
      "a key that is none",
      `GET /client/x HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Key: x\r\n\r\n`,
      /^400/,
    ],
    [
      "no version",
      `GET /client/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`,
      /^4\d\d/,
    ],
    [
      "two lengths",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
      /^400/,
    ],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      /^400/,
    ],
  ];
  const times = 10;
  for (const [what, bytes, wanted] of requests) {
    const began = spentMs();
    for (let n = 0; n < times; n += 1) {
      const socket = connect(relay.port, "127.0.0.1");
      socket.on("error", () => {});
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
        socket.destroy();
      });
      socket.write(bytes);
      await once(socket, "close");
      assert.match(answer.replace(/^HTTP\/1\.1 /, ""), wanted, what);
    }
    const each = (spentMs() - began) / times;
    assert.ok(each < 50, `${what}: ${each} ms each`);
  }
});

test("the door answers for an id that is there as for one that is not, in one go", async () => {
  const agent = await register(new URL(relay.url), "is-there");
  const key = Buffer.alloc(16).toString("base64");
  const first = async (id: string): Promise<string> => {
    const socket = connect(relay.port, "127.0.0.1");
    socket.write(
      [
        `GET /client/${id}?wait=10000 HTTP/1.1`,
        ...["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
        ...[`Sec-WebSocket-Key: ${key}`, `Sec-WebSocket-Protocol: ${subprotocols.client}`, "", ""],
      ].join("\r\n"),
    );
    const [data] = await once(socket, "data");
    socket.destroy();
    return data.toString("latin1");
  };
  // What is said of the id comes with the answer itself, before the agent is asked: no time tells them apart.
  for (let n = 0; n < 20; n += 1)
    for (const [id, word] of [
      ["is-there", "found"],
      ["is-not-there", "waiting"],
    ] as const)
      assert.match(
        await first(id),
        new RegExp(`^HTTP/1\\.1 101 [^]*\\r\\n\\r\\n..(?:..)?\\{"type":"${word}"`),
      );
  agent.socket.terminate();
});

test("SIGTERM in the middle of a hundred pairings: each is joined or told to try again", async () => {
  const agents = await Promise.all(
    Array.from({ length: 10 }, (_, n) => register(new URL(relay.url), `busy-${n}`)),
  );
  const links = Array.from({ length: 100 }, (_, n) =>
    stranger(`${relay.url}/client/busy-${n % 10}`, subprotocols.client),
  );
  await until("all have knocked", () => links.every((link) => link.isOpen()));
  const tickets = await until("all are summoned", () => {
    const all = agents.flatMap((agent) => messages(agent).filter(({ type }) => type === "summon"));
    return all.length === 100 ? all.map(({ ticket }) => ticket) : null;
  });
  const dial = (some: unknown[]): Stranger[] =>
    some.map((ticket) => stranger(`${relay.url}/dial/${ticket}`, subprotocols.data));
  const early = dial(tickets.slice(0, 50));
  await until("half are joined", () => early.every((link) => link.isOpen()));
  const began = performance.now();
  relay.kill("SIGTERM");
  const late = dial(tickets.slice(50));
  const { status } = await relay.exited;
  assert.equal(status, 143);
  assert.ok(performance.now() - began < 5_000 + 10_000);
  const ends = await Promise.all(links.map((link) => link.end));
  for (const { code, reason } of ends) assert.equal(code, 4503, reason);
  await until("the late ones have their answer", () =>
    late.every((link) => link.refusal() ?? link.closed()),
  );
  const heard = links.filter((link) => messages(link).some(({ type }) => type === "spliced"));
  assert.ok(heard.length >= 50, `${heard.length} were joined`);
});

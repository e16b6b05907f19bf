/**
 * Client link and fast dial beside `ws`: the same server, the same bytes, the same ends and the same
 * sentences, whichever of the two dials.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";
import { after, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { reasonOf } from "../../../src/actors/errors.ts";
import type { DialConfig } from "../../../src/io/dial/config.ts";
import { dial } from "../../../src/io/dial/dial.ts";
import { fastDial } from "../../../src/io/dial/fast-dial.ts";
import { ClientLink } from "../../../src/io/websocket/client-link.ts";
import type { DataLink } from "../../../src/io/websocket/link.ts";
import { until } from "../../support/until.ts";

const servers: { close(): void }[] = [];
after(() => {
  for (const server of servers) server.close();
});
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const configFor = (port: number, subprotocol: string | null = "x.v1"): DialConfig => ({
  url: new URL(`ws://127.0.0.1:${port}/client/it?wait=1`),
  subprotocol,
  trust: { ca: null, insecure: false },
  maxPayload: 1024 * 1024,
  isCiphertext: true,
});
const never = new AbortController().signal;
const dials = [
  ["ws", dial],
  ["the fast one", fastDial],
] as const;

/** A server of `ws`, and what it does with each link. */
async function serve(act: (link: WebSocket) => void): Promise<number> {
  const http = createServer().listen(0, "127.0.0.1");
  await once(http, "listening");
  const server = new WebSocketServer({ server: http });
  server.on("connection", act);
  servers.push({
    close: () => {
      for (const link of server.clients) link.terminate();
      http.close();
    },
  });
  return portOf(http);
}

/** A server that answers with these bytes, once it has a request. */
async function answer(
  bytes: (request: string) => string | Buffer,
  isOver = true,
  goOn: (socket: Socket) => void = () => {},
): Promise<number> {
  const server = createTcpServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", (request) => {
      const said = bytes(String(request));
      if (isOver) socket.end(said, "latin1");
      else socket.write(said, "latin1");
      goOn(socket);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  return portOf(server);
}

const acceptOf = (request: string): string =>
  createHash("sha1")
    .update(
      `${/Sec-WebSocket-Key: (.+)\r/i.exec(request)?.[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
    )
    .digest("base64");
const welcome = (request: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(request)}\r\nSec-WebSocket-Protocol: x.v1\r\n\r\n`;

/** A frame of a server, its payload shorter than 126 bytes. */
const frame = (opcode: number, payload: string): string =>
  String.fromCharCode(0x80 | opcode, payload.length) + payload;

/** What a link says until it is closed: its texts, its bytes in one, and its end. */
async function story(link: DataLink, what = "a close") {
  const texts: string[] = [];
  const bytes: Buffer[] = [];
  let end: [number, string] | null = null;
  link.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary) bytes.push(data);
    else texts.push(String(data));
  });
  link.on("close", (code: number, reason: Buffer) => {
    end = [code, String(reason)];
  });
  link.resume();
  await until(what, () => end);
  return { texts, bytes: Buffer.concat(bytes), end };
}

test("texts and bytes of every size come as they do with ws, and go out again", async () => {
  const sizes = [
    0,
    1,
    125,
    126,
    65_535,
    65_536,
    200_000,
    ...Array.from({ length: 20 }, () => randomInt(3_000)),
  ];
  const parts = sizes.map((size) => randomBytes(size));
  const all = Buffer.concat(parts);
  const port = await serve((link) => {
    link.send("first");
    for (const part of parts) link.send(part);
    link.send("last");
    let got = 0;
    link.on("message", (data: Buffer) => {
      link.send(data);
      got += data.length;
      if (got === all.length) link.close(1000, "done");
    });
  });
  for (const [name, open] of dials) {
    const link = await open(configFor(port, null), never);
    if (name !== "ws") assert.ok(link instanceof ClientLink);
    for (const part of parts) link.send(part);
    const { texts, bytes, end } = await story(link);
    assert.deepEqual(texts, ["first", "last"], name);
    assert.ok(bytes.equals(Buffer.concat([all, all])), name);
    assert.deepEqual(end, [1000, "done"], name);
  }
});

test("frames of a server, right and wrong, end a link as they end that of ws", async () => {
  const rows: [string, number[], number][] = [
    ["a close with a code and a reason", [0x88, 4, 0x11, 0x94, 104, 105], 4500],
    ["a close without a code", [0x88, 0], 1005],
    ["no close", [], 1006],
    [
      "a message in pieces, with a ping between",
      [2, 1, 97, 0x89, 0, 0, 1, 98, 0x80, 1, 99, 0x88, 0],
      1005,
    ],
    ["reserved bits", [0xc2, 1, 97], 1006],
    ["a reserved opcode", [0x83, 1, 97], 1006],
    ["a mask", [0x82, 0x81, 0, 0, 0, 0, 97], 1006],
    ["a long ping", [0x89, 126, 0, 126], 1006],
    ["a ping in pieces", [0x09, 0], 1006],
    ["a continuation of nothing", [0x80, 0], 1006],
    ["a message within another", [2, 0, 0x82, 0], 1006],
    ["a close of one byte", [0x88, 1, 3], 1006],
    ["a close with a code that nobody may send", [0x88, 2, 3, 0xed], 1006],
    ["a close whose reason is no text", [0x88, 3, 3, 0xe8, 0xff], 1006],
    ["a text and a close", [0x81, 1, 97, 0x88, 0], 1005],
    ["an empty text and a close", [0x81, 0, 0x88, 0], 1005],
    ["too much", [0x82, 127, 0, 0, 0, 0, 0, 16, 0, 1], 1006],
    ["far too much", [0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1006],
  ];
  for (const [what, frames, code] of rows) {
    const port = await answer((request) =>
      Buffer.concat([Buffer.from(welcome(request)), Buffer.from(frames)]),
    );
    for (const [name, open] of dials) {
      const { end, bytes, texts } = await story(
        await open(configFor(port), never),
        `the end of ${name} after ${what}`,
      );
      assert.equal(end?.[0], code, `${what}, ${name}`);
      if (what.includes("text and")) assert.deepEqual(texts, [what.startsWith("a ") ? "a" : ""]);
      if (what.startsWith("a message in")) assert.equal(String(bytes), "abc", name);
    }
  }
});

test("answers that are no websocket are told in the same words", async () => {
  const text = (status: string, body: string, type = "text/plain"): string =>
    `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const rows: [string, (request: string) => string][] = [
    ["a sentence", () => text("404 Not Found", "There is nothing.\n")],
    ["a sentence worth another try", () => text("503 Service Unavailable", "Later.\n")],
    ["too many", () => text("429 Too Many", "Wait.\n")],
    ["a page", () => text("403 Forbidden", "<html>", "text/html")],
    [
      "a redirect",
      () =>
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
    ],
    ["another key", (request) => welcome(request).replace(/Accept: .*/, "Accept: AAAA")],
    [
      "no upgrade",
      (request) => welcome(request).replace("Upgrade: websocket\r\n", "Upgrade: x\r\n"),
    ],
    ["another subprotocol", (request) => welcome(request).replace("x.v1", "y.v1")],
    ["nothing at all", () => ""],
  ];
  for (const [what, bytes] of rows) {
    const port = await answer(bytes);
    const said: string[] = [];
    for (const [, open] of dials)
      await open(configFor(port), never).then(
        () => said.push("a link"),
        (error) => said.push(`${error.code} ${reasonOf(error)}`.replaceAll(String(port), "PORT")),
      );
    assert.equal(said[0], said[1], what);
    assert.notEqual(said[0], "a link", what);
  }
});

test("an answer that drips, and one without end, is waited for no longer than it must", async () => {
  const endless = await answer(() => `HTTP/1.1 101 X\r\nA: ${"x".repeat(40_000)}`, false);
  await assert.rejects(fastDial(configFor(endless), never), /its answer is too long/);
  const stop = new AbortController();
  const silent = await answer(() => "", false);
  const dialled = fastDial(configFor(silent), stop.signal);
  stop.abort();
  await assert.rejects(dialled, /it was given up/);
});

test("what came with the answer waits for a reader, and a paused one gets nothing", async () => {
  const port = await answer((request) => `${welcome(request)}\x82\x01a\x82\x01b`, false);
  const link = await fastDial(configFor(port), never);
  const heard: string[] = [];
  link.on("message", (data: Buffer) => heard.push(String(data)));
  assert.deepEqual([link.isPaused, heard], [true, []]);
  link.resume();
  await until("both", () => heard.join("") === "ab");
  link.terminate();
});

test("texts and bytes keep their order, however the frames are cut", async () => {
  const parts = ["\x02a", "\x01<b>", "\x01<>", "\x02c", "\x09ping", "\x02d", "\x01<e>", "\x02f"];
  const frames = parts.map((part) => frame(part.charCodeAt(0), part.slice(1))).join("");
  for (const most of [1, 2, 3, 5, 1_000]) {
    const port = await answer(welcome, false, async (socket) => {
      for (let at = 0; at < frames.length; at += most) {
        socket.write(frames.slice(at, at + most), "latin1");
        await new Promise(setImmediate);
      }
    });
    const link = await fastDial(configFor(port), never);
    const heard: string[] = [];
    link.on("message", (data: Buffer, isBinary: boolean) =>
      heard.push(isBinary === String(data).startsWith("<") ? "mixed up" : String(data)),
    );
    link.resume();
    await until("the last", () => heard.at(-1)?.endsWith("f"));
    assert.equal(heard.join(""), "a<b><>cd<e>f", `${most} bytes at a time`);
    link.terminate();
  }
});

test("a link that is closed says so to whoever sends on it, as that of ws does", async () => {
  const port = await serve(() => {});
  for (const [name, open] of dials) {
    const link = await open(configFor(port, null), never);
    link.terminate();
    link.resume();
    await until(`the end of ${name}`, () => link.readyState === link.CLOSED);
    const error = await new Promise<unknown>((resolve) => link.send(Buffer.from("x"), resolve));
    assert.ok(error instanceof Error, name);
  }
});

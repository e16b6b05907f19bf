/**
 * Server link beside `ws`: the same bytes from a client get the same bytes as an answer, and are told
 * as the same payload and the same end, whole and in pieces, over TCP and TLS.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type WebSocket, WebSocketServer } from "ws";
import { frameOf, opcodes } from "../../../src/io/websocket/frames.ts";
import { ServerLink } from "../../../src/io/websocket/server-link.ts";
import { certificates } from "../../support/certificates.ts";
import { frame } from "../../support/client-frame.ts";
import { handClock } from "../../support/clock.ts";
import { until } from "../../support/until.ts";

const mostBytes = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), "converge-link-"));
const { certFile, keyFile } = certificates(folder).issue("relay", "IP:127.0.0.1");
const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
const clock = handClock();
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
  clock.stop();
  rmSync(folder, { recursive: true });
});

/** What the server's side saw, and what it can do. */
interface Near {
  readonly payload: Buffer[];
  end: number | null;
  close(code: number, reason: string): void;
  /** Bytes that wait to be written. */
  waiting(): number;
}

type Serve = (server: Server, near: Near) => void;

const withWs: Serve = (http, near) => {
  const server = new WebSocketServer({ server: http, maxPayload: mostBytes });
  server.on("connection", (link: WebSocket) => {
    link.on("message", (data: Buffer) => near.payload.push(data));
    link.on("error", () => {});
    link.on("close", (code) => {
      near.end = code;
    });
    near.close = (code, reason) => link.close(code, reason);
  });
};

const withOurs: Serve = (http, near) => {
  const server = new WebSocketServer({
    server: http,
    clientTracking: false,
    WebSocket: ServerLink as never,
  });
  server.on("connection", (arrived) => {
    const link = arrived as unknown as ServerLink;
    const sink = {
      take: ({ buffer }: ServerLink, start: number, end: number) => {
        near.payload.push(Buffer.from(buffer.bytes.subarray(start, end)));
      },
      closed: (code: number) => {
        near.end = code;
      },
      failed: (error: unknown) => {
        throw error;
      },
    };
    link.begin(sink, mostBytes, clock);
    near.close = (code, reason) => link.close(code, reason);
    near.waiting = () => link.bufferedAmount;
  });
};

/** A connection, after its handshake, with `head` sent in the same packet. */
async function open(serve: Serve, isTls: boolean, head: Buffer = Buffer.alloc(0)) {
  const near: Near = { payload: [], end: null, close: () => {}, waiting: () => 0 };
  const http = isTls ? createTlsServer(pair) : createServer();
  http.on("connection", (socket) => socket.on("error", () => {}));
  servers.push(http);
  serve(http, near);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  const socket: Socket = isTls
    ? connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false })
    : connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const closed = once(socket, "close");
  let got = Buffer.alloc(0);
  socket.on("data", (data: Buffer) => {
    got = Buffer.concat([got, data]);
  });
  const request = `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
  socket.write(Buffer.concat([Buffer.from(request), head]));
  await until("an upgrade", () => got.includes("\r\n\r\n"));
  return { socket, near, closed, answer: () => got.subarray(got.indexOf("\r\n\r\n") + 4) };
}

const closeWith = (code: number, reason = ""): Buffer =>
  frame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
const done = closeWith(1000);

const scripts: [string, Buffer[]][] = [
  ["nothing but a close", [done]],
  ["a close without a code", [frame(0x88)]],
  ["a close with a reason", [closeWith(4000, "so it is: é")]],
  ["a close of 125 bytes", [closeWith(1000, "x".repeat(123))]],
  ["bytes after a close", [done, frame(0x82, "late")]],
  ["pings, empty and full", [frame(0x89), frame(0x89, "x".repeat(125)), done]],
  ["a pong nobody asked for", [frame(0x8a, "hello"), frame(0x82, "x"), done]],
  [
    "messages of every size",
    [0, 1, 125, 126, 65_535, 65_536, 500_000].map((n) => frame(0x82, randomBytes(n))).concat(done),
  ],
  ["a ping within a message", [frame(0x02, "a"), frame(0x89, "p"), frame(0x80, "b"), done]],
  [
    "a message of many frames",
    [frame(0x02, "a"), ...Array.from({ length: 500 }, () => frame(0x00, "b")), frame(0x80), done],
  ],
  ["a frame that is too long", [frame(0x82, "x", mostBytes + 1)]],
  ["a length of 2^53", [frame(0x82, "x", Number.MAX_SAFE_INTEGER)]],
  ["reserved bits", [frame(0xc2, "x")]],
  ["reserved bits in a ping", [frame(0xd9, "x")]],
  ["a reserved opcode", [frame(0x83, "x")]],
  ["a reserved control opcode", [frame(0x8b, "x")]],
  ["no mask", [Buffer.from([0x82, 1, 120])]],
  ["a ping of 126 bytes", [frame(0x89, Buffer.alloc(126))]],
  ["a ping in pieces", [frame(0x09, "x")]],
  ["a continuation of nothing", [frame(0x80, "x")]],
  ["a message within another", [frame(0x02), frame(0x82)]],
  ["a close of one byte", [frame(0x88, Buffer.from([3]))]],
  ["a reason that is no UTF-8", [frame(0x88, Buffer.from([3, 232, 0xff]))]],
  ...[0, 999, 1003, 1004, 1005, 1006, 1014, 1015, 2999, 3000, 4999, 5000].map(
    (code): [string, Buffer[]] => [`the close code ${code}`, [closeWith(code)]],
  ),
];

/** How a script is cut into writes; null is with the request. */
const cuts: [string, number | null][] = [
  ["with the request", null],
  ["at once", Number.MAX_SAFE_INTEGER],
  ["in pieces", 5],
];

/** What one server makes of a script. */
async function outcome(serve: Serve, isTls: boolean, bytes: Buffer, cut: number | null) {
  const head = cut === null ? bytes : undefined;
  const { socket, near, closed, answer } = await open(serve, isTls, head);
  const step = cut !== null && bytes.length > 10_000 ? bytes.length : (cut ?? bytes.length);
  for (let at = 0; cut !== null && at < bytes.length; at += step) {
    if (!socket.writable) break; // a fault may be answered before all is sent
    socket.write(bytes.subarray(at, at + step));
    if (step < bytes.length) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  await until("its end", () => near.end !== null);
  return { answer: answer().toString("hex"), end: near.end, payload: Buffer.concat(near.payload) };
}

for (const isTls of [false, true])
  for (const [how, cut] of cuts)
    test(`${how}, over ${isTls ? "TLS" : "TCP"}: what ws makes of it`, async () => {
      const compare = async ([what, parts]: (typeof scripts)[number]): Promise<void> => {
        const bytes = Buffer.concat(parts);
        const wanted = await outcome(withWs, isTls, bytes, cut);
        assert.deepEqual(await outcome(withOurs, isTls, bytes, cut), wanted, what);
      };
      await Promise.all(scripts.map(compare));
    });

for (const [name, serve] of [
  ["ws", withWs],
  ["ours", withOurs],
] as const) {
  test(`${name}: a close of the server's own is answered, and told with the answer's code`, async () => {
    const { socket, near, closed, answer } = await open(serve, false);
    near.close(4410, "gone");
    await until("the close frame", () => answer().length > 0);
    assert.deepEqual(answer(), frameOf(opcodes.close, Buffer.from("\x11\x3agone", "latin1")));
    socket.write(Buffer.concat([frame(0x82, "still on its way"), closeWith(4410)]));
    await closed;
    await until("its end", () => near.end !== null);
    assert.deepEqual([near.end, String(Buffer.concat(near.payload))], [4410, "still on its way"]);
  });

  test(`${name}: a client that hangs up, and one that resets, is lost`, async () => {
    for (const leave of [(s: Socket) => s.end(), (s: Socket) => s.resetAndDestroy()]) {
      const { socket, near } = await open(serve, false);
      socket.write(frame(0x82, "x"));
      await until("its byte", () => near.payload.length > 0);
      leave(socket);
      await until("its end", () => near.end !== null);
      assert.equal(near.end, 1006);
    }
  });
}

for (const isTls of [false, true])
  test(`a client that does not answer a close, over ${isTls ? "TLS" : "TCP"}, is let go after two seconds`, async () => {
    const { near, closed, answer } = await open(withOurs, isTls);
    near.close(1000, "");
    await until("the close frame", () => answer().length > 0);
    await clock.advance(1_900);
    assert.equal(near.end, null);
    await clock.advance(200);
    await until("its end", () => near.end !== null, 5_000);
    await closed;
    assert.equal(near.end, 1006);
  });

test("pings of a client that does not read the answers fill no memory", async () => {
  const { socket, near } = await open(withOurs, false);
  socket.pause();
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(0x89, "x".repeat(125))));
  for (let n = 0; n < 20; n += 1) socket.write(pings);
  socket.write(frame(0x82, "after them"));
  await until("all were read", () => near.payload.length > 0);
  assert.ok(near.waiting() < 100 * 1024, `${near.waiting()} bytes wait`);
  socket.destroy();
});

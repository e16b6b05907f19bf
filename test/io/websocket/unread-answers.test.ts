/**
 * Answers that nobody reads: a peer pings without end and takes nothing in. Whoever of us is at the
 * other end keeps no more than a bound of them, and the link stays.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { after, before, test } from "node:test";
import type { DialConfig } from "../../../src/io/dial/config.ts";
import { dial } from "../../../src/io/dial/dial.ts";
import { fastDial } from "../../../src/io/dial/fast-dial.ts";
import { subprotocols } from "../../../src/io/protocol/wire.ts";
import { ClientLink } from "../../../src/io/websocket/client-link.ts";
import { pongMostBytes } from "../../../src/io/websocket/link.ts";
import { linkStream, readLinkInPlace } from "../../../src/io/websocket/link-stream.ts";
import { handClock } from "../../support/clock.ts";
import { openRelay } from "../../support/relay.ts";
import { until } from "../../support/until.ts";

/** More than the two kernels' buffers hold, several times. */
const floodBytes = 48 * 1024 * 1024;
const ping = Buffer.concat([Buffer.from([0x89, 125]), Buffer.alloc(125)]);
const pings = Buffer.concat(Array.from({ length: 500 }, () => ping));
/** RFC 6455 5.2: the same from a client, with a mask of zeros. */
const maskedPings = Buffer.concat(
  Array.from({ length: 500 }, () =>
    Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125)]),
  ),
);
const never = new AbortController().signal;

/** Writes that many bytes of pings and reads nothing. */
async function flood(socket: Socket, what: Buffer): Promise<void> {
  socket.pause();
  for (let sent = 0; sent < floodBytes && !socket.destroyed; sent += what.length)
    await new Promise<void>((resolve) => socket.write(what, () => resolve()));
}

/** The most that waits in any socket of this process but the flood's own, while the flood lasts. */
async function mostWaiting(own: () => Socket | null, flooding: Promise<void>): Promise<number> {
  let isOver = false;
  void flooding.then(() => {
    isOver = true;
  });
  let most = 0;
  await until("the flood is over", () => {
    const { _getActiveHandles } = process as unknown as { _getActiveHandles(): unknown[] };
    for (const handle of _getActiveHandles())
      if (handle instanceof Socket && handle !== own() && handle.remotePort !== undefined)
        most = Math.max(most, handle.writableLength);
    return isOver;
  });
  return most;
}

/** A relay that answers the upgrade and then floods. */
const hostile = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (request) => {
    const key = /Sec-WebSocket-Key: (.+)\r/i.exec(String(request))?.[1];
    const accept = createHash("sha1")
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    // A frame of data first: only after one is a link read in place.
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: x.v1\r\n\r\n\x82\x01a`,
      "latin1",
    );
    begun?.(socket);
  });
}).listen(0, "127.0.0.1");
let begun: ((socket: Socket) => void) | null = null;
before(async () => {
  if (!hostile.listening) await once(hostile, "listening");
});
after(() => hostile.close());

const config = (isCiphertext: boolean): DialConfig => ({
  url: new URL(`ws://127.0.0.1:${(hostile.address() as AddressInfo).port}/client/x`),
  subprotocol: "x.v1",
  trust: { ca: null, insecure: false },
  maxPayload: 1024 * 1024,
  isCiphertext,
});

for (const [name, open] of [
  ["wsproxy's link", async () => await fastDial(config(true), never)],
  ["the agent's control link", async () => await dial(config(false), never)],
  [
    "the agent's data link",
    async () => {
      const link = await dial(config(true), never);
      linkStream(link)
        .resume()
        .on("error", () => {});
      return link;
    },
  ],
  [
    "the agent's data link, read in place",
    async () => {
      const link = await dial(config(true), never);
      const stream = linkStream(link)
        .resume()
        .on("error", () => {});
      readLinkInPlace(link, stream);
      return link;
    },
  ],
] as const)
  test(`${name} keeps at most 64 KiB of answers, and stays`, async () => {
    let flooder: Socket | null = null;
    const met = new Promise<Socket>((resolve) => {
      begun = resolve;
    });
    const link = await open();
    assert.equal(link instanceof ClientLink, name.startsWith("wsproxy"));
    link.resume();
    flooder = await met;
    const most = await mostWaiting(() => flooder, flood(flooder, pings));
    assert.ok(most >= pongMostBytes / 2, `only ${most} bytes waited: nothing was tried`);
    assert.ok(most <= pongMostBytes + 200, `${most} bytes waited`);
    assert.equal(link.readyState, link.OPEN);
    link.terminate();
    flooder.destroy();
  });

for (const door of ["agent", "client"] as const)
  test(`the relay keeps few answers for whoever floods /${door}, and stays`, async () => {
    const clock = handClock();
    const relay = await openRelay(clock);
    const socket = connect(Number(relay.url.port), "127.0.0.1");
    socket.on("error", () => {});
    socket.write(
      `GET /${door}/x?wait=60000 HTTP/1.1\r\nHost: ${relay.url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${subprotocols[door]}\r\n\r\n`,
    );
    await once(socket, "data");
    const most = await mostWaiting(() => socket, flood(socket, maskedPings));
    // On a data link 64 of them wait, of 127 bytes at most.
    const bound = door === "client" ? 64 * 127 : pongMostBytes;
    assert.ok(most >= bound / 2, `only ${most} bytes waited: nothing was tried`);
    assert.ok(most <= bound + 200, `${most} bytes waited`);
    assert.equal(socket.destroyed, false);
    socket.destroy();
    await relay.close();
    clock.stop();
  });

/**
 * What is kept of a link before and after the splice costs what its bytes are, however they were
 * cut: memory is measured, with real sockets, one frame a read.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { WebSocketServer } from "ws";
import { type Links, openLinks } from "../../../src/io/relay/links.ts";
import { earlyBytes } from "../../../src/io/relay/splice.ts";
import { FrameReader, frontBytes } from "../../../src/io/websocket/frames.ts";
import { sharedBuffer } from "../../../src/io/websocket/read-buffers.ts";
import { ServerLink } from "../../../src/io/websocket/server-link.ts";
import type { LinkId } from "../../../src/machines/vocabulary.ts";
import { certificates } from "../../support/certificates.ts";
import { frame } from "../../support/client-frame.ts";
import { handClock } from "../../support/clock.ts";
import { until } from "../../support/until.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const folder = mkdtempSync(join(tmpdir(), "converge-early-"));
const { certFile, keyFile } = certificates(folder).issue("relay", "IP:127.0.0.1");
const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
after(() => rmSync(folder, { recursive: true }));

/** What V8 and its buffers take, after everything that nobody has was freed. */
function memory(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external; // buffers are in the latter
}

/** What a process does besides moves it by so much. */
const besides = 2 * 1024 * 1024;

interface Pair {
  readonly far: Socket;
  readonly near: ServerLink;
  readonly id: LinkId;
}

async function inLinks(
  isTls: boolean,
  act: (open: () => Promise<Pair>, links: Links) => Promise<void>,
): Promise<void> {
  const clock = handClock({ pings: false });
  const links = openLinks(clock, assert.fail);
  const http = isTls ? createTlsServer(pair) : createServer();
  const server = new WebSocketServer({
    server: http,
    clientTracking: false,
    WebSocket: ServerLink as never,
  });
  const near: ServerLink[] = [];
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  const open = async (): Promise<Pair> => {
    const where = { host: "127.0.0.1", port, rejectUnauthorized: false };
    const socket: Socket = isTls ? connectTls(where) : connect(where);
    socket.on("error", () => {});
    socket.setNoDelay();
    const arrival = once(server, "connection");
    socket.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    await once(socket, "data");
    const [link] = (await arrival) as unknown as [ServerLink];
    near.push(link);
    return { far: socket, near: link, id: links.addData(link) };
  };
  try {
    await act(open, links);
  } finally {
    for (const socket of near) socket.terminate(); // what is paused sees no end
    await until("all links are gone", () => links.size() === 0);
    http.close();
    clock.stop();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Sends a frame at a time, each as soon as the one before was read, until it is not read any more. */
async function sendEach({ far, near }: Pair, bytes: Buffer): Promise<void> {
  while (!near.isPaused) {
    const before = near.bytesRead;
    far.write(bytes);
    while (near.bytesRead === before && !near.isPaused) await turn();
  }
}

/** So many more of them, each by itself, whether anybody reads or not. */
async function sendOn({ far }: Pair, bytes: Buffer, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    far.write(bytes);
    await turn();
  }
}

for (const isTls of [false, true])
  for (const [what, size, parked] of [
    ["one byte a frame", 1, 3],
    ["in frames of 100 bytes", 100, 20],
    ["in one frame of a million", 1_000_000, 20],
  ] as const)
    test(`before the splice, ${what}, over ${isTls ? "TLS" : "TCP"}: at most twice the bound is kept`, () =>
      inLinks(isTls, async (open) => {
        const bytes = frame(0x82, randomBytes(size));
        const fill = async (pairs: readonly Pair[]): Promise<void> => {
          await Promise.all(pairs.map((each) => sendEach(each, bytes)));
          await Promise.all(pairs.map((each) => sendOn(each, bytes, size > 1_000 ? 1 : 3_000)));
        };
        await fill([await open()]); // what is made once, by the test too
        const pairs: Pair[] = [];
        while (pairs.length < parked) pairs.push(await open());
        const before = memory();
        await fill(pairs);
        const grown = memory() - before;
        assert.ok(grown <= parked * 2 * earlyBytes + besides, `${grown} bytes`);
      }));

test("pings of who does not read the answers cost next to nothing", () =>
  inLinks(false, async (open) => {
    const { far, near } = await open();
    far.pause();
    const large = Buffer.alloc(16 * 1024, frame(0x8a, "no frame of ours, and nobody reads it"));
    while (near.bufferedAmount === 0) {
      near.write(large);
      await turn();
    }
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame(0x89)));
    const before = memory();
    const from = near.bytesRead;
    for (let n = 1; n <= 100; n += 1) far.write(pings);
    await until("they were read", () => near.bytesRead - from === 100 * pings.length);
    const grown = memory() - before;
    assert.ok(grown <= besides, `${grown} bytes`);
  }));

test("small frames for who does not read them cost what they are counted as", () =>
  inLinks(false, async (open, links) => {
    const [client, agent] = [await open(), await open()];
    agent.far.pause();
    assert.ok(links.splice(client.id, agent.id, () => {}));
    const large = frame(0x82, randomBytes(60_000));
    while (agent.near.bufferedAmount === 0) {
      client.far.write(large);
      await turn();
    }
    const before = memory();
    await sendEach(client, frame(0x82, "x"));
    const grown = memory() - before;
    assert.ok(grown <= 2 * 1024 * 1024 + besides, `${grown} bytes`);
  }));

for (const isTls of [false, true])
  test(`what waits for its splice and for a slow reader comes whole, over ${isTls ? "TLS" : "TCP"}`, () =>
    inLinks(isTls, async (open, links) => {
      const [client, agent] = [await open(), await open()];
      const sent = createHash("sha256");
      const got = createHash("sha256");
      const total = 200 * 100_000;
      for (let n = 0; n < 200; n += 1) {
        const data = randomBytes(100_000);
        sent.update(data);
        client.far.write(frame(0x82, data));
      }
      await until("it waits", () => client.near.isPaused);
      const reader = new (class extends FrameReader {
        bytes = 0;
        hear(chunk: Buffer): void {
          for (let at = 0; at < chunk.length; ) {
            const count = chunk.copy(sharedBuffer.bytes, frontBytes, at);
            this.read(sharedBuffer, frontBytes, count);
            got.update(sharedBuffer.bytes.subarray(this.start, this.end));
            this.bytes += this.end - this.start;
            at += count;
          }
        }
        protected other(): void {}
      })(2 ** 31, false);
      agent.far.on("data", (chunk: Buffer) => {
        reader.hear(chunk);
        agent.far.pause();
        setImmediate(() => agent.far.resume());
      });
      assert.ok(links.splice(client.id, agent.id, () => {}));
      await until("all of it", () => reader.bytes === total);
      assert.equal(got.digest("hex"), sent.digest("hex"));
      assert.ok(links.totals().pauses > 0);
    }));

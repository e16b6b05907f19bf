/**
 * Link stream: what `ws` sends comes out of it, whether `ws` reads it or it is read in place, in
 * whatever frames, with pings in between, heard or paused; and an end is an end.
 */
import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { linkStream, readLinkInPlace } from "../../../src/io/websocket/link-stream.ts";
import { rawOf } from "../../../src/io/websocket/raw-socket.ts";
import { until } from "../../support/until.ts";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
after(() => server.close());

/** A link as the agent has it, its stream, and the other side. */
async function open() {
  if (!server.address()) await once(server, "listening");
  const arrival = once(server, "connection");
  const link = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    allowSynchronousEvents: true,
  });
  const [far] = (await arrival) as [WebSocket];
  if (link.readyState !== link.OPEN) await once(link, "open");
  const stream = linkStream(link);
  const got: Buffer[] = [];
  const memories = new Set<ArrayBufferLike>();
  stream.on("data", (data: Buffer) => {
    got.push(Buffer.from(data)); // it may lie where the next one will
    memories.add(data.buffer);
  });
  return { link, far, stream, got, memories, all: () => Buffer.concat(got) };
}

/** Resolves when it is read in place: `ws` has nothing more to do with what comes. */
const inPlace = async ({ link, stream }: Awaited<ReturnType<typeof open>>): Promise<void> => {
  readLinkInPlace(link, stream);
  const raw = rawOf(link) as object;
  const isRead = (): boolean =>
    Object.getOwnPropertySymbols(raw).some(({ description }) => description === "reader");
  await until("a reader", isRead);
};

test("frames of all sizes, pings between them, in place: the same bytes, out of one memory", async () => {
  const world = await open();
  const parts = [
    0,
    1,
    125,
    126,
    65_535,
    65_536,
    300_000,
    ...Array.from({ length: 50 }, () => randomInt(40_000)),
  ].map((size) => randomBytes(size));
  const [first = Buffer.alloc(0), ...rest] = parts.slice(1);
  world.far.send(first);
  await until("the first, by ws", () => world.all().length === first.length);
  await inPlace(world);
  world.memories.clear();
  let pongs = 0;
  world.far.on("pong", () => {
    pongs += 1;
  });
  for (const part of rest) {
    world.far.ping("still there?");
    world.far.send(part);
  }
  const wanted = Buffer.concat([first, ...rest]);
  await until("all of it", () => world.all().length >= wanted.length);
  assert.ok(world.all().equals(wanted));
  assert.equal(world.memories.size, 1);
  await until("each ping's answer", () => pongs === rest.length);
  world.link.terminate();
});

test("what comes while nobody listens is kept, in order, and the other side has to wait", async () => {
  const world = await open();
  await inPlace(world);
  const sent = randomBytes(32 * 1024 * 1024);
  world.stream.pause();
  for (let at = 0; at < sent.length; at += 64 * 1024)
    world.far.send(sent.subarray(at, at + 64 * 1024));
  await until("the link is paused", () => world.link.isPaused);
  assert.equal(world.all().length, 0);
  assert.ok(world.stream.readableLength < 1024 * 1024);
  world.stream.resume();
  await until("all of it", () => world.all().length >= sent.length);
  assert.ok(world.all().equals(sent));
  world.link.terminate();
});

test("a close in order ends the stream after everything, with the code that was sent", async () => {
  const world = await open();
  await inPlace(world);
  const ended = once(world.stream, "end");
  const closed = once(world.link, "close");
  world.far.send(Buffer.from("last words"));
  world.far.close(4410, "gone");
  const [code, reason] = await closed;
  await ended;
  assert.deepEqual([code, String(reason), String(world.all())], [4410, "gone", "last words"]);
});

test("a text, or what is no frame, ends the link", async () => {
  for (const bad of [
    Buffer.from([0x81, 1, 120]),
    Buffer.from([0xff, 0xff]),
    Buffer.from([0x82, 0x81, 0, 0, 0, 0, 1]),
  ]) {
    const world = await open();
    await inPlace(world);
    const closed = once(world.link, "close");
    rawOf(world.far)?.write(bad);
    await closed;
    assert.equal(world.all().length, 0);
    world.far.terminate();
  }
});

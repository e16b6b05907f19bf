/**
 * Frames: what the reader makes of clients' frames is what `ws` makes of them, however they are cut,
 * masked and put together; and `ws` reads the frames that are written.
 */
import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";
import fc from "fast-check";
import {
  FrameReader,
  frontBytes,
  type Other,
  putHead,
  type ReadBuffer,
} from "../../../src/io/websocket/frames.ts";
import {
  returnReadBuffer,
  sharedBuffer,
  takeReadBuffer,
} from "../../../src/io/websocket/read-buffers.ts";

// What `ws` exports beside what its types know.
const { Receiver, Sender } = createRequire(import.meta.url)("ws");

interface Sent {
  readonly data: Buffer;
  readonly isMasked: boolean;
  /** So many frames after the first. */
  readonly more: number;
  /** Between the frames, or after the only one. */
  readonly ping: boolean;
}

/** As `ws` itself writes it. */
function framed({ data, isMasked, more, ping }: Sent, isServer = false): Buffer[] {
  const frames: Buffer[] = [];
  const options = { mask: !isServer, readOnly: true, rsv1: false };
  const frame = (payload: Buffer, opcode: number, fin: boolean): void => {
    const generateMask = isMasked
      ? (mask: Buffer): void => void mask.set(randomBytes(4))
      : (mask: Buffer): void => void mask.fill(0);
    frames.push(...Sender.frame(payload, { ...options, opcode, fin, generateMask }));
  };
  const size = Math.ceil(data.length / (more + 1)) || 1;
  for (let n = 0; n <= more; n += 1) {
    frame(data.subarray(n * size, n === more ? undefined : (n + 1) * size), n ? 0 : 2, n === more);
    if (ping && n === 0) frame(Buffer.from(`ping ${data.length}`), 9, true);
  }
  return frames;
}

class Reader extends FrameReader {
  readonly runs: Buffer[] = [];
  readonly others: [Other, Buffer][] = [];

  protected override other(kind: Other, frame: Buffer): void {
    this.others.push([kind, frame]);
  }

  hear(buffer: ReadBuffer, bytes: number): void {
    this.read(buffer, frontBytes, bytes);
    this.runs.push(Buffer.from(buffer.bytes.subarray(this.start, this.end)));
  }
}

/** Reads bytes cut into pieces; the payload, and what was not data. */
function readAll(bytes: Buffer, cuts: () => number, isShared = false, isServer = false) {
  const buffer = isShared ? sharedBuffer : takeReadBuffer();
  const reader = new Reader(1024 * 1024, !isServer);
  for (let at = 0; at < bytes.length; ) {
    const part = bytes.subarray(at, at + Math.min(cuts(), buffer.back.length));
    buffer.back.set(part);
    reader.hear(buffer, part.length);
    at += part.length;
  }
  returnReadBuffer(buffer);
  return { payload: Buffer.concat(reader.runs), others: reader.others };
}

const message: fc.Arbitrary<Sent> = fc.record({
  data: fc
    .oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.constantFrom(125, 126, 65_535, 65_536, 100_000),
      fc.integer({ min: 0, max: 70_000 }),
    )
    .map((length) => randomBytes(length)),
  isMasked: fc.boolean(),
  more: fc.integer({ min: 0, max: 3 }),
  ping: fc.boolean(),
});

test("payload is what was sent, in whatever pieces it comes; pings come out whole", () => {
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(1, 2, 7, 1_000, 65_536, 200_000),
      fc.boolean(),
      fc.boolean(),
      (messages, most, isShared, isServer) => {
        const wanted = Buffer.concat(messages.map(({ data }) => data));
        const bytes = Buffer.concat(messages.flatMap((message) => framed(message, isServer)));
        if (most < 8 && bytes.length > 5_000) return;
        const read = readAll(bytes, () => randomInt(most) + 1, isShared, isServer);
        assert.ok(read.payload.equals(wanted));
        const pings = messages.filter(({ ping }) => ping);
        assert.equal(read.others.length, pings.length);
        for (const [n, [kind, frame]] of read.others.entries()) {
          assert.equal(kind, "control");
          const receiver = new Receiver({ isServer: !isServer });
          let heard = "";
          receiver.on("ping", (data: Buffer) => {
            heard = String(data);
          });
          receiver.write(frame);
          assert.equal(heard, `ping ${pings[n]?.data.length}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("noise is read to its end or to its first fault, and nothing is read after that", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), (noise) => {
      const { payload, others } = readAll(Buffer.from(noise), () => randomInt(500) + 1);
      assert.ok(payload.length <= noise.length);
      const wrong = others.findIndex(([kind]) => kind === "wrong" || kind === "large");
      assert.ok(wrong === -1 || wrong === others.length - 1);
    }),
    { numRuns: 500 },
  );
});

test("a frame longer than the bound is a fault before a byte of it is read", () => {
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 0, 120]);
  const { payload, others } = readAll(head, () => 100);
  assert.deepEqual([payload.length, others.map(([kind]) => kind)], [0, ["large"]]);
});

test("a pong is swallowed, and what is around it is not", () => {
  const [before = [], after = []] = ["one", "two"].map((text) =>
    framed({ data: Buffer.from(text), isMasked: true, more: 0, ping: false }),
  );
  const options = { mask: true, readOnly: true, rsv1: false, opcode: 10, fin: true };
  const bytes = Buffer.concat([...before, ...Sender.frame(Buffer.alloc(9, 1), options), ...after]);
  for (const most of [1, 7, 1_000]) {
    const { payload, others } = readAll(bytes, () => most);
    assert.deepEqual([String(payload), others.length], ["onetwo", 0]);
  }
});

test("when no buffer is left the shared one is taken, and each serves one at a time", () => {
  const buffers = new Set<ReadBuffer>();
  for (let buffer = takeReadBuffer(); buffer !== sharedBuffer; buffer = takeReadBuffer()) {
    assert.ok(!buffers.has(buffer));
    buffers.add(buffer);
  }
  const starts = [...buffers].map(({ bytes }) => bytes.byteOffset).sort((a, b) => a - b);
  for (const [n, { bytes }] of [...buffers].entries()) {
    assert.ok(n === 0 || (starts[n] ?? 0) - (starts[n - 1] ?? 0) >= bytes.length);
    returnReadBuffer([...buffers][n] ?? sharedBuffer);
  }
  returnReadBuffer(sharedBuffer);
  assert.ok(buffers.has(takeReadBuffer()));
});

test("what is written, ws reads", () => {
  for (const length of [1, 125, 126, 65_535, 65_536, 250_000]) {
    const buffer = takeReadBuffer();
    const data = randomBytes(length);
    buffer.back.set(data);
    const at = putHead(buffer.bytes, frontBytes, frontBytes + length);
    const receiver = new Receiver({ isServer: false, maxPayload: 1024 * 1024 });
    let heard: Buffer = Buffer.alloc(0);
    let isWhole = false;
    receiver.on("message", (got: Buffer, isBinary: boolean) => {
      heard = got;
      isWhole = isBinary;
    });
    receiver.write(Buffer.from(buffer.bytes.subarray(at, frontBytes + length)));
    assert.ok(isWhole && heard.equals(data), String(length));
  }
});

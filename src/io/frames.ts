/**
 * Frames: RFC 6455 5.2 on the way through a relay. What clients send is read as a stream: heads and
 * masks are taken off where the bytes lie, and what is left is one run of payload with room for a
 * new head before it. Messages are not kept apart, since on a data link they mean nothing.
 *
 * It knows the bytes of one direction. Whatever is not plain data it hands over as it came.
 */
import type { Room } from "./read-room.ts";

/** What has been read, in the same room: payload from `start` to `end`, which may be equal. */
export interface Run {
  start: number;
  end: number;
}

/** What a frame that is not data is, to whom it may concern. */
export type Other = "control" | "text" | "nested" | "wrong";

export interface FrameReader {
  /**
   * Reads `bytes` that lie from `from` on, and at least `frontBytes` behind the room's start.
   * `other` is called with a control frame, whole and masked, or with the head of one that should
   * not be. After one that is wrong nothing more is read; after a text, or a message within another,
   * reading goes on, for the answer to a close must still be seen.
   */
  read(room: Room, from: number, bytes: number): Run;
}

const continuation = 0;
const text = 1;
const binary = 2;
/** A control frame is 125 bytes at most, its head 2 and its mask 4 (RFC 6455 5.5). */
const controlMostBytes = 131;

/** Takes the mask off, RFC 6455 5.3: `key` as the four bytes are in memory, rotated to `from`. */
function unmask(
  { bytes, words }: Room,
  from: number,
  to: number,
  key: Buffer,
  phase: number,
): void {
  let at = from;
  let n = phase;
  for (; at < to && (at & 3) !== 0; at += 1) bytes[at] = (bytes[at] ?? 0) ^ (key[n++ & 3] ?? 0);
  keyBytes.set([
    key[n & 3] ?? 0,
    key[(n + 1) & 3] ?? 0,
    key[(n + 2) & 3] ?? 0,
    key[(n + 3) & 3] ?? 0,
  ]);
  const word = keyWord[0] ?? 0;
  const last = to >> 2;
  let w = at >> 2;
  for (; w + 8 <= last; w += 8) {
    // biome-ignore-start lint/style/noNonNullAssertion: within bounds, and the loop is hot
    words[w] = words[w]! ^ word;
    words[w + 1] = words[w + 1]! ^ word;
    words[w + 2] = words[w + 2]! ^ word;
    words[w + 3] = words[w + 3]! ^ word;
    words[w + 4] = words[w + 4]! ^ word;
    words[w + 5] = words[w + 5]! ^ word;
    words[w + 6] = words[w + 6]! ^ word;
    words[w + 7] = words[w + 7]! ^ word;
    // biome-ignore-end lint/style/noNonNullAssertion: see above
  }
  if (w << 2 > at) at = w << 2;
  for (; at < to; at += 1) bytes[at] = (bytes[at] ?? 0) ^ (key[n++ & 3] ?? 0);
}
const keyBytes = new Uint8Array(4);
const keyWord = new Int32Array(keyBytes.buffer);

/** Reads one direction of a data link; frames may be `mostBytes` long. */
export function frameReader(
  mostBytes: number,
  other: (kind: Other, frame: Buffer) => void,
): FrameReader {
  /** Of the frame that is being read. */
  let left = 0;
  let isMasked = false;
  let phase = 0;
  const key = Buffer.alloc(4);
  /** Whether the next data frame continues a message. */
  let isInside = false;
  /** A head, or a control frame, of which the rest is yet to come. */
  const begun = Buffer.alloc(controlMostBytes);
  let begunBytes = 0;
  let isOver = false;
  const run: Run = { start: 0, end: 0 };

  /** Reads a head that begins at `at`; its length, or 0 when more bytes are needed, or -1 for a fault. */
  function readHead(bytes: Buffer, at: number, end: number): number {
    const there = end - at;
    if (there < 2) return 0;
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    const opcode = first & 15;
    const short = second & 127;
    const size = (short < 126 ? 2 : short === 126 ? 4 : 10) + 4;
    const isWrong = (first & 0x70) !== 0 || second < 128 || (opcode > binary && opcode < 8);
    if (isWrong || opcode > 10) return fault("wrong", bytes, at, end);
    if (opcode >= 8) {
      if (short > 125 || first < 128) return fault("wrong", bytes, at, end);
      if (there < size + short) return 0;
      other("control", Buffer.from(bytes.subarray(at, at + size + short)));
      if (opcode === 8) isOver = true; // RFC 6455 5.5.1: nothing counts after it
      return size + short;
    }
    if (opcode === continuation && !isInside) return fault("wrong", bytes, at, end);
    if (there < size) return 0;
    if (opcode === text) other("text", Buffer.from(bytes.subarray(at, at + size)));
    else if (opcode === binary && isInside)
      other("nested", Buffer.from(bytes.subarray(at, at + size)));
    left = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : long(bytes, at + 2);
    if (left > mostBytes) return fault("wrong", bytes, at, end);
    isInside = first < 128;
    bytes.copy(key, 0, at + size - 4, at + size);
    isMasked = key.readInt32LE(0) !== 0;
    phase = 0;
    return size;
  }

  function fault(kind: Other, bytes: Buffer, at: number, end: number): -1 {
    isOver = true;
    left = 0;
    other(kind, Buffer.from(bytes.subarray(at, Math.min(end, at + controlMostBytes))));
    return -1;
  }

  return {
    read: (room, from, count) => {
      const { bytes } = room;
      const end = from + count;
      let at = from;
      if (begunBytes > 0) {
        at -= begunBytes;
        begun.copy(bytes, at, 0, begunBytes);
        begunBytes = 0;
      }
      // Payload is moved down to the first of it, over the heads in between.
      let to = -1;
      run.start = run.end = from;
      while (at < end && !isOver) {
        if (left === 0) {
          const size = readHead(bytes, at, end);
          if (size === 0) {
            begunBytes = bytes.copy(begun, 0, at, end);
            break;
          }
          if (size < 0) break;
          at += size;
          continue;
        }
        const here = Math.min(left, end - at);
        if (isMasked) {
          unmask(room, at, at + here, key, phase);
          phase = (phase + here) & 3;
        }
        if (to < 0) run.start = to = at;
        else if (to < at) bytes.copyWithin(to, at, at + here);
        to += here;
        at += here;
        left -= here;
      }
      if (to >= 0) run.end = to;
      return run;
    },
  };
}

/** A length of 64 bits; beyond what a number holds it is only too much. */
function long(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

/**
 * Writes the head of a whole binary frame, unmasked as servers send it, before the payload that
 * lies from `start` to `end`; ten bytes before it must be free. Where the head begins.
 */
export function putHead(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  const at = start - (length < 126 ? 2 : length < 65_536 ? 4 : 10);
  bytes[at] = 0x80 | binary;
  if (length < 126) bytes[at + 1] = length;
  else if (length < 65_536) {
    bytes[at + 1] = 126;
    bytes.writeUInt16BE(length, at + 2);
  } else {
    bytes[at + 1] = 127;
    bytes.writeUInt32BE(0, at + 2);
    bytes.writeUInt32BE(length, at + 6);
  }
  return at;
}

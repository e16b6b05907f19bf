/**
 * Frames: RFC 6455 5.2 where only bytes count. What comes is read as a stream: heads and masks are
 * taken off where the bytes lie, and what is left is one run of payload with room for a
 * new head before it. Messages are not kept apart, since on a data link they mean nothing.
 *
 * It knows the bytes of one direction. Whatever is not plain data it hands over as it came.
 */
import { isUtf8 } from "node:buffer";
import { type CloseCode, closeCodes } from "../protocol/wire.ts";

/** Memory that a socket is read into. */
export interface ReadBuffer {
  /** All of it, the front too. */
  readonly bytes: Buffer;
  /** Where to read to. */
  readonly back: Uint8Array;
  /** Takes a mask off the bytes between; `key` holds its four bytes as they are next, the first lowest. */
  unmask(from: number, to: number, key: number): void;
}

/** What a frame that is not data is, to whom it may concern. */
export type Other = "control" | "text" | "wrong" | "large";

/** RFC 6455 5.2. */
export const opcodes = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;
const { continuation, text, binary, close, pong } = opcodes;
/** Room before what is read: for the rest of a frame's head, and the head of the frame that goes out. */
export const frontBytes = 160;
/** A control frame is 125 bytes at most, its head 2 and its mask 4 (RFC 6455 5.5). */
const controlMostBytes = 131;

/**
 * Reads one direction of a data link, whose frames may be `mostBytes` long. `other` is called with a
 * ping or a close, whole and masked, or with the head of a frame that should not be; of a pong it is
 * enough that its bytes came. After one that is
 * wrong or too large nothing more is read; after a text reading goes on, for the answer to a close
 * must still be seen. Each link is one: what is idle is kept small.
 */
export abstract class FrameReader {
  /** Where the payload of the last read lies in its buffer; equal when there was none. */
  protected start = 0;
  protected end = 0;
  /** Of the message that is being read, after its first frame. */
  fragments = 0;
  /** How long a frame may be. */
  mostBytes: number;
  /** Of the frame that is being read: bytes that are to come, and the mask from the next one on. */
  #left = 0;
  #key = 0;
  /** Whether the next data frame continues a message. */
  #isInside = false;
  #isText = false;
  /** A head, or a control frame, of which the rest is yet to come. */
  #begun: Buffer | null = null;
  #isOver = false;

  readonly #maskBytes: 0 | 4;

  /** `isMasked` is what clients send, and must be; what servers send must not. */
  constructor(mostBytes: number, isMasked: boolean) {
    this.mostBytes = mostBytes;
    this.#maskBytes = isMasked ? 4 : 0;
  }

  protected abstract other(kind: Other, frame: Buffer): void;

  /** The payload of a text has been read. To be overridden by whoever keeps it apart from data. */
  protected textRead(): void {}

  /**
   * A head lies between the payload so far and the next part, which will be moved down to it, unless
   * the payload so far is taken now. To be overridden by whoever need not have it in one.
   */
  protected parted(_bytes: number): void {}

  /** Nothing more is read. */
  protected halt(): void {
    this.#isOver = true;
  }

  /** How much of the front the next read needs; never more than `frontBytes`. */
  protected get begunBytes(): number {
    return this.#begun?.length ?? 0;
  }

  /**
   * Reads `count` bytes that lie from `from` on, and at least `begunBytes` behind the buffer's start.
   * Who takes the payload so far within `other`, `textRead` or `parted` sets `start` to `end`.
   */
  protected read(buffer: Pick<ReadBuffer, "bytes" | "unmask">, from: number, count: number): void {
    const { bytes } = buffer;
    const end = from + count;
    let at = from;
    if (this.#begun) {
      at -= this.#begun.length;
      this.#begun.copy(bytes, at);
      this.#begun = null;
    }
    // Payload is moved down to the first of it, over the heads in between.
    this.start = this.end = from;
    let to = from;
    while (at < end && !this.#isOver) {
      if (this.#left === 0) {
        this.end = to;
        const size = this.#readHead(bytes, at, end);
        if (size === 0) {
          this.#begun = Buffer.from(bytes.subarray(at, end));
          break;
        }
        if (size < 0) break;
        at += size;
      } else {
        const here = Math.min(this.#left, end - at);
        if (this.#key !== 0) {
          buffer.unmask(at, at + here, this.#key);
          this.#key = rotated(this.#key, here);
        }
        if (to < at && to > this.start) this.parted(here);
        if (to === this.start) this.start = to = at;
        else if (to < at) bytes.copyWithin(to, at, at + here);
        to += here;
        at += here;
        this.#left -= here;
      }
      if (this.#isText && this.#left === 0) {
        this.#isText = false;
        this.end = to;
        this.textRead();
      }
    }
    this.end = to;
  }

  /** Reads a head that begins at `at`; its length, or 0 when more bytes are needed, or -1 for a fault. */
  #readHead(bytes: Buffer, at: number, end: number): number {
    const there = end - at;
    if (there < 2) return 0;
    const first = bytes[at] ?? 0;
    const second = bytes[at + 1] ?? 0;
    const opcode = first & 15;
    const short = second & 127;
    const size = (short < 126 ? 2 : short === 126 ? 4 : 10) + this.#maskBytes;
    const isMasked = second >= 128;
    const isWrong =
      (first & 0x70) !== 0 ||
      isMasked !== this.#maskBytes > 0 ||
      (opcode > binary && opcode < close);
    if (isWrong || opcode > pong) return this.#fault("wrong", bytes, at, end);
    if (opcode >= close) {
      if (short > 125 || first < 128) return this.#fault("wrong", bytes, at, end);
      if (there < size + short) return 0;
      if (opcode !== pong)
        this.other("control", Buffer.from(bytes.subarray(at, at + size + short)));
      if (opcode === close) this.#isOver = true; // RFC 6455 5.5.1: nothing counts after it
      return size + short;
    }
    if ((opcode === continuation) !== this.#isInside) return this.#fault("wrong", bytes, at, end);
    if (there < size) return 0;
    if (opcode === text) this.other("text", Buffer.from(bytes.subarray(at, at + size)));
    this.#left =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : long(bytes, at + 2);
    if (this.#left > this.mostBytes) return this.#fault("large", bytes, at, end);
    this.#isInside = first < 128;
    this.#isText = opcode === text;
    this.fragments = opcode === continuation ? this.fragments + 1 : 0;
    this.#key = isMasked ? bytes.readInt32LE(at + size - 4) : 0;
    return size;
  }

  #fault(kind: Other, bytes: Buffer, at: number, end: number): -1 {
    this.#isOver = true;
    this.#left = 0;
    this.other(kind, Buffer.from(bytes.subarray(at, Math.min(end, at + controlMostBytes))));
    return -1;
  }
}

/** A mask, its first byte lowest, as it is after so many bytes. */
function rotated(key: number, bytes: number): number {
  const bits = (bytes & 3) * 8;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
}

/** A length of 64 bits; beyond what a number holds it is only too much. */
function long(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

/**
 * Writes the head of a whole frame, unmasked as servers send it, before the payload that lies from
 * `start` to `end`; ten bytes before it must be free. Where the head begins.
 */
export function putHead(
  bytes: Buffer,
  start: number,
  end: number,
  opcode: number = binary,
): number {
  const length = end - start;
  const at = start - (length < 126 ? 2 : length < 65_536 ? 4 : 10);
  bytes[at] = 0x80 | opcode;
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

/** A whole frame, unmasked. */
export function frameOf(opcode: number, data: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(10 + data.length);
  data.copy(frame, 10);
  return frame.subarray(putHead(frame, 10, frame.length, opcode));
}

/** What may stand before the payload in the memory of its frame's head. */
const noFront = new Uint8Array(0);

/**
 * The head of a whole frame from a client, with a mask of zeros: what goes out is ssh's ciphertext, or
 * says nothing. `front` is the first of its payload, which is `length` bytes more; it is copied.
 */
export function maskedHeadOf(opcode: number, length: number, front: Uint8Array = noFront): Buffer {
  const start = 10 + 4;
  const head = Buffer.alloc(start + front.length);
  head.set(front, start);
  const at = putHead(head, 10, 10 + front.length + length, opcode);
  head[at + 1] = (head[at + 1] ?? 0) | 0x80;
  return head.subarray(at);
}

/** What a control frame says (RFC 6455 5.5), which came whole. */
export function controlIn(frame: Buffer): { opcode: number; data: Buffer } {
  const opcode = (frame[0] ?? 0) & 15;
  if ((frame[1] ?? 0) < 128) return { opcode, data: frame.subarray(2) };
  const data = Buffer.from(frame.subarray(6));
  for (let n = 0; n < data.length; n += 1) data[n] = (data[n] ?? 0) ^ (frame[2 + (n & 3)] ?? 0);
  return { opcode, data };
}

/** RFC 6455 7.4: a code that may be in a frame. */
const isCode = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) ||
  (code >= 3000 && code <= 4999);

/** What a close frame says (RFC 6455 5.5.1), or what to say of one that should not be. */
export function closeIn(
  data: Buffer,
): { readonly code: number | undefined; readonly reason: Buffer } | { readonly fault: CloseCode } {
  if (data.length === 0) return { code: undefined, reason: data };
  const code = data.length < 2 ? 0 : data.readUInt16BE(0);
  const reason = data.subarray(2);
  if (!isCode(code)) return { fault: closeCodes.protocolError };
  return isUtf8(reason) ? { code, reason } : { fault: closeCodes.badText };
}

/** The body of a close frame; nothing without a code. The reason is 123 bytes at most. */
export function closeBody(code?: number, reason = ""): Buffer {
  const body = Buffer.alloc(code === undefined ? 0 : 2 + Buffer.byteLength(reason));
  if (code !== undefined) {
    body.writeUInt16BE(code);
    body.write(reason, 2);
  }
  return body;
}

/**
 * Lean link: the client's side of a websocket (RFC 6455), as far as wsproxy needs it and in the shape
 * that `ws` has, for every ssh waits until its proxy command has started. Binary messages come in
 * pieces, as they arrive: on a data link the bytes count. It knows no handshake.
 */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { closeBody, maskedHeadOf, opcodes } from "./frames.ts";
import { closingMs, type DataLink, pongMostBytes } from "./link.ts";

const textMostBytes = 64 * 1024;
/** RFC 6455 7.4.1. */
const codes = { protocol: 1002, none: 1005, lost: 1006, tooBig: 1009 } as const;

interface Frame {
  readonly opcode: number;
  left: number;
}

/** Takes over a socket after the handshake; `early` are bytes that came with its answer. */
export class LeanLink extends EventEmitter implements DataLink {
  readonly OPEN = 1;
  readonly CLOSED = 3;
  readyState = 1;
  isPaused = true;
  readonly #socket: Socket;
  readonly #maxPayload: number;
  #held: Buffer;
  #frame: Frame | null = null;
  /** Pieces of a text message or a control frame, which are told whole. */
  #pieces: Buffer[] = [];
  #isInside = false;
  #isDeaf = false;
  #isBegun = false;
  #closing: { code: number; reason: Buffer } | null = null;
  #late: NodeJS.Timeout | null = null;

  constructor(socket: Socket, early: Buffer, maxPayload: number) {
    super();
    this.#socket = socket;
    this.#maxPayload = maxPayload;
    this.#held = early;
    socket.pause();
    socket.on("data", (data: Buffer) => this.#take(data));
    socket.on("end", () => socket.end());
    socket.on("error", () => {}); // `close` follows and says all there is to act on
    socket.on("close", () => {
      if (this.#isBegun) this.#tellClose();
    });
  }

  get bufferedAmount(): number {
    return this.#socket.writableLength;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  pause(): void {
    this.isPaused = true;
    this.#socket.pause();
  }

  /** Nothing is told before the first `resume`, not even the end: nobody may be listening yet. */
  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#take(Buffer.alloc(0));
      if (this.#socket.destroyed) return this.#tellClose();
    }
    if (!this.isPaused) this.#socket.resume();
  }

  send(data: Buffer, sent?: (error?: Error | null) => void): void {
    if (this.readyState !== this.OPEN) return;
    this.#socket.cork();
    this.#socket.write(maskedHeadOf(opcodes.binary, data.length));
    this.#socket.write(data, sent);
    this.#socket.uncork();
  }

  pong(data = Buffer.alloc(0)): void {
    if (this.bufferedAmount < pongMostBytes) this.#control(opcodes.pong, data);
  }

  close(code?: number, reason = ""): void {
    if (this.readyState !== this.OPEN) return;
    this.#control(opcodes.close, closeBody(code, reason));
    this.readyState = 2;
    this.#late = setTimeout(() => this.#socket.destroy(), closingMs);
  }

  terminate(): void {
    this.#socket.destroy();
  }

  #tellClose(): void {
    if (this.#late) clearTimeout(this.#late);
    this.readyState = this.CLOSED;
    const { code, reason } = this.#closing ?? { code: codes.lost, reason: Buffer.alloc(0) };
    this.emit("close", code, reason);
  }

  #control(opcode: number, data: Buffer): void {
    if (this.readyState !== this.OPEN) return;
    this.#socket.write(Buffer.concat([maskedHeadOf(opcode, data.length), data]));
  }

  #fail(code: number): void {
    this.#isDeaf = true;
    this.#closing ??= { code: codes.lost, reason: Buffer.alloc(0) };
    this.close(code);
    this.#socket.resume(); // or the other side's end is never seen
  }

  #take(chunk: Buffer): void {
    let bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    if (bytes.length === 0) return;
    this.#held = Buffer.alloc(0);
    while (!this.#isDeaf) {
      if (!this.#frame) {
        const size = this.#readHead(bytes);
        if (size === 0) {
          this.#held = bytes;
          return;
        }
        bytes = bytes.subarray(size);
      }
      const frame = this.#frame;
      if (!frame || (bytes.length === 0 && frame.left > 0)) return;
      const part = bytes.subarray(0, frame.left);
      bytes = bytes.subarray(part.length);
      frame.left -= part.length;
      const isWhole = frame.left === 0;
      if (isWhole) this.#frame = null;
      this.#hear(frame.opcode, part, isWhole);
      if (bytes.length === 0) return;
    }
  }

  /** Reads a head, RFC 6455 5.2; its length, or 0 when it is not whole yet. */
  #readHead(bytes: Buffer): number {
    if (bytes.length < 2) return 0;
    const first = bytes[0] ?? 0;
    const short = bytes[1] ?? 0;
    const opcode = first & 15;
    const isControl = opcode >= opcodes.close;
    const isLast = first >= 0x80;
    const isKnown = opcode <= opcodes.binary || (isControl && opcode <= opcodes.pong);
    const isRight = isControl
      ? isLast && short <= 125
      : (opcode === opcodes.continuation) === this.#isInside && (opcode !== opcodes.text || isLast);
    // Servers do not mask, and nobody agreed on what the reserved bits mean.
    if ((first & 0x70) !== 0 || short >= 0x80 || !isKnown || !isRight) {
      this.#fail(codes.protocol);
      return bytes.length;
    }
    const size = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < size) return 0;
    const left =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    if (left > (opcode === opcodes.text ? textMostBytes : this.#maxPayload)) {
      this.#fail(codes.tooBig);
      return bytes.length;
    }
    if (!isControl) this.#isInside = !isLast;
    this.#frame = { opcode, left };
    return size;
  }

  #hear(opcode: number, part: Buffer, isWhole: boolean): void {
    if (opcode === opcodes.binary || opcode === opcodes.continuation) {
      if (part.length > 0) this.emit("message", part, true);
      return;
    }
    this.#pieces.push(part);
    if (!isWhole) return;
    const data = Buffer.concat(this.#pieces);
    this.#pieces = [];
    if (opcode === opcodes.text) this.emit("message", data, false);
    else if (opcode === opcodes.ping) {
      this.pong(data);
      this.emit("ping", data);
    } else if (opcode === opcodes.pong) this.emit("pong", data);
    else this.#hearClose(data);
  }

  #hearClose(data: Buffer): void {
    if (data.length === 1) return this.#fail(codes.protocol);
    this.#isDeaf = true;
    const code = data.length === 0 ? codes.none : data.readUInt16BE(0);
    const reason = Buffer.from(data.subarray(2));
    this.#closing ??= { code, reason };
    this.close(code === codes.none ? undefined : code);
    this.#socket.end();
    this.#socket.resume();
  }
}

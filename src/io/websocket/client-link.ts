/**
 * Client link: the client's side of a websocket (RFC 6455), as far as wsproxy needs it and in the
 * shape that `ws` has, for every ssh waits until its proxy command has started. What is binary comes
 * as it arrives, in other pieces than it was sent: on a data link the bytes count. It knows no
 * handshake.
 */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { type CloseCode, closeCodes, unsentCodes } from "../protocol/wire.ts";
import {
  closeBody,
  closeIn,
  controlIn,
  FrameReader,
  maskedHeadOf,
  type Other,
  opcodes,
} from "./frames.ts";
import { closingMs, type DataLink, pongMostBytes, writeFrame } from "./link.ts";

/** A text is told whole; ours are half a line. */
const textMostBytes = 64 * 1024;
/** Longer parts cost more to move than to be told apart. */
const moveMostBytes = 8 * 1024;
const nothing: Buffer = Buffer.alloc(0);
const noFront = new Uint8Array(0);

/** Who hears what a server sends, in its order. */
interface Hearer {
  message(data: Buffer, isBinary: boolean): void;
  control(frame: Buffer): void;
  fault(code: CloseCode): void;
}

/** Reads the frames of a server. */
class ServerFrames extends FrameReader {
  readonly #hearer: Hearer;
  readonly #binaryMostBytes: number;
  /** The last chunk stands in for a buffer: what lies in it is handed on uncopied. */
  readonly #buffer = { bytes: nothing, unmask: () => {} };
  /** What has come of a text. */
  #text: Buffer[] | null = null;

  constructor(mostBytes: number, hearer: Hearer) {
    super(mostBytes, false);
    this.#binaryMostBytes = mostBytes;
    this.#hearer = hearer;
  }

  take(chunk: Buffer): void {
    const from = this.begunBytes;
    this.#buffer.bytes = from > 0 ? Buffer.concat([Buffer.allocUnsafe(from), chunk]) : chunk;
    this.read(this.#buffer, from, chunk.length);
    this.#handOn();
    this.#buffer.bytes = nothing;
  }

  protected other(kind: Other, frame: Buffer): void {
    this.#handOn();
    if (kind === "control") return this.#hearer.control(frame);
    if (kind === "text" && (frame[0] ?? 0) >= 128) {
      this.#text = [];
      this.mostBytes = textMostBytes;
      return;
    }
    this.halt(); // a text in pieces too: no relay sends one
    this.#hearer.fault(kind === "large" ? closeCodes.tooBig : closeCodes.protocolError);
  }

  protected override parted(bytes: number): void {
    if (bytes > moveMostBytes) this.#handOn();
  }

  protected override textRead(): void {
    this.#handOn();
    if (!this.#text) return;
    const data = Buffer.concat(this.#text);
    this.#text = null;
    this.mostBytes = this.#binaryMostBytes;
    this.#hearer.message(data, false);
  }

  #handOn(): void {
    const { start, end } = this;
    if (start === end) return;
    this.start = end;
    const part = this.#buffer.bytes.subarray(start, end);
    if (this.#text) this.#text.push(part);
    else this.#hearer.message(part, true);
  }
}

/** Takes over a socket after the handshake; `early` are bytes that came with its answer. */
export class ClientLink extends EventEmitter implements DataLink {
  readonly OPEN = 1;
  readonly CLOSED = 3;
  readyState = 1;
  isPaused = true;
  readonly #socket: Socket;
  readonly #frames: ServerFrames;
  #early: Buffer;
  #isBegun = false;
  #closing: { readonly code: number; readonly reason: Buffer } | null = null;
  #late: NodeJS.Timeout | null = null;

  constructor(socket: Socket, early: Buffer, maxPayload: number) {
    super();
    this.#socket = socket;
    this.#early = early;
    this.#frames = new ServerFrames(maxPayload, {
      message: (data, isBinary) => this.emit("message", data, isBinary),
      control: (frame) => this.#hear(frame),
      fault: (code) => this.#fail(code),
    });
    socket.pause();
    socket.on("data", (data: Buffer) => this.#frames.take(data));
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
      this.#frames.take(this.#early);
      this.#early = nothing;
      if (this.#socket.destroyed) return this.#tellClose();
    }
    if (!this.isPaused) this.#socket.resume();
  }

  send(data: Uint8Array, sent?: (error?: Error | null) => void): void {
    this.sendAfter(noFront, [data], sent);
  }

  sendAfter(
    front: Uint8Array,
    parts: readonly Uint8Array[],
    sent?: (error?: Error | null) => void,
  ): void {
    if (this.readyState === this.OPEN) return writeFrame(this.#socket, front, parts, sent);
    if (sent) process.nextTick(sent, new Error("The link is closed."));
  }

  pong(data = nothing): void {
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
    const { code, reason } = this.#closing ?? { code: unsentCodes.lost, reason: nothing };
    this.emit("close", code, reason);
  }

  #control(opcode: number, data: Buffer): void {
    if (this.readyState !== this.OPEN) return;
    this.#socket.write(Buffer.concat([maskedHeadOf(opcode, data.length), data]));
  }

  #fail(code: CloseCode): void {
    this.#closing ??= { code: unsentCodes.lost, reason: nothing };
    this.close(code);
    this.#socket.resume(); // or the other side's end is never seen
  }

  #hear(frame: Buffer): void {
    const { opcode, data } = controlIn(frame);
    if (opcode === opcodes.ping) {
      this.pong(data);
      this.emit("ping", data);
      return;
    }
    const said = closeIn(data);
    if ("fault" in said) return this.#fail(said.fault);
    this.#closing ??= { code: said.code ?? unsentCodes.none, reason: said.reason };
    this.close(said.code);
    this.#socket.end();
    this.#socket.resume();
  }
}

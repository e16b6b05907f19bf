/**
 * Server link: the relay's side of a data link, a websocket (RFC 6455) of which the bytes count and
 * not the messages. It reads frames where they lie in a buffer, answers pings and closes, and hands
 * payload to its sink. `ws` makes the handshake and then gives it the socket, which it reads as it
 * is. It knows nothing of sessions; there is one for each connection, so what is idle is kept small.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../actors/clock.ts";
import { type CloseCode, closeCodes, unsentCodes } from "../protocol/wire.ts";
import { type InPlace, read, readInto } from "../tcp-socket.ts";
import {
  closeBody,
  closeIn,
  controlIn,
  FrameReader,
  frameOf,
  frontBytes,
  type Other,
  opcodes,
  type ReadBuffer,
} from "./frames.ts";
import type { Pinged } from "./keep-alive.ts";
import { answerMs, closeReason, closingMs, unheard } from "./link.ts";
import { returnReadBuffer, sharedBuffer, takeReadBuffer } from "./read-buffers.ts";

/** A read of so much gets a buffer of its own for the next one, and one of so little the shared one. */
export const manyBytes = 32 * 1024;
const fewBytes = 4 * 1024;

/** Who takes what comes in. */
export interface Sink {
  /**
   * Payload lies in the link's buffer from `start` to `end` until this returns: who wants it for
   * longer copies it, or borrows the buffer. It came in a read of so many `bytes`.
   */
  take(link: ServerLink, start: number, end: number, bytes: number): void;
  /** The link is closed; `code` is its peer's, or one of `unsentCodes`. */
  closed(code: number): void;
  /** This was thrown where it was read or closed; the link ends. */
  failed(error: unknown): void;
}

/** So many pongs may wait for a peer to read them: each costs more than its few bytes. */
const pongsMost = 64;
const nothing = Buffer.alloc(0);

const kLink = Symbol("link");
type Owned = Socket & { [kLink]: ServerLink };

/** Made by `ws` (its `WebSocketServer`'s option `WebSocket`), which calls `setSocket`. */
export class ServerLink extends FrameReader implements Pinged, InPlace {
  readyState = 1;
  isPaused = false;
  /** Whether it is one of those that are read fast: what waits for its other end is not. */
  mayTakeBuffer = false;
  /** Where bytes are read to. */
  buffer: ReadBuffer = sharedBuffer;
  sink: Sink | null = null;
  /** Set by `ws`. */
  _protocol = "";
  #socket!: Socket;
  #clock!: Clock;
  #code: number = unsentCodes.lost;
  /** Nothing is taken in any more, but for the answer to a close. */
  #isRefused = false;
  /** Whether the system reads into the buffer, so that it may change after a read. */
  #isInPlace = false;
  #late: unknown = null;
  /** That wait to be written. */
  #pongs = 0;

  constructor() {
    super(0, true);
  }

  get OPEN(): number {
    return 1;
  }

  get CLOSED(): number {
    return 3;
  }

  get protocol(): string {
    return this._protocol;
  }

  get bufferedAmount(): number {
    return this.#socket.writableLength;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get back(): Uint8Array {
    return this.buffer.back;
  }

  /** Called by `ws`, which has answered the request; `head` is what came with it. */
  setSocket(socket: Socket, head: Buffer): void {
    this.#socket = socket;
    socket.setTimeout(0);
    socket.setNoDelay();
    if (head.length > 0) socket.unshift(head);
  }

  /** Begins to read, into `sink`, frames of at most `mostBytes`. */
  begin(sink: Sink, mostBytes: number, clock: Clock): void {
    const socket = this.#socket as Owned;
    this.#clock = clock;
    this.sink = sink;
    this.mostBytes = mostBytes;
    socket[kLink] = this;
    socket.on("close", onClose);
    socket.on("end", onEnd);
    socket.on("error", unheard);
    socket.on("data", onData); // what came with the request, and all of TLS
    this.#isInPlace = readInto(socket, this);
    socket.resume();
  }

  /** All that comes from the socket comes through here: what is thrown ends this link. */
  confined<A>(act: (link: ServerLink, value: A) => void, value: A): void {
    try {
      act(this, value);
    } catch (error) {
      const { sink } = this;
      this.#isRefused = true;
      this.terminate();
      sink?.failed(error);
    }
  }

  /** Bytes were read into the buffer. */
  onRead(bytes: number): void {
    this.confined(takeIn, bytes);
  }

  taken(bytes: number): void {
    this.read(this.buffer, frontBytes, bytes);
    if (this.end > this.start && !this.#isRefused)
      this.sink?.take(this, this.start, this.end, bytes);
    if (!this.#isInPlace) return;
    const isShared = this.buffer === sharedBuffer;
    if (isShared ? bytes < manyBytes || !this.mayTakeBuffer : bytes >= fewBytes) return;
    returnReadBuffer(this.buffer);
    this.buffer = isShared ? takeReadBuffer() : sharedBuffer;
  }

  /** Borrows the buffer, which is the link's own: it reads to another, and the caller gives it back. */
  borrowBuffer(): ReadBuffer {
    const { buffer } = this;
    this.buffer = takeReadBuffer();
    return buffer;
  }

  pause(): void {
    this.isPaused = true;
    if (this.#isInPlace) this.#socket.pause();
    else read(this.#socket, false);
  }

  resume(): void {
    this.isPaused = false;
    if (this.#isInPlace) this.#socket.resume();
    else read(this.#socket, true);
  }

  /** Writes a whole frame as it is, if the link is open; `written` is called when it has left. */
  write(frame: Buffer, written?: () => void): void {
    if (this.readyState === this.OPEN) this.#socket.write(frame, written);
  }

  /** Calls back when everything was written, or never will be. */
  flush(done: () => void): void {
    if (this.bufferedAmount > 0 && this.readyState === this.OPEN) this.#socket.write(nothing, done);
    else done();
  }

  say(text: string): void {
    this.write(frameOf(opcodes.text, Buffer.from(text)));
  }

  /**
   * Closes it in order: two seconds after everything was written it is gone, and that may take half
   * a minute. It is read on, for otherwise the peer's answer is never seen.
   */
  close(code?: number, reason = ""): void {
    if (this.readyState !== this.OPEN) return;
    this.#endIn(closingMs);
    this.write(frameOf(opcodes.close, closeBody(code, closeReason(reason))), () =>
      this.#endIn(answerMs),
    );
    this.readyState = 2;
    this.resume();
  }

  /** Closes it, and takes nothing in any more. */
  refuse(code: CloseCode, reason: string): void {
    this.#isRefused = true;
    this.close(code, reason);
  }

  terminate(): void {
    this.#socket.destroy();
  }

  #endIn(ms: number): void {
    if (this.#late !== null) this.#clock.clearTimeout(this.#late);
    if (this.readyState !== this.CLOSED)
      this.#late = this.#clock.setTimeout(() => this.terminate(), ms);
  }

  protected other(kind: Other, frame: Buffer): void {
    if (kind === "control") return this.#control(frame);
    if (kind === "text") this.refuse(closeCodes.binaryOnly, "binary frames only");
    else this.#fail(kind === "large" ? closeCodes.tooBig : closeCodes.protocolError);
  }

  #control(frame: Buffer): void {
    const { opcode, data } = controlIn(frame);
    // RFC 6455 5.5.3 lets pings go unanswered; who does not read the answers shall not fill memory.
    if (opcode === opcodes.ping) {
      if (this.#pongs >= pongsMost || this.readyState !== this.OPEN) return;
      this.#pongs += 1;
      return this.write(frameOf(opcodes.pong, data), () => {
        this.#pongs -= 1;
      });
    }
    const said = closeIn(data);
    if ("fault" in said) return this.#fail(said.fault);
    this.#code = said.code ?? unsentCodes.none;
    this.close(said.code, said.reason.toString());
    this.#socket.end();
  }

  /** RFC 6455 7.1.7: it says why, and does not wait for an answer. */
  #fail(code: CloseCode): void {
    this.#isRefused = true;
    this.close(code);
    this.#socket.end();
  }

  /** What was not read in place: it is read as if it had been. */
  heard(chunk: Buffer): void {
    const { buffer } = this;
    const isInPlace = this.#isInPlace;
    this.buffer = sharedBuffer;
    this.#isInPlace = false;
    for (let at = 0; at < chunk.length; ) {
      const bytes = chunk.copy(sharedBuffer.bytes, frontBytes, at);
      this.taken(bytes);
      at += bytes;
    }
    this.buffer = buffer;
    this.#isInPlace = isInPlace;
  }

  ended(): void {
    if (this.readyState === this.OPEN) this.readyState = 2;
    this.#socket.end();
  }

  gone(): void {
    if (this.#late !== null) this.#clock.clearTimeout(this.#late);
    this.readyState = this.CLOSED;
    returnReadBuffer(this.buffer);
    this.buffer = sharedBuffer;
    this.confined(close, this.#code);
    this.sink = null;
  }
}

const takeIn = (link: ServerLink, bytes: number): void => link.taken(bytes);
const close = (link: ServerLink, code: number): void => link.sink?.closed(code);
const hear = (link: ServerLink, chunk: Buffer): void => link.heard(chunk);

// On the socket, and so the same functions for all links.
function onData(this: Owned, chunk: Buffer): void {
  this[kLink].confined(hear, chunk);
}

function onEnd(this: Owned): void {
  this[kLink].ended();
}

function onClose(this: Owned): void {
  this[kLink].gone();
}

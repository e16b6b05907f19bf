/**
 * Socket: what every websocket of ours needs, whichever side opened it: an end that comes even
 * when the reader is paused, and a watch for peers that went without a word.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../actors/clock.ts";
import { rawOf } from "./raw-socket.ts";
import { type CloseCode, pingMs, silentMs } from "./wire.ts";

/** What is used of a websocket once it is open; `ws` has it, and so has the lean one. */
export interface DataLink {
  readonly readyState: number;
  readonly OPEN: number;
  readonly CLOSED: number;
  readonly isPaused: boolean;
  readonly bufferedAmount: number;
  /** Bytes that came in so far; where it is left out, the socket beneath knows. */
  readonly bytesRead?: number;
  send(data: Buffer, sent?: (error?: Error | null) => void): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  pong(): void;
  on(event: "message", hear: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: "close", hear: (code: number, reason: Buffer) => void): unknown;
  on(event: "ping" | "pong", hear: () => void): unknown;
  once(event: "close", hear: () => void): unknown;
  off(event: "message", hear: (data: Buffer, isBinary: boolean) => void): unknown;
}

/** For `error`, where `close` follows and says all there is to act on. It holds on to nothing. */
export const unheard = (): void => {};

/** Time for the peer to answer a close frame, after everything before it was written. */
const closeMs = 2_000;

/**
 * Closes a websocket in order; at most two seconds later it is gone. A paused one is resumed
 * first, for otherwise the peer's answer is never read. Nothing written before is cut off: with
 * bytes still to be written the wait is left to `ws`, which allows 30 s.
 */
export function shut(socket: DataLink, clock: Clock, code: CloseCode, reason = ""): void {
  if (socket.readyState === socket.CLOSED) return;
  socket.resume();
  socket.close(code, closeReason(reason));
  if (socket.bufferedAmount > 0) return;
  const timer = clock.setTimeout(() => socket.terminate(), closeMs);
  socket.once("close", () => clock.clearTimeout(timer));
}

/** RFC 6455 5.5: a control frame holds 125 bytes, two of which are the code. */
const reasonMaxBytes = 123;

/** As much of a reason as a close frame holds, in whole characters; `ws` throws at a byte more. */
export function closeReason(text: string): string {
  let bytes = 0;
  let kept = "";
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > reasonMaxBytes) break;
    kept += character;
  }
  return kept;
}

/** Whether this side cannot say anything of its peer, since bytes wait on one side or the other. */
const isStalled = (socket: DataLink): boolean => socket.isPaused || socket.bufferedAmount > 0;

/**
 * Pings every 20 s and terminates a socket that has been silent for 50 s. A stalled one is left
 * to TCP: its pong may be waiting behind data, and a suspended ssh client is not dead.
 */
export function pingRegularly(socket: WebSocket, clock: Clock): void {
  new Watch(socket, clock, ping);
}

/** RFC 6455 5.5.2: a server's, with nothing in it. */
const pingFrame = Buffer.from([0x89, 0]);

/** Writes it as it is, between two messages of `ws`, which would make three writes of it. */
const ping = (socket: DataLink): void => void rawOf(socket as WebSocket)?.write(pingFrame);

/**
 * Terminates a socket whose relay has not pinged for 50 s. The other half of `pingRegularly`. A
 * paused one does not see the pings, so it says unasked that it is there (RFC 6455 5.5.3).
 */
export function expectPings(socket: DataLink, clock: Clock): void {
  new Watch(socket, clock, pongIfPaused);
}

const pongIfPaused = (socket: DataLink): void => {
  if (socket.isPaused) socket.pong();
};

/** One for each link: it is kept small. */
class Watch {
  readonly #socket: DataLink;
  readonly #clock: Clock;
  readonly #beat: (socket: DataLink) => void;
  #heardAt: number;
  #bytesRead: number;
  #timer: unknown;

  constructor(socket: DataLink, clock: Clock, beat: (socket: DataLink) => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#beat = beat;
    this.#heardAt = clock.now();
    this.#bytesRead = bytesRead(socket);
    this.#timer = clock.setTimeout(this.#look, pingMs);
    socket.on("ping", this.#hear);
    socket.on("pong", this.#hear);
    socket.on("close", this.#stop);
  }

  readonly #stop = (): void => this.#clock.clearTimeout(this.#timer);

  readonly #hear = (): void => {
    this.#heardAt = this.#clock.now();
  };

  readonly #look = (): void => {
    const socket = this.#socket;
    const now = this.#clock.now();
    const bytes = bytesRead(socket);
    if (isStalled(socket)) this.#heardAt = now;
    // They came at some time since the last look; counted from there, silence is never overlong.
    else if (bytes > this.#bytesRead) this.#heardAt = Math.max(this.#heardAt, now - pingMs);
    else if (now - this.#heardAt >= silentMs) return socket.terminate();
    this.#bytesRead = bytes;
    if (socket.readyState === socket.OPEN) this.#beat(socket);
    this.#timer = this.#clock.setTimeout(this.#look, pingMs);
  };
}

/** Bytes that came in so far, whatever they are: a ping may wait behind megabytes on a slow line. */
const bytesRead = (socket: DataLink): number =>
  socket.bytesRead ?? rawOf(socket as never)?.bytesRead ?? 0;

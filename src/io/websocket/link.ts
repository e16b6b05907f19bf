/**
 * Socket: what every websocket of ours needs, whichever side opened it: an end that comes even
 * when the reader is paused, and a watch for peers that went without a word.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import { type CloseCode, pingMs, silentMs } from "../protocol/wire.ts";
import { rawOf } from "./raw-socket.ts";

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
export const closeMs = 2_000;

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

/** What there is to see of a link, whatever it is. */
export type Watched = Pick<
  DataLink,
  "isPaused" | "bufferedAmount" | "bytesRead" | "readyState" | "OPEN" | "terminate"
>;

/** Whether this side cannot say anything of its peer, since bytes wait on one side or the other. */
const isStalled = (link: Watched): boolean => link.isPaused || link.bufferedAmount > 0;

/** Bytes that came in so far, whatever they are: a ping may wait behind megabytes on a slow line. */
const bytesRead = (link: Watched): number => link.bytesRead ?? rawOf(link as never)?.bytesRead ?? 0;

/** A link, when it was last heard, and what was seen of it when it was last looked at. */
export class Watch<Link extends Watched> {
  readonly link: Link;
  /** When to look again. */
  dueMs: number;
  #heardMs: number;
  #bytesRead: number;

  constructor(link: Link, nowMs: number) {
    this.link = link;
    this.#heardMs = Math.trunc(nowMs); // whole numbers cost no memory of their own
    this.dueMs = this.#heardMs + pingMs;
    this.#bytesRead = bytesRead(link);
  }

  hear(nowMs: number): void {
    this.#heardMs = Math.trunc(nowMs);
  }

  /**
   * To be asked every 20 s: whether its peer may still be there; one that was silent for 50 s is
   * terminated. A stalled one is left to TCP: its pong may be waiting behind data, and a suspended
   * ssh client is not dead.
   */
  look(nowMs: number): boolean {
    const now = Math.trunc(nowMs);
    const bytes = bytesRead(this.link);
    if (isStalled(this.link)) this.#heardMs = now;
    // They came at some time since the last look; counted from there, silence is never overlong.
    else if (bytes > this.#bytesRead) this.#heardMs = Math.max(this.#heardMs, now - pingMs);
    else if (now - this.#heardMs >= silentMs) {
      this.link.terminate();
      return false;
    }
    this.#bytesRead = bytes;
    this.dueMs = now + pingMs;
    return true;
  }
}

/**
 * So many bytes may wait for a peer that is sent a pong. RFC 6455 5.5.3 lets pings go unanswered;
 * who sends them without end and does not read the answers shall not fill memory.
 */
export const pongsMost = 64 * 1024;

/**
 * Answers pings within that bound, for a websocket that was told not to do it by itself (`autoPong`):
 * `ws` ends a link with 60 pongs unsent, and a suspended ssh has as many after twenty minutes.
 */
export function answerPings(socket: WebSocket): void {
  socket.on("ping", (data: Buffer) => {
    if (socket.readyState === socket.OPEN && socket.bufferedAmount < pongsMost) socket.pong(data);
  });
}

/** RFC 6455 5.5.2: a server's, with nothing in it. */
export const pingFrame = Buffer.from([0x89, 0]);

/** Pings every 20 s, and watches for silence. */
export function pingRegularly(socket: WebSocket, clock: Clock): void {
  // As it is, between two messages of `ws`, which would make three writes of it.
  keepWatch(socket, clock, () => void rawOf(socket)?.write(pingFrame));
}

/**
 * Watches for a relay that does not ping. The other half of `pingRegularly`. A paused link does not
 * see the pings, so it says unasked that it is there (RFC 6455 5.5.3).
 */
export function expectPings(link: DataLink, clock: Clock): void {
  keepWatch(link, clock, () => {
    if (link.isPaused) link.pong();
  });
}

function keepWatch(link: DataLink, clock: Clock, beat: () => void): void {
  const watch = new Watch(link, clock.now());
  const hear = (): void => watch.hear(clock.now());
  const look = (): void => {
    if (!watch.look(clock.now())) return;
    if (link.readyState === link.OPEN) beat();
    timer = clock.setTimeout(look, pingMs, "ping");
  };
  let timer = clock.setTimeout(look, pingMs, "ping");
  link.on("ping", hear);
  link.on("pong", hear);
  link.on("close", () => clock.clearTimeout(timer));
}

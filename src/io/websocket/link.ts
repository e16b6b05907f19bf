/**
 * Link: what every websocket of ours has, whichever side opened it: an end that comes even when the
 * reader is paused, and answers to pings that fill no memory. It does not know when a peer is lost.
 */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import type { CloseCode } from "../protocol/wire.ts";
import { maskedHeadOf, opcodes } from "./frames.ts";

/** What is used of a websocket once it is open; `ws` has it, and so has the link of wsproxy. */
export interface DataLink {
  readonly readyState: number;
  readonly OPEN: number;
  readonly CLOSED: number;
  readonly isPaused: boolean;
  readonly bufferedAmount: number;
  /** Bytes that came in so far; where it is left out, the socket beneath knows. */
  readonly bytesRead?: number;
  send(data: Uint8Array, sent?: (error?: Error | null) => void): void;
  /** Sends both as one message, without a copy of the parts; left out where there is no such way. */
  sendAfter?(
    front: Uint8Array,
    parts: readonly Uint8Array[],
    sent?: (error?: Error | null) => void,
  ): void;
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
export const answerMs = 2_000;
/** Time for all of a close: what is to be written before the frame, the frame, the answer. `ws` has as much. */
export const closingMs = 30_000;

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
  const timer = clock.setTimeout(() => socket.terminate(), answerMs);
  socket.once("close", () => clock.clearTimeout(timer));
}

/**
 * Writes a client's binary frame, of `front` and `parts`, in one go and without a copy of the parts;
 * `written` is called when all has left this process.
 */
export function writeFrame(
  raw: Socket,
  front: Uint8Array,
  parts: readonly Uint8Array[],
  written?: (error?: Error | null) => void,
): void {
  let length = 0;
  for (const part of parts) length += part.length;
  const head = maskedHeadOf(opcodes.binary, length, front);
  let left = parts.length;
  if (left === 0) return void raw.write(head, written);
  raw.cork();
  raw.write(head);
  for (const part of parts) {
    left -= 1;
    raw.write(part, left === 0 ? written : undefined);
  }
  raw.uncork();
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

/**
 * So many bytes may wait for a peer that is sent a pong. RFC 6455 5.5.3 lets pings go unanswered;
 * who sends them without end and does not read the answers shall not fill memory.
 */
export const pongMostBytes = 64 * 1024;

/**
 * Answers pings within that bound, for a websocket that was told not to do it by itself (`autoPong`):
 * `ws` ends a link with 60 pongs unsent, and a suspended ssh has as many after twenty minutes.
 */
export function answerPings(socket: WebSocket): void {
  socket.on("ping", (data: Buffer) => {
    if (socket.readyState === socket.OPEN && socket.bufferedAmount < pongMostBytes)
      socket.pong(data);
  });
}

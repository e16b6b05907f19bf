/**
 * Read buffer: memory that sockets are read into. A link in use has one of its own; all idle ones
 * share one, for a buffer is only full between a read and the end of its callback.
 *
 * All of it is the memory of one small WebAssembly module, that takes a mask off where the bytes lie.
 */

import { openUnmasking } from "../wasm/unmask.ts";
import { frontBytes, type ReadBuffer } from "./frames.ts";

const sharedBytes = 64 * 1024;
const ownBytes = 256 * 1024;
/** So many links at most are read fast at one time; pages never touched cost nothing. */
const ownMost = 128;

const { memory, unmask } = openUnmasking(sharedBytes + ownMost * ownBytes);

function bufferAt(at: number, size: number): ReadBuffer {
  const bytes = Buffer.from(memory, at, size);
  return {
    bytes,
    back: bytes.subarray(frontBytes),
    unmask: (from, to, key) => unmask(at + from, at + to, key),
  };
}

/** The one for whoever has little to read. Nothing in it outlives the callback of a read. */
export const sharedBuffer = bufferAt(0, sharedBytes);

const spares: ReadBuffer[] = [];
let made = 0;

/** One for a single link, or the shared one when there is no other. */
export function takeReadBuffer(): ReadBuffer {
  const spare = spares.pop();
  if (spare) return spare;
  if (made === ownMost) return sharedBuffer;
  made += 1;
  return bufferAt(sharedBytes + (made - 1) * ownBytes, ownBytes);
}

export function returnReadBuffer(used: ReadBuffer): void {
  if (used !== sharedBuffer) spares.push(used);
}

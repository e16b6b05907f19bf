/**
 * Read room: memory that sockets are read into. A link in use has one of its own; all idle ones
 * share one, for a room is only full between a read and the end of its callback.
 *
 * All of it is the memory of one small WebAssembly module, that takes a mask off where the bytes lie.
 */

import { openUnmasking } from "../wasm/unmask.ts";
import { frontBytes, type Room } from "./frames.ts";

const sharedBytes = 64 * 1024;
const ownBytes = 256 * 1024;
/** So many links at most are read fast at one time; pages never touched cost nothing. */
const ownMost = 128;

const { memory, unmask } = openUnmasking(sharedBytes + ownMost * ownBytes);

function room(at: number, size: number): Room {
  const bytes = Buffer.from(memory, at, size);
  return {
    bytes,
    back: bytes.subarray(frontBytes),
    unmask: (from, to, key) => unmask(at + from, at + to, key),
  };
}

/** The one for whoever has little to read. Nothing in it outlives the callback of a read. */
export const sharedRoom = room(0, sharedBytes);

const spares: Room[] = [];
let made = 0;

/** One for a single link, or the shared one when there is no other. */
export function takeRoom(): Room {
  const spare = spares.pop();
  if (spare) return spare;
  if (made === ownMost) return sharedRoom;
  made += 1;
  return room(sharedBytes + (made - 1) * ownBytes, ownBytes);
}

export function giveBack(used: Room): void {
  if (used !== sharedRoom) spares.push(used);
}

/**
 * Read room: memory that sockets are read into. A link in use has one of its own; all idle ones
 * share one, for a room is only full between a read and the end of its callback.
 */

/** Room before what is read: for the rest of a frame's head, and the head of the frame that goes out. */
export const frontBytes = 160;

export interface Room {
  /** All of it, the front too. */
  readonly bytes: Buffer;
  /** The same, for unmasking; the byte order of the machine does not matter to an exclusive or. */
  readonly words: Int32Array;
  /** Where to read to. */
  readonly back: Uint8Array;
}

function room(size: number): Room {
  const bytes = Buffer.allocUnsafeSlow(frontBytes + size);
  return {
    bytes,
    words: new Int32Array(bytes.buffer),
    back: bytes.subarray(frontBytes),
  };
}

const ownBytes = 256 * 1024;
const sharedBytes = 64 * 1024;
/** Rooms that are kept for the next who needs one. */
const sparesMost = 16;
const spares: Room[] = [];

/** The one for whoever has little to read. Nothing in it outlives the callback of a read. */
export const sharedRoom = room(sharedBytes);

export const takeRoom = (): Room => spares.pop() ?? room(ownBytes);

export function giveBack(used: Room): void {
  if (used !== sharedRoom && spares.length < sparesMost) spares.push(used);
}

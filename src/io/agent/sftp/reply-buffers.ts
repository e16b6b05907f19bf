/**
 * Sftp rooms: memory for replies to large READs, used again and again, for a fresh quarter of a
 * megabyte costs more than to fill it. It does not know when a reply has left.
 */
import { dataHeader, maxTransfer } from "./wire.ts";

const roomBytes = dataHeader + maxTransfer;
/** As many as fit into what a session may keep. */
const sparesMost = 16;
/** A reply so much smaller is not worth a room. */
const fewBytes = roomBytes / 4;

const spares: Buffer[] = [];
const rooms = new WeakMap<ArrayBufferLike, Buffer>();

/** A buffer of `bytes`, at most `dataHeader + maxTransfer`, with anything in it. */
export function takeRoom(bytes: number): Buffer {
  if (bytes < fewBytes) return Buffer.allocUnsafe(bytes);
  const room = spares.pop() ?? Buffer.allocUnsafeSlow(roomBytes);
  rooms.set(room.buffer, room);
  return room.subarray(0, bytes);
}

/** A reply that nobody reads any more; whatever is no room is left alone, as is one given back before. */
export function giveBack(reply: Buffer): void {
  const room = rooms.get(reply.buffer);
  if (!room || !rooms.delete(reply.buffer) || spares.length === sparesMost) return;
  spares.push(room);
}

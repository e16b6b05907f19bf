/**
 * Reply buffers: memory for replies to large READs, used again and again, for a fresh quarter of a
 * megabyte costs more than to fill it. It does not know when a reply has left.
 */
import { dataHeader, maxTransfer } from "./wire.ts";

const bufferBytes = dataHeader + maxTransfer;
/** As many as fit into what a session may keep. */
const sparesMost = 16;
/** A reply so much smaller is not worth keeping one for. */
const fewBytes = bufferBytes / 4;

const spares: Buffer[] = [];
const lent = new WeakMap<ArrayBufferLike, Buffer>();

/** A buffer of `bytes`, at most `dataHeader + maxTransfer`, with anything in it. */
export function takeReplyBuffer(bytes: number): Buffer {
  if (bytes < fewBytes) return Buffer.allocUnsafe(bytes);
  const buffer = spares.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  lent.set(buffer.buffer, buffer);
  return buffer.subarray(0, bytes);
}

/** A reply that nobody reads any more; whatever is no such buffer is left alone, as is one given back before. */
export function returnReplyBuffer(reply: Buffer): void {
  const buffer = lent.get(reply.buffer);
  if (!buffer || !lent.delete(reply.buffer) || spares.length === sparesMost) return;
  spares.push(buffer);
}

/**
 * Link stream: an open data link as a byte stream for the ssh server. What is written within one
 * turn of the event loop leaves as one frame, without a copy: ssh writes three small pieces for each
 * packet, and each would cost the relay and the client a frame.
 */
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import { putHead } from "./frames.ts";
import { rawOf } from "./raw-socket.ts";

type Written = (error?: Error | null) => void;

/** The head of a frame from a client with a mask of zeros, as `dial` has it for ciphertext. */
function headOf(length: number): Buffer {
  const head = Buffer.alloc(10 + 4);
  const at = putHead(head, 10, 10 + length);
  head[at + 1] = (head[at + 1] ?? 0) | 0x80;
  return head.subarray(at);
}

/** The stream of an open link; whichever of the two ends, the other does. */
export function linkStream(link: WebSocket): Duplex {
  const stream = createWebSocketStream(link);
  const writeAll = (parts: readonly { readonly chunk: Buffer }[], written: Written): void => {
    const raw = rawOf(link);
    if (!raw || link.readyState !== link.OPEN) return written(); // its end is on its way
    let length = 0;
    for (const { chunk } of parts) length += chunk.length;
    if (length === 0) return written();
    raw.cork();
    raw.write(headOf(length));
    const last = parts.length - 1;
    for (const [n, { chunk }] of parts.entries())
      raw.write(chunk, n === last ? written : undefined);
    raw.uncork();
  };
  return inTurns(
    Object.assign(stream, {
      _write: (chunk: Buffer, _encoding: BufferEncoding, written: Written): void =>
        writeAll([{ chunk }], written),
      _writev: writeAll,
    }),
  );
}

/** The same stream, of which all that is written within one turn of the event loop leaves at once. */
export function inTurns<S extends Duplex>(stream: S): S {
  let isCollecting = false;
  const collect = (): void => {
    if (isCollecting) return;
    isCollecting = true;
    stream.cork();
    process.nextTick(() => {
      isCollecting = false;
      stream.uncork();
    });
  };
  const write = stream.write.bind(stream);
  return Object.assign(stream, {
    write: (...args: Parameters<Duplex["write"]>): boolean => {
      collect();
      return write(...args);
    },
  });
}

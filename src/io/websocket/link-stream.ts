/**
 * Link stream: an open data link as a byte stream for the ssh server. What is written within one
 * turn of the event loop leaves as one frame, without a copy: ssh writes three small pieces for each
 * packet, and each would cost the relay and the client a frame. What comes can be read in place.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import { dataMaxBytes } from "../protocol/wire.ts";
import { readInto } from "../tcp-socket.ts";
import { FrameReader, frontBytes, maskedHeadOf, type Other, opcodes } from "./frames.ts";
import { feed, isBetweenMessages, rawOf } from "./raw-socket.ts";

type Written = (error?: Error | null) => void;

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
    raw.write(maskedHeadOf(opcodes.binary, length));
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

/** Bytes are in it between a read and the end of its callback only: so one buffer serves all links. */
const memory = Buffer.allocUnsafeSlow(256 * 1024);
const buffer = { bytes: memory, back: memory.subarray(frontBytes), unmask: () => {} };

/** Hands on what lies in the buffer: as it is to who listens, else a copy, as `push` does. */
function handOn(stream: Duplex, start: number, end: number): boolean {
  const part = memory.subarray(start, end);
  if (stream.readableFlowing && stream.readableLength === 0) return stream.emit("data", part);
  return stream.push(Buffer.from(part));
}

/** Reads the frames of a link whose messages so far `ws` has read. */
class LinkReader extends FrameReader {
  readonly back = buffer.back;
  readonly #link: WebSocket;
  readonly #stream: Duplex;
  #isBroken = false;

  constructor(link: WebSocket, stream: Duplex) {
    super(dataMaxBytes, false);
    this.#link = link;
    this.#stream = stream;
  }

  onRead(bytes: number): void {
    this.read(buffer, frontBytes, bytes);
    if (this.end === this.start || this.#isBroken) return;
    if (!handOn(this.#stream, this.start, this.end)) this.#link.pause();
  }

  protected other(kind: Other, frame: Buffer): void {
    if (kind === "control") return feed(this.#link, frame);
    this.#isBroken = true; // no relay sends anything else
    this.#link.terminate();
  }
}

/**
 * From now on what comes is read into the same memory again and again, from the first moment that
 * allows it, and not at all on TLS: the stream's listeners must keep nothing of a chunk.
 */
export function readLinkInPlace(link: WebSocket, stream: Duplex): void {
  const begin = (): void => {
    const raw = rawOf(link);
    if (raw && !link.isPaused && isBetweenMessages(link) && stream.readableLength === 0)
      readInto(raw, new LinkReader(link, stream));
    else link.once("message", later);
  };
  const later = (): void => void setImmediate(begin);
  later();
}

/** The same of a plain socket. */
export function readSocketInPlace(socket: Socket): void {
  if (socket.readableLength > 0) return;
  const { back } = buffer;
  const onRead = (bytes: number): void => {
    if (!handOn(socket, frontBytes, frontBytes + bytes)) socket.pause();
  };
  readInto(socket, { back, onRead });
}

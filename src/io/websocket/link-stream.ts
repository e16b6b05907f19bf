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
import { FrameReader, frontBytes, type Other } from "./frames.ts";
import { writeFrame } from "./link.ts";
import { feed, isBetweenMessages, rawOf } from "./raw-socket.ts";

type Written = (error?: Error | null) => void;

const noFront = new Uint8Array(0);

/** Writes to an open link; when its end is on its way that is all the same. */
export function writeToLink(
  link: WebSocket,
  front: Uint8Array,
  parts: readonly Uint8Array[],
  written: Written,
): void {
  const raw = rawOf(link);
  if (raw && link.readyState === link.OPEN) writeFrame(raw, front, parts, written);
  else written();
}

/** The stream of an open link; whichever of the two ends, the other does. */
export function linkStream(link: WebSocket): Duplex {
  const stream = createWebSocketStream(link);
  const writeAll = (parts: readonly Uint8Array[], written: Written): void => {
    if (parts.some((part) => part.length > 0)) writeToLink(link, noFront, parts, written);
    else written();
  };
  return inTurns(Object.assign(stream, writing(writeAll)));
}

/** How a stream is written to that takes all that there is at once. */
export const writing = (
  writeAll: (parts: readonly Uint8Array[], written: Written) => void,
): {
  _write(chunk: Buffer, encoding: BufferEncoding, written: Written): void;
  _writev(chunks: readonly { readonly chunk: Buffer }[], written: Written): void;
} => ({
  _write: (chunk, _encoding, written) => writeAll([chunk], written),
  _writev: (chunks, written) =>
    writeAll(
      chunks.map(({ chunk }) => chunk),
      written,
    ),
});

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

/**
 * Hands on what lies in `room` between the two: as it is to who listens, else a copy, as `push` does.
 * False when the stream wants no more for now.
 */
export function handOn(stream: Duplex, room: Uint8Array, from: number, to: number): boolean {
  const part = Buffer.from(room.buffer, room.byteOffset + from, to - from);
  if (stream.readableFlowing && stream.readableLength === 0) return stream.emit("data", part);
  return stream.push(Buffer.from(part));
}

/** Takes what came, which lies in `room` between the two and nowhere else, and not for long. */
type Take = (room: Uint8Array, from: number, to: number) => void;

/** Reads the frames of a link whose messages so far `ws` has read. */
class LinkReader extends FrameReader {
  readonly back = buffer.back;
  readonly #link: WebSocket;
  readonly #take: Take;
  #isBroken = false;

  constructor(link: WebSocket, take: Take) {
    super(dataMaxBytes, false);
    this.#link = link;
    this.#take = take;
  }

  onRead(bytes: number): void {
    this.read(buffer, frontBytes, bytes);
    if (this.end === this.start || this.#isBroken) return;
    this.#take(memory, this.start, this.end);
  }

  protected other(kind: Other, frame: Buffer): void {
    if (kind === "control") return feed(this.#link, frame);
    this.#isBroken = true; // no relay sends anything else
    this.#link.terminate();
  }
}

/**
 * From now on what comes is read into the same memory again and again, from the first moment that
 * allows it, and not at all on TLS: the stream's listeners must keep nothing of a chunk. `take` hands
 * on what came; without it, that is all there was.
 */
export function readLinkInPlace(link: WebSocket, stream: Duplex, take?: Take): void {
  const handAll: Take = (room, from, to) => {
    if (!handOn(stream, room, from, to)) link.pause();
  };
  const begin = (): void => {
    const raw = rawOf(link);
    if (raw && !link.isPaused && isBetweenMessages(link) && stream.readableLength === 0)
      readInto(raw, new LinkReader(link, take ?? handAll));
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
    if (!handOn(socket, memory, frontBytes, frontBytes + bytes)) socket.pause();
  };
  readInto(socket, { back, onRead });
}

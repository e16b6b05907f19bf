/**
 * TCP socket: how to read one without an allocation for each chunk, and what else Node keeps to
 * itself of it. The one place that knows; where Node is not as expected it says so, and the caller
 * goes on with `data` events. It does not know what is spoken on it.
 */
import { Socket } from "node:net";

/** The TCP socket beneath one that may be TLS. */
export const socketBelow = (socket: Socket): Socket =>
  "encrypted" in socket ? ((Reflect.get(socket, "_parent") as Socket | null) ?? socket) : socket;

/** Bytes of the write under way that the system has not taken yet. */
export const queuedBytes = (socket: Socket): number =>
  (Reflect.get(socket, "_handle") as { writeQueueSize?: number } | null)?.writeQueueSize ?? 0;

/**
 * Stops reading a socket that has a `data` listener, or goes on. What was read but not handed out
 * yet, such as many small records of TLS, still comes at once: a stream that is paused would keep a
 * buffer for each.
 */
export function read(socket: Socket, isOn: boolean): void {
  const handle = Reflect.get(socket, "_handle") as { readStart(): void; readStop(): void } | null;
  if (isOn) handle?.readStart();
  else handle?.readStop();
}

/**
 * Node's `onread` option (net.connect) sets these when a socket is made; one that came from a
 * server can be given them later. They are the same from Node 20 to 26.
 */
const names = ["kBuffer", "kBufferCb", "kBufferGen"] as const;
const own = Object.getOwnPropertySymbols(new Socket());
const [kBuffer, kBufferCb, kBufferGen] = names.map((name) =>
  own.find(({ description }) => description === name),
);

interface Handle {
  useUserBuffer?(buffer: Uint8Array): void;
}

/** Who reads a socket in place. */
export interface InPlace {
  /** Where the next bytes are read to. */
  readonly back: Uint8Array;
  onRead(bytes: number): void;
}

const kReader = Symbol("reader");
type ReadSocket = Socket & { [kReader]: InPlace };

// Node calls the first on the socket, and the second right after it: so one pair serves all.
let next: Uint8Array | null = null;
function onRead(this: ReadSocket, bytes: number): void {
  const reader = this[kReader];
  reader.onRead(bytes);
  next = reader.back;
}
const nextBack = (): Uint8Array | null => next;

/**
 * From now on bytes are read into the reader's `back`, asked for before each read, and `onRead` is
 * called with their number instead of a `data` event; `pause`, `resume`, `end` and `close` stay as
 * they are. False when that is not possible, as on TLS; then nothing has changed.
 */
export function readInto(socket: Socket, reader: InPlace): boolean {
  const { _handle: handle } = socket as unknown as { _handle: Handle | null };
  if (!kBuffer || !kBufferCb || !kBufferGen || "encrypted" in socket) return false;
  if (!handle?.useUserBuffer) return false;
  const first = reader.back;
  Object.assign(socket, {
    [kReader]: reader,
    [kBuffer]: first,
    [kBufferCb]: onRead,
    [kBufferGen]: nextBack,
  });
  handle.useUserBuffer(first);
  return true;
}

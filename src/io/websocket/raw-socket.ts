/**
 * Raw socket: what lies beneath a websocket of `ws`. The one place that knows what `ws` keeps to
 * itself; of the socket it knows nothing.
 */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";

/** `ws`'s own parser (lib/receiver.js), as far as it is needed. */
interface Receiver {
  readonly _state: number;
  readonly _bufferedBytes: number;
  readonly _fragmented: number;
  write(bytes: Buffer): void;
}

const insides = (socket: WebSocket): { _socket: Socket | null; _receiver: Receiver } =>
  socket as unknown as { _socket: Socket | null; _receiver: Receiver };

/** The TCP or TLS socket of an open websocket; null when it has gone. */
export const rawOf = (socket: WebSocket): Socket | null => insides(socket)._socket;

/** Whether `ws` has taken in whole messages only, so that somebody else can read the next byte. */
export function isBetweenMessages(socket: WebSocket): boolean {
  const { _socket: raw, _receiver: receiver } = insides(socket);
  return (
    raw !== null &&
    raw.readableLength === 0 &&
    receiver._state === 0 &&
    receiver._bufferedBytes === 0 &&
    !receiver._fragmented
  );
}

/** Lets `ws` act on bytes as if it had read them: on a ping, a pong, a close, or a fault. */
export const feed = (socket: WebSocket, bytes: Buffer): void =>
  insides(socket)._receiver.write(bytes);

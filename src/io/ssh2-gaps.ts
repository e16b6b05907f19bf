/**
 * Gaps of ssh2 1.17's server, filled from outside, all in this file since they touch its private
 * parts: a sink that cannot mix up stdout and stderr, the end of a channel that nobody reads, the
 * agent-forwarding channel, and a faster Poly1305.
 */
import { Writable } from "node:stream";
import type { Connection, ServerChannel } from "ssh2";
import crypto from "ssh2/lib/protocol/crypto.js";
import { authenticate } from "./poly1305.ts";

/** Both outputs of a channel, as streams with back-pressure. */
export interface ChannelSink {
  readonly out: Writable;
  readonly err: Writable;
}

interface Leftovers {
  _chunk: unknown;
  _chunkcb: unknown;
  _chunkErr: unknown;
  _chunkcbErr: unknown;
}
const nothingLeft: Leftovers = {
  _chunk: undefined,
  _chunkcb: undefined,
  _chunkErr: undefined,
  _chunkcbErr: undefined,
};

/**
 * ssh2 keeps one waiting chunk and its callback for stdout and one for stderr, and on a window
 * adjustment serves the first that is set, also one that was served long ago: with both in use
 * under back-pressure it repeats bytes of the one and forgets the other, or calls back twice, which
 * ends the channel. Here only one write is ever under way, and what it leaves behind is cleared.
 */
export function sinkOf(channel: ServerChannel): ChannelSink {
  const leftovers = channel as unknown as Leftovers;
  const waiting: (() => void)[] = [];
  let isBusy = false;
  const next = (): void => {
    const write = waiting.shift();
    isBusy = write !== undefined;
    write?.();
  };
  const sinkFor = (stream: Writable): Writable =>
    new Writable({
      highWaterMark: 256 * 1024,
      write: (chunk: Buffer, _encoding, done) => {
        waiting.push(() => {
          if (channel.destroyed || !channel.writable) {
            next();
            return done();
          }
          stream.write(chunk, () => {
            Object.assign(leftovers, nothingLeft);
            next();
            done();
          });
        });
        if (!isBusy) next();
      },
    });
  return { out: sinkFor(channel), err: sinkFor(channel.stderr) };
}

/**
 * Calls `act` when the client has closed the channel or its connection is gone. ssh2 keeps a
 * channel's "close" back until all input was read, which a command that reads none never does; but
 * it ends this stream at once, and nobody else here does.
 */
export function onGone(channel: ServerChannel, act: () => void): void {
  const { stderr } = channel;
  const end = stderr.end.bind(stderr);
  stderr.end = (() => {
    act();
    return end();
  }) as typeof stderr.end;
}

interface PrivateConnection {
  readonly _chanMgr: { add(opened: OpenedChannel): number };
  readonly _protocol: { openssh_authAgent(channel: number, window: number, packet: number): void };
}
interface OpenedChannel {
  (error: Error | undefined, channel?: ServerChannel): void;
  type: string;
}

/** RFC 4254 5.1: the window and packet size that ssh2 gives to every other channel. */
const windowBytes = 2 * 1024 * 1024;
const packetBytes = 32 * 1024;

/**
 * Opens an `auth-agent@openssh.com` channel to the client (OpenSSH PROTOCOL.agent). ssh2 can write
 * the request and take the answer, but its server has no method that does both.
 */
export function openAgentChannel(
  connection: Connection,
  opened: (error: Error | undefined, channel?: ServerChannel) => void,
): void {
  const { _chanMgr, _protocol } = connection as unknown as PrivateConnection;
  const local = _chanMgr.add(Object.assign(opened, { type: "auth-agent@openssh.com" }));
  if (local < 0) return opened(new Error("no channel is free"));
  _protocol.openssh_authAgent(local, windowBytes, packetBytes);
}

/** From now on all connections use our Poly1305, which is the faster one; without the patch ssh2's. */
export async function useFastPoly1305(): Promise<void> {
  await crypto.init;
  crypto.setPoly1305?.(authenticate);
}

/** Whether a connection keeps nothing of the chunks that it was given; without the patch it may. */
export const keepsNoChunks = (): boolean => crypto.keepsNothing === true;

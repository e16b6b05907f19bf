/**
 * Gaps of ssh2 1.17's server that are filled from outside, all in this file since they touch its
 * private parts: which stream a connection came on, the end of one output, the end of a channel that nobody reads, the
 * agent-forwarding channel, a goodbye with a reason, and a faster Poly1305. What had to be changed
 * inside is in `scripts/ssh2.patch`.
 */
import type { Duplex, Writable } from "node:stream";
import ssh2, { type Connection, type ServerChannel, type ServerConfig } from "ssh2";
import crypto from "ssh2/lib/protocol/crypto.js";
import { authenticate } from "../wasm/poly1305.ts";

const nothing = Buffer.alloc(0);

/**
 * Calls `act` when all that was written to one of a channel's outputs has gone out; never if the
 * channel ends before. The end of the one output must not be the end of the channel.
 */
export function onWritten(output: Writable, act: () => void): void {
  if (output.writable) output.write(nothing, act);
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
  readonly _protocol: {
    openssh_authAgent(channel: number, window: number, packet: number): void;
    disconnect(reason: number, description: string): void;
  };
  readonly _sock: Writable;
}
interface OpenedChannel {
  (error: Error | undefined, channel?: ServerChannel): void;
  type: string;
}

/** A server that is handed its connections, each with whom it belongs to. */
export interface StreamServer<Owner> {
  /** Takes a stream that nobody has read from yet as a new connection from `address`. */
  accept(stream: Duplex, address: string, owner: Owner): void;
}

/**
 * A server that listens to nothing. `serve` is called when a client has said what it speaks
 * (RFC 4253 4.2), with that `software`. ssh2 itself tells of a connection nothing but its address.
 */
export function openServer<Owner>(
  config: ServerConfig,
  serve: (connection: Connection, owner: Owner, software: string) => void,
): StreamServer<Owner> {
  // Its own keep-alive would end a connection that only sleeps, and no option puts it off.
  ssh2.Server.KEEPALIVE_CLIENT_INTERVAL = 0;
  const owners = new WeakMap<object, Owner>();
  const server = new ssh2.Server(config, (connection, { header }) => {
    const owner = owners.get((connection as unknown as PrivateConnection)._sock);
    if (owner) serve(connection, owner, header.versions.software);
    else connection.end();
  });
  return {
    accept: (stream, address, owner) => {
      owners.set(stream, owner);
      server.injectSocket(Object.assign(stream, { remoteAddress: address }) as never);
    },
  };
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

/** RFC 4253 11.1: the reason that sshd gives for all that a client does too much of. */
const protocolError = 2;

/** Ends a connection with a sentence, which OpenSSH shows (RFC 4253 11.1). */
export function disconnect(connection: Connection, sentence: string): void {
  const { _protocol, _sock } = connection as unknown as PrivateConnection;
  if (!_sock.writable) return;
  _protocol.disconnect(protocolError, sentence);
  _sock.end();
}

/** Whether our side of a connection has ended, as it does by itself when the client says DISCONNECT. */
export function hasEnded(connection: Connection): boolean {
  return (connection as unknown as PrivateConnection)._sock.writableEnded;
}

/** From now on all connections use our Poly1305, which is the faster one. */
export async function useFastPoly1305(): Promise<void> {
  await crypto.init;
  crypto.setPoly1305(authenticate);
}

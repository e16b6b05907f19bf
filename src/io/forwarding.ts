/**
 * Forwarding: ssh's -L, -R and -D, unix sockets, and the ssh agent, for one connection.
 *
 * Listening is on loopback only, as sshd does unless told otherwise. Bytes that pass count as
 * activity, except the agent's. All of it closes with the connection.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection, ServerChannel } from "ssh2";
import type { Meter } from "../actors/activity.ts";
import { openAgentChannel } from "./ssh2-gaps.ts";

/** Listeners that one connection may have. */
const listenersMost = 100;

export interface Forwarding {
  /** The path of a socket that leads to the client's ssh agent; made once. Null where it can't be had. */
  agentSocket(): string | null;
  close(): void;
}

export interface ForwardingConfig {
  readonly mayForward: boolean;
  readonly meter: Meter;
  /** Called once when something was forwarded. */
  readonly onUse: () => void;
}

/** Joins both ways, half-close included; `meter` may be null. */
function join2(channel: ServerChannel, socket: Socket, meter: Meter | null): void {
  socket.setNoDelay(true);
  const count = (data: Buffer): void => meter?.add(data.length);
  channel.on("data", count);
  socket.on("data", count);
  channel.pipe(socket);
  socket.pipe(channel, { end: false });
  // ssh2 sends EOF and CLOSE at once on `end`; a half-closed connection wants only the first.
  let ended = 0;
  const oneEnded = (): void => {
    ended += 1;
    if (ended === 2) channel.end();
  };
  socket.once("end", () => {
    channel.eof();
    oneEnded();
  });
  channel.once("end", oneEnded);
  channel.once("close", () => socket.destroy());
  socket.once("error", () => channel.end());
  socket.once("close", () => channel.end());
  channel.on("error", () => socket.destroy());
}

export function forwardFor(connection: Connection, config: ForwardingConfig): Forwarding {
  const { meter, onUse } = config;
  const listeners = new Map<string, Server>();
  let agentDir: string | null = null;

  // A listener for a request is what makes ssh2 allow it; without one it is prohibited, as it should.
  if (config.mayForward) {
    connection.on("tcpip", (accept, reject, { destIP, destPort }) => {
      const socket = connect({ host: destIP, port: destPort, allowHalfOpen: true });
      dialled(socket, accept, reject);
    });
    connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
      dialled(connect({ path: socketPath, allowHalfOpen: true }), accept, reject);
    });
    connection.on("request", (accept, reject, name, info) => {
      const asked = info as { bindAddr?: string; bindPort?: number; socketPath?: string };
      const refuse = (): void => reject?.();
      switch (name as string) {
        case "tcpip-forward":
          return listenOn(asked.bindAddr ?? "", asked.bindPort ?? 0, accept, refuse);
        case "streamlocal-forward@openssh.com":
          return listenAt(asked.socketPath ?? "", () => accept?.(), refuse);
        case "cancel-tcpip-forward":
          return cancel(`${asked.bindAddr}:${asked.bindPort}`, () => accept?.(), refuse);
        case "cancel-streamlocal-forward@openssh.com":
          return cancel(asked.socketPath ?? "", () => accept?.(), refuse);
        default:
          return refuse();
      }
    });
  }

  function dialled(socket: Socket, accept: () => ServerChannel, reject: () => void): void {
    const refuse = (): void => reject();
    socket.once("error", refuse);
    socket.once("connect", () => {
      socket.off("error", refuse);
      onUse();
      join2(accept(), socket, meter);
    });
    connection.once("close", () => socket.destroy());
  }

  function arrived(open: (done: (e: Error | undefined, c?: ServerChannel) => void) => void) {
    return (socket: Socket): void => {
      socket.on("error", () => {});
      open((error, channel) => {
        if (error || !channel) return void socket.destroy();
        onUse();
        join2(channel, socket, meter);
      });
    };
  }

  function listenOn(
    bindAddr: string,
    bindPort: number,
    accept: ((port?: number) => void) | undefined,
    refuse: () => void,
  ): void {
    if (listeners.size >= listenersMost) return refuse();
    let port = bindPort;
    const server = createServer(
      { allowHalfOpen: true },
      arrived((done) =>
        connection.forwardOut(bindAddr, port, "127.0.0.1", 0, done as (e?: Error) => void),
      ),
    );
    server.once("error", refuse);
    server.listen(bindPort, "localhost", () => {
      const address = server.address();
      if (typeof address === "object" && address) port = address.port;
      listeners.set(`${bindAddr}:${port}`, server);
      accept?.(port);
    });
  }

  function listenAt(path: string, accept: () => void, refuse: () => void): void {
    if (listeners.size >= listenersMost || path === "") return refuse();
    const server = createServer(
      { allowHalfOpen: true },
      arrived((done) =>
        connection.openssh_forwardOutStreamLocal(path, done as (e?: Error) => void),
      ),
    );
    server.once("error", refuse);
    server.listen(path, () => {
      listeners.set(path, server);
      accept();
    });
  }

  function cancel(name: string, accept: () => void, refuse: () => void): void {
    const server = listeners.get(name);
    if (!server) return refuse();
    listeners.delete(name);
    server.close();
    accept();
  }

  return {
    agentSocket: () => {
      if (process.platform === "win32") return null;
      if (agentDir !== null) return join(agentDir, "agent.sock");
      try {
        agentDir = mkdtempSync(join(tmpdir(), "converge-agent-"));
      } catch {
        return null;
      }
      const path = join(agentDir, "agent.sock");
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {});
        openAgentChannel(connection, (error, channel) => {
          if (error || !channel) socket.destroy();
          else join2(channel, socket, null);
        });
      });
      server.on("error", () => {});
      server.listen(path);
      listeners.set(path, server);
      return path;
    },
    close: () => {
      for (const server of listeners.values()) server.close();
      listeners.clear();
      if (agentDir !== null) rmSync(agentDir, { recursive: true, force: true });
    },
  };
}

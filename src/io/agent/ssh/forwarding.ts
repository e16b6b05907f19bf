/**
 * Forwarding: ssh's -L, -R and -D, unix sockets, and the ssh agent, for one connection.
 *
 * Listening is on loopback only, as sshd does unless told otherwise. Bytes that pass count as
 * activity, except the agent's. All of it closes with the connection.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection, ServerChannel } from "ssh2";
import type { Metering } from "../../../actors/activity.ts";
import { openAgentChannel } from "../../ssh2/gaps.ts";

/** Listeners that one connection may have. */
const listenersMost = 100;

export interface Forwarding {
  /** The path of a socket that leads to the client's ssh agent; made once. Null where it can't be had. */
  agentSocket(): string | null;
  close(): void;
}

export interface ForwardingConfig {
  readonly mayForward: boolean;
  readonly meter: Metering;
  /** Called once when something was forwarded. */
  readonly onUse: () => void;
}

/** Joins both ways, half-close included; `meter` may be null. */
function join2(channel: ServerChannel, socket: Socket, meter: Metering | null): void {
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
  // Behind all that still waits for the window: ssh2 drops what is written after its EOF.
  const afterAll = (act: () => void): void => {
    if (channel.writable) channel.write(nothing, act);
  };
  socket.once("end", () =>
    afterAll(() => {
      channel.eof();
      oneEnded();
    }),
  );
  channel.once("end", oneEnded);
  // What the client sent before it closed the channel is still delivered.
  channel.once("close", () => socket.destroySoon());
  socket.once("close", () => {
    channel.resume();
    afterAll(() => channel.end());
  });
  channel.on("error", () => socket.destroy());
}

const nothing = Buffer.alloc(0);

export function forwardFor(connection: Connection, config: ForwardingConfig): Forwarding {
  const { meter, onUse } = config;
  const listeners = new Map<string, Server[]>();
  const sockets = new Set<Socket>();
  let opened = 0;
  let isClosed = false;
  let agentDir: string | null = null;

  // A listener for a request is what makes ssh2 allow it; without one it is prohibited, as it should.
  if (config.mayForward) {
    connection.on("tcpip", (accept, reject, { destIP, destPort }) =>
      dialled({ host: destIP, port: destPort }, accept, reject),
    );
    connection.on("openssh.streamlocal", (accept, reject, { socketPath }) =>
      dialled({ path: socketPath }, accept, reject),
    );
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

  /** Every socket ends with the connection, also one whose other side has stopped reading. */
  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on("error", () => {}); // a "close" follows
    socket.once("close", () => sockets.delete(socket));
    if (isClosed) socket.destroy();
  }

  function dialled(
    where: { host: string; port: number } | { path: string },
    accept: () => ServerChannel,
    reject: () => void,
  ): void {
    let socket: Socket;
    try {
      socket = connect({ ...where, allowHalfOpen: true });
    } catch {
      return reject(); // a port beyond 65535, or no path
    }
    keep(socket);
    socket.once("close", reject); // which does nothing once it was accepted
    socket.once("connect", () => {
      onUse();
      join2(accept(), socket, meter);
    });
  }

  type Opened = (error: Error | undefined, channel?: ServerChannel) => void;
  function arrived(
    open: (socket: Socket, opened: Opened) => void,
    counting: Metering | null = meter,
  ): (socket: Socket) => void {
    return (socket) => {
      keep(socket);
      if (isClosed) return;
      open(socket, (error, channel) => {
        if (error || !channel) return void socket.destroy();
        if (counting) onUse();
        join2(channel, socket, counting);
      });
    };
  }

  /** A server whose later errors, as of too many open files, harm nobody. */
  function serverFor(serve: (socket: Socket) => void, failed: () => void): Server {
    const server = createServer({ allowHalfOpen: true }, serve);
    server.on("error", failed);
    return server;
  }

  function notListening(server: Server, refuse: () => void): void {
    if (server.listening) return;
    opened -= 1;
    refuse();
  }

  function listenOn(
    bindAddr: string,
    bindPort: number,
    accept: ((port?: number) => void) | undefined,
    refuse: () => void,
  ): void {
    if (opened >= listenersMost || bindPort > 65_535) return refuse();
    opened += 1;
    let port = bindPort;
    const serve = arrived(({ remoteAddress, remotePort }, done) =>
      connection.forwardOut(
        bindAddr,
        port,
        remoteAddress ?? "127.0.0.1",
        remotePort ?? 0,
        done as (e?: Error) => void,
      ),
    );
    const server = serverFor(serve, () => notListening(server, refuse));
    server.listen(bindPort, "127.0.0.1", () => {
      if (isClosed) return void server.close();
      const address = server.address();
      if (typeof address === "object" && address) port = address.port;
      // Programs that look up "localhost" may try this one first; where there is no IPv6 it fails.
      const second = serverFor(serve, () => {});
      second.listen(port, "::1");
      listeners.set(`${bindAddr}:${port}`, [server, second]);
      accept?.(port);
    });
  }

  function listenAt(path: string, accept: () => void, refuse: () => void): void {
    if (opened >= listenersMost || path === "") return refuse();
    opened += 1;
    const serve = arrived((_socket, done) =>
      connection.openssh_forwardOutStreamLocal(path, done as (e?: Error) => void),
    );
    const server = serverFor(serve, () => notListening(server, refuse));
    server.listen(path, () => {
      if (isClosed) return void server.close();
      onlyForOwner(path);
      listeners.set(path, [server]);
      accept();
    });
  }

  function cancel(name: string, accept: () => void, refuse: () => void): void {
    const servers = listeners.get(name);
    if (!servers) return refuse();
    listeners.delete(name);
    opened -= 1;
    for (const server of servers) server.close();
    accept();
  }

  return {
    agentSocket: () => {
      if (process.platform === "win32" || isClosed) return null;
      if (agentDir !== null) return join(agentDir, "agent.sock");
      try {
        agentDir = mkdtempSync(join(tmpdir(), "converge-agent-"));
      } catch {
        return null;
      }
      const path = join(agentDir, "agent.sock");
      const serve = arrived((_socket, done) => openAgentChannel(connection, done), null);
      const server = serverFor(serve, () => {});
      server.listen(path);
      listeners.set(path, [server]);
      return path;
    },
    close: () => {
      isClosed = true;
      for (const server of [...listeners.values()].flat()) server.close();
      listeners.clear();
      for (const socket of sockets) socket.destroy();
      if (agentDir !== null) rmSync(agentDir, { recursive: true, force: true });
    },
  };
}

/** As sshd's StreamLocalBindMask; Windows has no such thing. */
function onlyForOwner(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch {
    // the path is gone already, and with it whoever could come in by it
  }
}

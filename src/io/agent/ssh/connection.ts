/**
 * Connection: one ssh connection of one client, from its carrier to its end: who logs in on it, what
 * it may open, and whether it ended in order. Other connections are the server's.
 */
import type { AuthContext, Connection, Session } from "ssh2";
import type { Metering } from "../../../actors/activity.ts";
import type { Clock } from "../../../actors/clock.ts";
import { reasonOf } from "../../../actors/errors.ts";
import type { ChannelKind } from "../../../machines/vocabulary.ts";
import { disconnect, hasEnded } from "../../ssh2/gaps.ts";
import { plainText } from "../../text.ts";
import { type AuthorizedKey, admits } from "../keys/authorized-keys.ts";
import { sessionEnvironment } from "../shell/environment.ts";
import type { Shell } from "../shell/shells.ts";
import type { Client } from "./client.ts";
import { forwardFor } from "./forwarding.ts";
import type { Login } from "./login.ts";
import type { NoticeOptions } from "./notices.ts";
import {
  type Allowed,
  type RunningSession,
  type SshSessionConfig,
  serveSession,
} from "./session.ts";

const tooManyTries = "Too many authentication failures: use ssh -i KEY -oIdentitiesOnly=yes";
/** Like sshd's MaxSessions; editors open a dozen. */
const sessionsMost = 64;
/** For scripts, which expect numbers of a port: OpenSSH's own for one that is not known, and ssh's. */
const unknownPort = 65_535;
const sshPort = 22;
/** At the agent's end, what a client gets to leave by itself. */
const leaveMs = 1_000;

/** What is the same for all connections of an agent. */
export interface ConnectionConfig {
  readonly shell: Shell;
  readonly agentdir: string;
  /** The environment that the agent was started with. */
  readonly job: Readonly<Record<string, string | undefined>>;
  /** Marks every process of a session, so that none is left behind. */
  readonly marker: string;
  readonly allowed: Allowed & { readonly portForwarding: boolean };
  readonly notices: NoticeOptions;
  /** The id in use now. */
  rendezvous(): string;
  welcome(): string;
  /** What a client is told that leaves while so many others are in. */
  farewell(others: number): string;
}

/** Where a connection tells what becomes of it. */
export interface ConnectionOwner {
  readonly login: Login;
  readonly meter: Metering;
  readonly clock: Clock;
  /** The agent is on its way out: nobody logs in any more. */
  isEnding(): boolean;
  /** How many other clients are in. */
  othersOf(client: Client): number;
  onJoin(client: Client, key: AuthorizedKey): void;
  /** It has started something of a kind that it had not yet. */
  onKind(client: Client): void;
  onStart(running: RunningSession): void;
  onStop(running: RunningSession): void;
  /** A session's channel went away while its process was still running. */
  onAbandoned(pid: number): void;
  onLeave(client: Client, key: AuthorizedKey, inOrder: boolean): void;
  /** A line about it for the log; null says nothing. */
  note(client: Client, line: string, reason: string | null): void;
}

/** Serves a connection from the client's first words to its end. */
export function serveConnection(
  client: Client,
  connection: Connection,
  config: ConnectionConfig,
  owner: ConnectionOwner,
): void {
  client.connection = connection;
  /** What still flows for who is away is nobody's activity. */
  const meter: Metering = {
    add: (bytes) => {
      if (client.carrier.standing?.awayAtMs == null) owner.meter.add(bytes);
    },
  };

  function authenticate(context: AuthContext): void {
    if (!client.attempts.begin()) return disconnect(connection, tooManyTries);
    judge(client, context, owner).catch(breach);
  }

  function ready(): void {
    const key = client.login;
    if (!key) return;
    client.carrier.keep((address) => admits(key, { address, wallMs: 0 }) === true);
    client.forwarding = forwardFor(connection, {
      mayForward: config.allowed.portForwarding && key.options.portForwarding,
      meter,
      onUse: () => noteKind("forward"),
    });
    client.joinedAtMs = owner.clock.now();
    owner.onJoin(client, key);
  }

  function openSession(accept: () => Session, reject: () => void): void {
    const key = client.login;
    if (!key || client.channels >= sessionsMost) return reject();
    const session = accept();
    client.channels += 1;
    client.hadChannels = true;
    session.once("close", () => {
      client.channels -= 1;
    });
    const about: SshSessionConfig = {
      allowed: config.allowed,
      key: key.options,
      shell: config.shell,
      agentdir: config.agentdir,
      meter,
      notices: config.notices,
      welcome: config.welcome,
      farewell: () => (client.running.size > 1 ? null : config.farewell(owner.othersOf(client))),
      software: client.software,
      agentSocket: () => client.forwarding?.agentSocket() ?? null,
      environment: (asked) =>
        sessionEnvironment({
          ...asked,
          job: config.job,
          agentdir: config.agentdir,
          rendezvous: config.rendezvous(),
          marker: config.marker,
          shell: config.shell,
          client: { address: client.carrier.address, port: unknownPort },
          server: { address: "127.0.0.1", port: sshPort },
          keyEnvironment: Object.fromEntries(key.options.environment),
        }),
      onStart: (kind, running) => {
        noteKind(kind);
        client.running.add(running);
        owner.onStart(running);
        return () => {
          client.running.delete(running);
          owner.onStop(running);
        };
      },
      onFailedStart: noteError,
      onFault: breach,
      onAbandoned: owner.onAbandoned,
    };
    serveSession(session, about, owner.clock);
  }

  function noteKind(kind: ChannelKind): void {
    if (client.kinds.has(kind)) return;
    client.kinds.add(kind);
    owner.onKind(client);
  }

  function noteError(error: unknown): void {
    owner.note(client, "ssh error", plainText(reasonOf(error)));
  }

  /** What goes wrong in a connection ends it, and it alone. */
  function breach(error: unknown): void {
    client.isBroken = true;
    noteError(error);
    client.carrier.cut();
  }

  function failed(error: Error & { code?: unknown }): void {
    // The reason of the client's own DISCONNECT is a number, RFC 4253 11.1.
    if (typeof error.code === "number") client.endedInOrder = true;
    else breach(error);
  }

  // ssh2 ends its side when the client says DISCONNECT, and else only when it is told to.
  function ended(): void {
    const hasDone = client.hadChannels && client.channels === 0;
    client.endedInOrder ||= !client.isBroken && (hasEnded(connection) || hasDone);
  }

  function closed(): void {
    client.forwarding?.close();
    client.connection = null;
    if (client.login) owner.onLeave(client, client.login, client.endedInOrder);
    else owner.note(client, "login refused", client.attempts.reason());
  }

  connection.on("authentication", authenticate);
  connection.on("ready", ready);
  connection.on("session", openSession);
  connection.on("error", failed);
  connection.once("end", ended);
  connection.once("close", closed);
}

async function judge(client: Client, context: AuthContext, owner: ConnectionOwner): Promise<void> {
  const found = await owner.login.check(context, client.carrier.address);
  if (client.connection === null) return; // it went away meanwhile, and must not log in now
  if ("reason" in found) client.attempts.refuse(found.reason);
  if (owner.isEnding() || !("key" in found)) return context.reject(["publickey"]);
  if (context.method === "publickey" && context.signature) client.login = found.key;
  context.accept();
}

/**
 * Lets the channels close and the client leave by itself, as ssh does after its last channel: a
 * DISCONNECT in the same breath would make it forget the exit status. Never waits for long.
 */
export function dismiss(
  { connection, carrier, running, kinds }: Client,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve) => {
    const timers = new Set<unknown>();
    const later = (ms: number, act: () => void): void => {
      const timer = clock.setTimeout(() => {
        timers.delete(timer);
        act();
      }, ms);
      timers.add(timer);
    };
    carrier.onceOver(() => {
      for (const timer of timers) clock.clearTimeout(timer);
      resolve();
    });
    if (carrier.isOver) return resolve();
    const part = (): void => {
      if (connection) connection.end();
      else carrier.end();
    };
    const settle = (): void => {
      if (running.size > 0) later(20, settle);
      else later(kinds.size > 0 ? leaveMs : 0, part);
    };
    settle();
    later(3 * leaveMs, carrier.cut);
  });
}

/**
 * Ssh server: every ssh connection of one agent. It never knows that its connections were dialled
 * out. Public keys only; what is not allowed is refused with ssh's own reasons.
 */
import { type Observable, Subject } from "rxjs";
import ssh2, { type AuthContext, type Connection } from "ssh2";
import type { Meter } from "../../../actors/activity.ts";
import type { Clock } from "../../../actors/clock.ts";
import { reasonOf } from "../../../actors/errors.ts";
import type { Log } from "../../../actors/ports.ts";
import type { ClientNews } from "../../../machines/notices.ts";
import type {
  Audience,
  ChannelKind,
  ClientId,
  ClientReport,
} from "../../../machines/vocabulary.ts";
import { holderOf } from "../../holder.ts";
import { openLineBudget } from "../../line-budget.ts";
import { closeCodes } from "../../protocol/wire.ts";
import { disconnect, hasEnded } from "../../ssh2/gaps.ts";
import type { HostKey } from "../../ssh2/host-key.ts";
import { plainText } from "../../text.ts";
import { expectPings } from "../../websocket/keep-alive.ts";
import { shut } from "../../websocket/link.ts";
import type { Keyring } from "../keys/keyring.ts";
import { sessionEnvironment } from "../shell/environment.ts";
import { hangUp } from "../shell/reaper.ts";
import type { Shell } from "../shell/shells.ts";
import { algorithms, extensions } from "./algorithms.ts";
import { type Arrival, dismiss, reportOf, type Visitor, whoIs } from "./connection.ts";
import { type Forwarding, forwardFor } from "./forwarding.ts";
import { type Attempts, openAttempts, openLogin } from "./login.ts";
import { boundBeforeLogin, tooMany } from "./pre-auth.ts";
import { type Allowed, serveSession } from "./session.ts";

// ssh2's own keep-alive would end a connection that only sleeps; links have pings of their own.
ssh2.Server.KEEPALIVE_CLIENT_INTERVAL = 0;

/** Lines of a kind about connections from one side, in a minute; the job's log is for people. */
const linesMost = 30;
const tooManyTries = "Too many authentication failures: use ssh -i KEY -oIdentitiesOnly=yes";
/** Like sshd's MaxSessions; editors open a dozen. */
const sessionsMost = 64;
/** As many clients as one status message holds; more may be in, and are not named. */
const reportsMost = 300;

export interface SshServerConfig {
  readonly hostKey: HostKey;
  readonly shell: Shell;
  readonly agentdir: string;
  /** The environment that the agent was started with. */
  readonly job: Readonly<Record<string, string | undefined>>;
  /** Marks every process of a session, so that none is left behind. */
  readonly marker: string;
  readonly allowed: Allowed & { readonly portForwarding: boolean };
  /** Key exchanges beside curve25519, offered before it. */
  readonly extraKex: readonly string[];
  /** The id in use now. */
  rendezvous(): string;
  welcome(): string;
}

export interface SshServer {
  readonly news: Observable<ClientNews>;
  /** A client that has just logged in, or started something of a kind that it had not yet. */
  readonly changes: Observable<ClientReport>;
  /** Takes it as a new ssh connection. */
  accept(arrival: Arrival): void;
  tell(text: string, audience: Audience): void;
  reports(): ClientReport[];
  /** The pids that sessions were started with, also of those that are over. */
  leaders(): number[];
  /** Hangs up every process, closes channels and connections in order. At most some 8 s. */
  end(): Promise<void>;
}

export function openSshServer(
  config: SshServerConfig,
  keyring: Keyring,
  meter: Meter,
  clock: Clock,
  log: Log,
): SshServer {
  const news = new Subject<ClientNews>();
  const changes = new Subject<ClientReport>();
  // ssh2 names a connection by its socket's port only; ours have a number instead of one.
  const visitors = new Map<number, Visitor>();
  const hangUps = new Set<Promise<void>>();
  const leaders = new Set<number>();
  const login = openLogin(keyring, clock, log);
  const budget = openLineBudget(log, clock);
  let visits = 0;
  let isEnding = false;

  const server = new ssh2.Server(
    {
      hostKeys: [config.hostKey.privateKey],
      ident: "converge",
      algorithms: { ...algorithms, kex: [...config.extraKex, ...algorithms.kex] as never[] },
      // Of the patch, and so not among ssh2's types.
      ...{ extInfo: extensions },
    },
    (connection, { port, header }) => {
      const visitor = visitors.get(port);
      if (visitor) serve(connection, visitor, header.versions.software);
      else connection.end();
    },
  );

  function accept(arrival: Arrival): void {
    const { link, stream, address } = arrival;
    if (isEnding) return shut(link, clock, closeCodes.goingAway);
    visits += 1;
    const number = visits;
    const visitor: Visitor = {
      ...arrival,
      id: `client-${number}` as ClientId,
      connection: null,
      login: null,
      kinds: new Set(),
      running: new Set(),
    };
    visitors.set(number, visitor);
    stream.on("error", () => stream.destroy());
    stream.once("end", () => stream.destroy());
    const cut = (reason: string): void => {
      note(address, "stranger cut", reason);
      stream.destroy();
    };
    boundBeforeLogin(link, clock, () => visitor.login !== null, cut);
    const strangers = [...visitors.values()].filter(({ login }) => login === null);
    tooMany(strangers)?.link.terminate();
    link.once("close", () => visitors.delete(number));
    expectPings(link, clock);
    server.injectSocket(
      Object.assign(stream, { remoteAddress: address, remotePort: number }) as never,
    );
    link.resume();
  }

  /** `software` is what the client says it is. */
  function serve(connection: Connection, visitor: Visitor, software: string): void {
    visitor.connection = connection;
    const { address } = visitor;
    const attempts = openAttempts();
    let endedInOrder = false;
    let broke = false;
    let channels = 0;
    let hadChannels = false;
    let forwarding: Forwarding | null = null;

    connection.on("authentication", (context) => {
      if (!attempts.begin()) return disconnect(connection, tooManyTries);
      authenticate(context, visitor, attempts).catch(breach);
    });
    connection.on("ready", () => {
      const key = visitor.login;
      if (!key) return;
      visitor.readInPlace();
      const { allowed } = config;
      forwarding = forwardFor(connection, {
        mayForward: allowed.portForwarding && key.options.portForwarding,
        meter,
        onUse: () => noteKind(visitor, "forward"),
      });
      changes.next(reportOf(visitor));
      const who = whoIs(visitor, key);
      log.info({ address, fingerprint: key.fingerprint, comment: key.comment }, "client joined");
      news.next({ type: "CLIENT.JOINED", client: visitor.id, who, atMs: clock.now() });
    });
    connection.on("session", (accept, reject) => {
      const key = visitor.login;
      if (!key || channels >= sessionsMost) return reject();
      const session = accept();
      channels += 1;
      hadChannels = true;
      session.once("close", () => {
        channels -= 1;
      });
      serveSession(session, {
        allowed: config.allowed,
        key: key.options,
        shell: config.shell,
        agentdir: config.agentdir,
        meter,
        welcome: config.welcome,
        agentSocket: () => forwarding?.agentSocket() ?? null,
        environment: (asked) =>
          sessionEnvironment({
            ...asked,
            job: config.job,
            agentdir: config.agentdir,
            rendezvous: config.rendezvous(),
            marker: config.marker,
            shell: config.shell,
            client: { address, port: 0 },
            server: { address: "127.0.0.1", port: 0 },
            keyEnvironment: Object.fromEntries(key.options.environment),
          }),
        onStart: (kind, running) => {
          noteKind(visitor, kind);
          visitor.running.add(running);
          if (running.pid !== null) leaders.add(running.pid);
          return () => {
            visitor.running.delete(running);
            // Elsewhere its group may live on; on Windows its number may soon be another's.
            if (process.platform === "win32" && running.pid !== null) leaders.delete(running.pid);
          };
        },
        software,
        onFailedStart: noteError,
        onFault: breach,
        onAbandoned: (pid) => {
          const done = hangUp(pid, clock).finally(() => hangUps.delete(done));
          hangUps.add(done);
        },
      });
    });
    function noteError(error: unknown): void {
      note(address, "ssh error", plainText(reasonOf(error)));
    }
    /** What goes wrong in a connection ends it, and it alone. */
    function breach(error: unknown): void {
      broke = true;
      noteError(error);
      visitor.link.terminate();
    }
    connection.on("error", (error: Error & { code?: unknown }) => {
      // The reason of the client's own DISCONNECT is a number, RFC 4253 11.1.
      if (typeof error.code === "number") endedInOrder = true;
      else breach(error);
    });
    // ssh2 ends its side when the client says DISCONNECT, and else only when it is told to.
    connection.once("end", () => {
      endedInOrder ||= !broke && (hasEnded(connection) || (hadChannels && channels === 0));
    });
    connection.once("close", () => {
      forwarding?.close();
      const key = visitor.login;
      visitor.connection = null;
      if (!key) return note(address, "login refused", attempts.reason());
      const type = endedInOrder ? "CLIENT.LEFT" : "CLIENT.LOST";
      log.info({ address, fingerprint: key.fingerprint, inOrder: endedInOrder }, "client left");
      news.next({ type, client: visitor.id, who: whoIs(visitor, key), atMs: clock.now() });
    });
  }

  function noteKind(visitor: Visitor, kind: ChannelKind): void {
    if (visitor.kinds.has(kind)) return;
    visitor.kinds.add(kind);
    changes.next(reportOf(visitor));
  }

  async function authenticate(
    context: AuthContext,
    visitor: Visitor,
    attempts: Attempts,
  ): Promise<void> {
    const found = await login.check(context, visitor.address);
    if (visitor.connection === null) return; // it went away meanwhile, and must not log in now
    if ("reason" in found) attempts.refuse(found.reason);
    if (isEnding || !("key" in found)) return context.reject(["publickey"]);
    if (context.method === "publickey" && context.signature) visitor.login = found.key;
    context.accept();
  }

  /** A line about one connection, as long as its side has not caused too many of them. */
  function note(address: string, line: string, reason: string | null): void {
    if (reason === null) return;
    const spent = { line, from: holderOf(address), reason: null, most: linesMost };
    if (budget.may(spent)) log.info({ address, reason }, line);
  }

  return {
    news,
    changes,
    accept,
    tell: (text, audience) => {
      for (const { id, running } of visitors.values()) {
        if (audience.to === "only" && audience.client !== id) continue;
        if (audience.to === "all but" && audience.client === id) continue;
        for (const session of running) session.note(`\r\n[converge] ${text}\r\n`);
      }
    },
    reports: () =>
      [...visitors.values()]
        .filter(({ login }) => login !== null)
        .slice(0, reportsMost)
        .map(reportOf),
    leaders: () => [...leaders],
    end: async () => {
      isEnding = true;
      const hungUp: Promise<void>[] = [...hangUps];
      for (const { running } of visitors.values())
        for (const session of running) {
          session.expectHangUp();
          if (session.pid !== null) hungUp.push(hangUp(session.pid, clock));
        }
      await Promise.all(hungUp);
      await Promise.all([...visitors.values()].map((visitor) => dismiss(visitor, clock)));
      budget.close();
    },
  };
}

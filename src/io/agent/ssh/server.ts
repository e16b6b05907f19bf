/**
 * Ssh server: every ssh connection of one agent. It never knows that its connections were dialled
 * out. Public keys only; what is not allowed is refused with ssh's own reasons.
 */
import { type Observable, Subject } from "rxjs";
import type { Metering } from "../../../actors/activity.ts";
import type { Clock } from "../../../actors/clock.ts";
import type { Log, Told } from "../../../actors/ports.ts";
import type { ClientNews, LinkNews } from "../../../machines/notices.ts";
import type { Audience, ClientId, ClientReport } from "../../../machines/vocabulary.ts";
import { holderOf } from "../../holder.ts";
import { openLineBudget } from "../../line-budget.ts";
import { openServer } from "../../ssh2/gaps.ts";
import type { HostKey } from "../../ssh2/host-key.ts";
import type { AuthorizedKey } from "../keys/authorized-keys.ts";
import type { Keyring } from "../keys/keyring.ts";
import { hangUp } from "../shell/reaper.ts";
import { algorithms, extensions } from "./algorithms.ts";
import type { Carrier } from "./carrier.ts";
import { type Client, newClient, reportOf, whoIs } from "./client.ts";
import {
  type ConnectionConfig,
  type ConnectionOwner,
  dismiss,
  serveConnection,
} from "./connection.ts";
import { openLogin } from "./login.ts";
import { boundBeforeLogin, tooMany } from "./pre-auth.ts";

/** Lines of a kind about connections from one side, in a minute; the job's log is for people. */
const linesMost = 30;
/** As many clients as one status message holds; more may be in, and are not named. */
const reportsMost = 300;

export interface SshServerConfig extends ConnectionConfig {
  readonly hostKey: HostKey;
  /** Key exchanges beside curve25519, offered before it. */
  readonly extraKex: readonly string[];
}

export interface SshServer {
  readonly news: Observable<ClientNews | LinkNews>;
  /** A client that has just logged in, or started something of a kind that it had not yet. */
  readonly changes: Observable<ClientReport>;
  /** Takes it as a new ssh connection. */
  accept(carrier: Carrier): void;
  tell(told: Told, audience: Audience): void;
  /** Ends a client that was waited for in vain; nothing happens when it is gone, or back. */
  giveUp(client: ClientId): void;
  reports(): ClientReport[];
  /** The pids that sessions were started with, also of those that are over. */
  leaders(): number[];
  /**
   * Hangs up every process, closes channels and connections in order, with a last line on each
   * terminal. At most some 8 s.
   */
  end(lastLine: string): Promise<void>;
}

export function openSshServer(
  config: SshServerConfig,
  keyring: Keyring,
  meter: Metering,
  clock: Clock,
  log: Log,
): SshServer {
  const news = new Subject<ClientNews | LinkNews>();
  const changes = new Subject<ClientReport>();
  const clients = new Set<Client>();
  const hangUps = new Set<Promise<void>>();
  const leaders = new Set<number>();
  const budget = openLineBudget(log, clock);
  let visits = 0;
  let isEnding = false;

  const owner: ConnectionOwner = {
    login: openLogin(keyring, clock, log),
    meter,
    clock,
    isEnding: () => isEnding,
    othersOf: (client) =>
      [...clients].filter((other) => other !== client && other.login !== null).length,
    onJoin: (client, key) => {
      changes.next(reportOf(client, clock.now()));
      const { address } = client.carrier;
      log.info({ address, fingerprint: key.fingerprint, comment: key.comment }, "client joined");
      const who = whoIs(client, key);
      news.next({ type: "CLIENT.JOINED", client: client.id, who, atMs: clock.now() });
      client.carrier.onTurn(() => turn(client, key));
    },
    onKind: (client) => changes.next(reportOf(client, clock.now())),
    onStart: ({ pid }) => void (pid !== null && leaders.add(pid)),
    onStop: ({ pid }) => {
      // Elsewhere its group may live on; on Windows its number may soon be another's.
      if (process.platform === "win32" && pid !== null) leaders.delete(pid);
    },
    onAbandoned: (pid) => {
      const done = hangUp(pid, clock).finally(() => hangUps.delete(done));
      hangUps.add(done);
    },
    onLeave: (client, key, inOrder) => {
      const { address } = client.carrier;
      log.info({ address, fingerprint: key.fingerprint, inOrder }, "client left");
      const type = inOrder ? "CLIENT.LEFT" : "CLIENT.LOST";
      news.next({ type, client: client.id, who: whoIs(client, key), atMs: clock.now() });
    },
    note,
  };

  const server = openServer<Client>(
    {
      hostKeys: [config.hostKey.privateKey],
      ident: "converge",
      algorithms: { ...algorithms, kex: [...config.extraKex, ...algorithms.kex] as never[] },
      // Of the patch, and so not among ssh2's types.
      ...{ extInfo: extensions },
    },
    (connection, client, software) => {
      client.software = software;
      serveConnection(client, connection, config, owner);
    },
  );

  function accept(carrier: Carrier): void {
    if (isEnding) return carrier.end();
    visits += 1;
    const client = newClient(`client-${visits}` as ClientId, carrier);
    clients.add(client);
    const { stream, address } = carrier;
    stream.on("error", () => stream.destroy());
    stream.once("end", () => stream.destroy());
    tooMany([...clients].filter(({ login }) => login === null))?.carrier.cut();
    carrier.onceOver(() => clients.delete(client));
    server.accept(stream, address, client);
    const isKnown = (): boolean => client.login !== null;
    boundBeforeLogin(carrier, clock, isKnown, (reason) => {
      note(client, "stranger cut", reason);
      stream.destroy();
    });
  }

  /** Its link was lost, or there is another. */
  function turn(client: Client, key: AuthorizedKey): void {
    const { address, standing } = client.carrier;
    if (!standing) return;
    const { awayAtMs, outageMs, resumes } = standing;
    const who = whoIs(client, key);
    const { fingerprint } = key;
    if (awayAtMs !== null) log.info({ address, fingerprint }, "client detached");
    else {
      log.info({ address, fingerprint, resumes, awaySeconds: outageMs / 1_000 }, "client resumed");
      changes.next(reportOf(client, clock.now())); // its new ticket, before the relay counts it as a stranger
    }
    if (awayAtMs !== null) news.next({ type: "CLIENT.DETACHED", client: client.id, who });
    else news.next({ type: "CLIENT.RESUMED", client: client.id, who, outageMs });
  }

  /** A line about one connection, as long as its side has not caused too many of them. */
  function note({ carrier: { address } }: Client, line: string, reason: string | null): void {
    if (reason === null) return;
    const spent = { line, from: holderOf(address), reason: null, most: linesMost };
    if (budget.may(spent)) log.info({ address, reason }, line);
  }

  return {
    news,
    changes,
    accept,
    tell: (told, audience) => {
      for (const { id, running, carrier } of clients) {
        if (audience.to === "kept" && carrier.standing === null) continue;
        if (audience.to === "cut" && carrier.standing !== null) continue;
        if (audience.to === "only" && audience.client !== id) continue;
        if (audience.to === "all but" && audience.client === id) continue;
        for (const session of running) session.note(told);
      }
    },
    giveUp: (id) => {
      for (const { id: own, carrier } of clients)
        if (own === id && carrier.standing?.awayAtMs != null) carrier.cut();
    },
    reports: () =>
      [...clients]
        .filter(({ login }) => login !== null)
        .slice(0, reportsMost)
        .map((client) => reportOf(client, clock.now())),
    leaders: () => [...leaders],
    end: async (lastLine) => {
      isEnding = true;
      const hungUp: Promise<void>[] = [...hangUps];
      for (const { running } of clients)
        for (const session of running) {
          session.expectHangUp(lastLine);
          if (session.pid !== null) hungUp.push(hangUp(session.pid, clock));
        }
      await Promise.all(hungUp);
      await Promise.all([...clients].map((client) => dismiss(client, clock)));
      budget.close();
    },
  };
}

/**
 * Relay ports: the upgrades, links and server of one relay, put together as the actor's ports.
 * Nothing is decided here.
 */
import type { Clock } from "../../actors/clock.ts";
import { confine, confineTimers, faultsIn } from "../../actors/confine.ts";
import type { RelayFact } from "../../actors/observe/facts.ts";
import type { LiveRoster } from "../../actors/observe/live-roster.ts";
import type { Log, RelayPorts } from "../../actors/ports.ts";
import { spoken } from "../../actors/words/sentences.ts";
import type { PastEnding } from "../../machines/endings.ts";
import type { PairingContext } from "../../machines/pairing.ts";
import type { Ending } from "../../machines/vocabulary.ts";
import { openFilesMost } from "../open-files.ts";
import { type CloseCode, closeCodes } from "../protocol/wire.ts";
import { type Limits, openLimits } from "./admission/limits.ts";
import { type OriginConfig, originOf } from "./admission/origin.ts";
import { watchPolicy } from "./admission/policy.ts";
import { openRefusals } from "./admission/refusals.ts";
import { openTokens } from "./admission/tokens.ts";
import { openFactLines } from "./fact-lines.ts";
import { openMetrics } from "./http/metrics.ts";
import { serveMetrics } from "./http/metrics-server.ts";
import { addPages, type PagesConfig, type Site } from "./http/pages.ts";
import { openPlainHttp, websocketsIn } from "./http/plain-http.ts";
import { type HttpServer, type HttpServerConfig, listen, probes } from "./http/server.ts";
import { type Links, openLinks } from "./links.ts";
import { openUpgrades } from "./upgrade.ts";

/** Why an agent ended, as a clause about it. */
const endingClauses: Record<Ending["kind"], string> = {
  "last client left": "the last client left",
  inactivity: "nobody was active",
  "hard cap": "its longest duration was over",
  interrupted: "it was told to stop",
};

const nobody = "no agent is registered under this id";

/** How long ago the last agent of an id ended, and why. The whole reason is at most 123 bytes. */
function nobodyNow(past: PastEnding | null, wallMs: number): string {
  if (!past) return nobody;
  const ago = spoken(Math.max(0, wallMs - past.atMs));
  return `${nobody}; it ended ${ago} ago${past.kind ? `: ${endingClauses[past.kind]}` : ""}`;
}

/** What the relay says to a client's link when its pairing is over. The reason is at most 123 bytes. */
export function farewell(
  { outcome, past, isAgain }: Pick<PairingContext, "outcome" | "past" | "isAgain">,
  wallMs: number,
): { code: CloseCode; reason: string } {
  switch (outcome.kind) {
    case "served":
      return { code: closeCodes.done, reason: "the other side ended the connection" };
    case "client gave up":
      return { code: closeCodes.done, reason: "the client left" };
    case "no such rendezvous":
      return {
        code: isAgain && past ? closeCodes.agentEnded : closeCodes.noSuchRendezvous,
        reason: nobodyNow(past, wallMs),
      };
    case "agent silent":
      return { code: closeCodes.agentSilent, reason: "the agent did not answer" };
    case "broken":
      return { code: closeCodes.internal, reason: "the connection could not be joined" };
  }
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface OpenRelayPorts extends RelayPorts {
  readonly countsOf: Links["countsOf"];
  listen(
    where: ListenConfig,
    pages: PagesAt & { live: LiveRoster },
  ): Promise<HttpServer & { metricsAt: Address | null }>;
}

export type RelayPortsConfig = OriginConfig & { limits: Limits; policy: string | null };
/** Where to listen, and where `/metrics` is when it is not with everything else. */
export type ListenConfig = Pick<HttpServerConfig, "host" | "port" | "tls"> & {
  readonly metricsAt: Address | null;
};
/** What is served, and where its files are. */
export type PagesAt = Omit<PagesConfig, "contextPath"> & { readonly site: Site };

export function openRelayPorts(
  config: RelayPortsConfig,
  givenClock: Clock,
  log: Log,
): OpenRelayPorts {
  const fault = faultsIn(log);
  const clock = confineTimers(givenClock, fault);
  const links = openLinks(clock, fault);
  const origin = originOf(config);
  const metrics = openMetrics();
  const lines = openFactLines(log, clock);
  /** What throws has not done what it was asked for, and that is all; a pairing's own time ends it. */
  const port = <A extends unknown[]>(what: string, act: (...args: A) => void) =>
    confine(fault, what, act, () => {});
  const record = port("fact", (fact: RelayFact) => {
    lines.write(fact);
    metrics.count(fact);
  });
  const { contextPath } = config;
  const files = openFilesMost();
  const maxConnections = Math.min(config.limits.maxConnections, websocketsIn(files));
  const limits = openLimits({ ...config.limits, maxConnections }, links.size, clock);
  const policy = watchPolicy(config.policy, clock, log);
  const refusals = openRefusals(origin, record);
  const upgrades = openUpgrades({
    links,
    origin,
    limits,
    tokens: openTokens(policy.now, clock),
    refusals,
    contextPath,
    clock,
    record,
    noteFault: fault,
  });
  const open = probes.map((path) => contextPath + path);
  const plain = openPlainHttp(origin, refusals.note, fault, open, files, clock);
  let isDraining = false;
  const closeAll = (): void => {
    for (const link of links.all())
      links.shut(link, closeCodes.draining, "the relay is restarting");
  };
  return {
    log,
    arrivals: upgrades.arrivals,
    record,
    welcome: port("welcome", upgrades.welcome),
    dismiss: port("dismissal", (control) =>
      links.shut(control, closeCodes.superseded, "the same agent came on a newer link"),
    ),
    drop: port("end", (link) => links.shut(link, closeCodes.internal, "something went wrong here")),
    turnAway: port("refusal", (control) =>
      links.shut(control, closeCodes.refused, "no id is free, try again"),
    ),
    tellWaiting: port("word", (client, waitMs) =>
      links.say(client, { type: "waiting", forMs: waitMs }),
    ),
    summon: port("summons", ({ client, ticket, facts, agent }, leftMs) => {
      if (!agent) return;
      links.say(client, { type: "found", agent: agent.facts, leftMs, can: agent.can });
      // After the client's own answer is written, or it would tell by its time that the id is there.
      process.nextTick(() => links.say(agent.control, { type: "summon", ticket, client: facts }));
    }),
    splice: confine(fault, "splice", links.splice, () => false),
    hangUp: port("end", (pairing) => {
      const { client, dialled, ticket, outcome, facts } = pairing;
      upgrades.forget(ticket);
      if (outcome.kind === "no such rendezvous" && !pairing.isAgain) limits.missed(facts.address);
      const { code, reason } = farewell(pairing, clock.wall());
      links.shut(client, code, reason);
      if (dialled) links.shut(dialled, code, reason);
    }),
    drain: (leftMs) => {
      isDraining = true;
      upgrades.drain(leftMs);
    },
    countsOf: links.countsOf,
    listen: async ({ metricsAt, ...where }, { site, live, ...folders }) => {
      const views = { site, live, origin, policy, noteRefusal: refusals.note, fault };
      const answer = {
        contentType: metrics.contentType,
        text: async () =>
          metrics.text({ gauges: live.gauges(), totals: links.totals(), isDraining }),
      };
      /** What else is open would keep a process that cannot do its work. */
      const closing = (others: () => unknown) => async (error: unknown) => {
        await others();
        policy.close();
        throw error;
      };
      const alone = metricsAt && (await serveMetrics(metricsAt, answer).catch(closing(() => null)));
      const server = await listen(
        { ...where, contextPath },
        {
          isDraining: () => isDraining,
          metrics: alone ? null : answer,
          plain,
          addPages: (app) => addPages(app, { contextPath, ...folders }, views),
          upgrade: upgrades.upgrade,
        },
        clock,
        log,
      ).catch(closing(() => alone?.close()));
      return {
        ...server,
        metricsAt: alone && { host: alone.host, port: alone.port },
        close: async () => {
          closeAll();
          policy.close();
          await server.close();
          await alone?.close();
          lines.close();
          // The last links' own ends come a turn or two after their sockets'.
          for (let turns = 0; turns < 100 && links.size() > 0; turns += 1)
            await new Promise((resolve) => setImmediate(resolve));
        },
      };
    },
  };
}

/**
 * Facts: what happened at the relay, read off its machine's snapshots before and after an event.
 *
 * A fact is one line in the log and one count in the metrics, so the two cannot differ. It knows
 * neither: both are somebody else's. Nothing of any session's content is ever in one.
 */
import type { PairingContext } from "../machines/pairing.ts";
import type { RelayContext, RelayEvent } from "../machines/relay.ts";
import type {
  AgentFacts,
  AgentStatus,
  ChannelKind,
  ClientReport,
  Ending,
  LinkId,
  PairingOutcome,
  RendezvousId,
  SpliceReport,
  Ticket,
} from "../machines/vocabulary.ts";
import type { RelayActor } from "./relay.ts";

/** Why a connection was turned away; each is a row in docs/operating.md and a label in the metrics. */
export const refusalReasons = [
  "url too long",
  "no such path",
  "bad request",
  "too many waiting",
  "unknown ticket",
  "draining",
  "version",
  "silent",
  "malformed",
  "identity",
  "no id free",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** How the time of an agent on one control link finished. */
export const agentOutcomes = ["left", "lost", "superseded", "relay ended"] as const;
export type AgentOutcome = (typeof agentOutcomes)[number];

type Login = NonNullable<ClientReport["login"]>;

/** One client session, in every line about it. `session` is its name in this relay's log. */
interface OfClient {
  readonly session: LinkId;
  readonly id: RendezvousId;
  /** The client's address. */
  readonly client: string;
}

export type RelayFact =
  | {
      readonly type: "agent session started";
      readonly id: RendezvousId;
      readonly asked: RendezvousId;
      readonly address: string;
      /** Whether it had this id before, and lost its link. */
      readonly returned: boolean;
      readonly agent: AgentFacts;
    }
  | {
      readonly type: "agent session ended";
      readonly id: RendezvousId;
      readonly address: string;
      readonly since: string;
      readonly seconds: number;
      readonly outcome: AgentOutcome;
      /** Why the agent ended, when it said so. */
      readonly ending: Ending["kind"] | null;
      readonly agent: AgentFacts;
    }
  | { readonly type: "agent warned"; readonly id: RendezvousId; readonly times: number }
  | { readonly type: "agent held"; readonly id: RendezvousId }
  | ({ readonly type: "client session started"; readonly waitSeconds: number } & OfClient)
  | ({
      readonly type: "client session joined";
      /** From the knock, or from the arrival of the agent that it waited for. */
      readonly seconds: number;
      readonly agent: AgentFacts | null;
    } & OfClient)
  | ({ readonly type: "client logged in"; readonly login: Login } & OfClient)
  | ({ readonly type: "client used"; readonly kind: ChannelKind } & OfClient)
  | ({
      readonly type: "client session ended";
      readonly since: string;
      readonly seconds: number;
      readonly outcome: PairingOutcome["kind"];
      readonly endedBy: SpliceReport["endedBy"] | null;
      readonly clientBytes: number;
      readonly agentBytes: number;
      readonly pauses: number;
      readonly kinds: readonly ChannelKind[];
      readonly login: Login | null;
      readonly agent: AgentFacts | null;
    } & OfClient)
  | {
      readonly type: "connection refused";
      readonly reason: RefusalReason;
      readonly address: string;
      /** Without the query, which may hold what is nobody's business. */
      readonly path: string;
      /** HTTP status before there was a websocket, else the close code. */
      readonly status: number;
      readonly said: string;
    }
  | {
      readonly type: "control message malformed";
      readonly id: RendezvousId;
      readonly address: string;
      readonly why: string;
    };

const iso = (ms: number): string => new Date(ms).toISOString();
const secondsBetween = (fromMs: number, toMs: number): number =>
  Math.max(0, Math.round(toMs - fromMs)) / 1_000;

const ofClient = ({ client, id, facts }: PairingContext): OfClient => ({
  session: client,
  id,
  client: facts.address,
});

/** The last fact of a pairing. */
export function clientEnded(pairing: PairingContext, wallMs: number): RelayFact {
  const { outcome, sinceMs, report, agent } = pairing;
  const spliced = outcome.kind === "served" ? outcome.report : null;
  return {
    type: "client session ended",
    ...ofClient(pairing),
    since: iso(sinceMs),
    seconds: secondsBetween(sinceMs, wallMs),
    outcome: outcome.kind,
    endedBy: spliced?.endedBy ?? null,
    clientBytes: spliced?.clientBytes ?? 0,
    agentBytes: spliced?.agentBytes ?? 0,
    pauses: spliced?.pauses ?? 0,
    kinds: report?.kinds ?? [],
    login: report?.login ?? null,
    agent: agent?.facts ?? null,
  };
}

function agentEnded(
  id: RendezvousId,
  outcome: AgentOutcome,
  { agents }: RelayContext,
  wallMs: number,
): RelayFact[] {
  const entry = agents.get(id);
  if (!entry?.control) return [];
  const { address, onlineAtMs, status, facts } = entry;
  return [
    {
      type: "agent session ended",
      id,
      address,
      since: iso(onlineAtMs),
      seconds: secondsBetween(onlineAtMs, wallMs),
      outcome,
      ending: status?.ending ?? null,
      agent: facts,
    },
  ];
}

function agentCame(
  event: Extract<RelayEvent, { type: "AGENT.REGISTERED" }>,
  before: RelayContext,
  after: RelayContext,
): RelayFact[] {
  const { asked, address, facts, ids, control, atMs, key } = event;
  const id = ids.find((id) => after.agents.get(id)?.control === control);
  if (id === undefined)
    return [
      {
        type: "connection refused",
        reason: "no id free",
        address,
        path: `/agent/${asked}`,
        status: 4403,
        said: "no id is free, try again",
      },
    ];
  return [
    ...agentEnded(id, "superseded", before, atMs),
    {
      type: "agent session started",
      id,
      asked,
      address,
      returned: before.agents.get(id)?.key === key,
      agent: facts,
    },
  ];
}

function statusNews(
  id: RendezvousId,
  before: AgentStatus | null | undefined,
  now: AgentStatus,
): RelayFact[] {
  const times = (now.warnings ?? 0) - (before?.warnings ?? 0);
  return [
    ...(times > 0 ? [{ type: "agent warned", id, times } as const] : []),
    ...(now.held && !before?.held ? [{ type: "agent held", id } as const] : []),
  ];
}

function clientNews(pairing: PairingContext, before: ClientReport | null): RelayFact[] {
  const { report } = pairing;
  const known = before?.kinds ?? [];
  const of = ofClient(pairing);
  return [
    ...(report?.login && !before?.login
      ? [{ type: "client logged in", ...of, login: report.login } as const]
      : []),
    ...(report?.kinds ?? [])
      .filter((kind) => !known.includes(kind))
      .map((kind) => ({ type: "client used", ...of, kind }) as const),
  ];
}

function pairingOf({ pairings }: RelayContext, ticket: Ticket): PairingContext | null {
  const snapshot = pairings.get(ticket)?.ref.getSnapshot();
  return snapshot?.status === "active" ? snapshot.context : null;
}

/** Hands an event to the relay and says what came of it; ends of pairings are told elsewhere. */
export function pass(
  event: RelayEvent,
  actor: RelayActor,
  wallMs: number,
  record: (fact: RelayFact) => void,
): void {
  const before = actor.getSnapshot().context;
  const tickets =
    event.type === "CLIENT.REPORTED"
      ? [event.report.ticket]
      : event.type === "AGENT.REPORTED"
        ? event.status.clients.map(({ ticket }) => ticket)
        : [];
  const reports = new Map(
    tickets.map((ticket) => [ticket, pairingOf(before, ticket)?.report ?? null]),
  );
  // Before it is sent: without an agent it is over as soon as it has begun.
  if (event.type === "CLIENT.KNOCKED")
    record({
      type: "client session started",
      session: event.client,
      id: event.id,
      client: event.facts.address,
      waitSeconds: event.waitMs / 1_000,
    });
  actor.send(event);
  const after = actor.getSnapshot().context;
  const happened = (): RelayFact[] => {
    switch (event.type) {
      case "AGENT.REGISTERED":
        return agentCame(event, before, after);
      case "AGENT.LEFT":
      case "AGENT.LOST": {
        if (before.agents.get(event.id)?.control !== event.control) return [];
        const lost = event.type === "AGENT.LOST" && event.byRelay ? "relay ended" : "lost";
        return agentEnded(event.id, event.type === "AGENT.LEFT" ? "left" : lost, before, wallMs);
      }
      case "AGENT.DIALLED": {
        const pairing = pairingOf(after, event.ticket);
        if (pairing?.dialled !== event.link) return [];
        const seconds = secondsBetween(pairing.askedAtMs, event.atMs);
        const agent = pairing.agent?.facts ?? null;
        return [{ type: "client session joined", ...ofClient(pairing), seconds, agent }];
      }
      case "AGENT.REPORTED":
        if (before.agents.get(event.id)?.control !== event.control) return [];
        return statusNews(event.id, before.agents.get(event.id)?.status, event.status);
      default:
        return [];
    }
  };
  for (const fact of happened()) record(fact);
  for (const [ticket, report] of reports) {
    const pairing = pairingOf(after, ticket);
    if (pairing) for (const fact of clientNews(pairing, report)) record(fact);
  }
}

/**
 * Witness: hands events to the relay and reads off its machine, before and after, what came of them. It keeps nothing; what is done with a fact is somebody else's business.
 */
import type { PairingContext } from "../../machines/pairing.ts";
import type { AgentEntry } from "../../machines/registry.ts";
import type { RelayEvent } from "../../machines/relay.ts";
import type { AgentStatus, ClientReport, RendezvousId } from "../../machines/vocabulary.ts";
import type { RelayActor } from "../relay.ts";
import type { AgentOutcome, OfClient, RelayFact } from "./facts.ts";

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
  entry: AgentEntry | undefined,
  wallMs: number,
): RelayFact[] {
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
  id: RendezvousId | null,
  before: AgentEntry | undefined,
): RelayFact[] {
  const { asked, address, atMs, key, voucher, facts } = event;
  if (id === null)
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
      returned: before?.key === key,
      voucher,
      agent: facts,
    },
  ];
}

function statusNews(
  id: RendezvousId,
  before: AgentEntry["status"] | undefined,
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

/** Hands an event to the relay and says what came of it; ends of pairings are told elsewhere. */
export function pass(
  event: RelayEvent,
  actor: RelayActor,
  wallMs: number,
  record: (fact: RelayFact) => void,
): void {
  const { agents, pairings } = actor.getSnapshot().context;
  const ids = event.type === "AGENT.REGISTERED" ? event.ids : "id" in event ? [event.id] : [];
  const before = new Map(ids.map((id) => [id, agents.get(id)]));
  const tickets =
    event.type === "CLIENT.REPORTED"
      ? [event.report.ticket]
      : event.type === "AGENT.REPORTED"
        ? event.status.clients.map(({ ticket }) => ticket)
        : [];
  const reports = new Map(
    tickets.map((ticket) => [ticket, pairings.of(ticket)?.context.report ?? null]),
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
  const happened = (): RelayFact[] => {
    switch (event.type) {
      case "AGENT.REGISTERED": {
        const id = agents.idOf(event);
        return agentCame(event, id, id === null ? undefined : before.get(id));
      }
      case "AGENT.LEFT":
      case "AGENT.LOST": {
        if (before.get(event.id)?.control !== event.control) return [];
        const lost = event.type === "AGENT.LOST" && event.byRelay ? "relay ended" : "lost";
        return agentEnded(
          event.id,
          event.type === "AGENT.LEFT" ? "left" : lost,
          before.get(event.id),
          wallMs,
        );
      }
      case "AGENT.DIALLED": {
        const pairing = pairings.of(event.ticket)?.context;
        if (pairing?.dialled !== event.link) return [];
        const seconds = secondsBetween(pairing.askedAtMs, event.atMs);
        const agent = pairing.agent?.facts ?? null;
        return [{ type: "client session joined", ...ofClient(pairing), seconds, agent }];
      }
      case "AGENT.REPORTED":
        if (before.get(event.id)?.control !== event.control) return [];
        return statusNews(event.id, before.get(event.id)?.status, event.status);
      default:
        return [];
    }
  };
  for (const fact of happened()) record(fact);
  for (const [ticket, report] of reports) {
    const pairing = pairings.of(ticket)?.context;
    if (pairing) for (const fact of clientNews(pairing, report)) record(fact);
  }
}

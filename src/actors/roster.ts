/**
 * Roster: the relay's snapshot as rows for people, one an agent with its clients.
 * Everything in it is public; nothing of any session's content ever comes near it.
 */
import type { SnapshotFrom } from "xstate";
import type { PairingView } from "../machines/pairings.ts";
import type { relayMachine } from "../machines/relay.ts";
import type {
  AgentFacts,
  AgentStatus,
  ChannelKind,
  ClientReport,
  LinkId,
  RendezvousId,
} from "../machines/vocabulary.ts";

export interface ClientRow {
  readonly address: string;
  readonly since: string;
  readonly state: "waiting" | "summoning" | "connected";
  readonly kinds: readonly ChannelKind[];
  readonly login: ClientReport["login"];
  readonly clientBytes: number;
  readonly agentBytes: number;
}

export interface AgentRow {
  readonly id: RendezvousId;
  readonly agent: AgentFacts | null;
  readonly since: string | null;
  readonly state: AgentStatus["state"] | "relay lost" | "awaited";
  readonly held: boolean;
  /** On the relay's wall clock, to the second; null while the agent has not said. */
  readonly expiresAt: string | null;
  readonly clients: readonly ClientRow[];
}

/** Bytes so far of the pairing whose client has that link. */
export type BytesOf = (client: LinkId) => { clientBytes: number; agentBytes: number };

/** A pairing's state as people see it. */
export function stateOf({ state }: PairingView): ClientRow["state"] {
  const early = { knocking: "waiting", parked: "waiting", summoning: "summoning" } as const;
  return early[state as keyof typeof early] ?? "connected";
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** All rows at `wallMs`, in order of id; ids that only have parked clients are there as "awaited". */
export function roster(
  { context }: SnapshotFrom<typeof relayMachine>,
  wallMs: number,
  bytesOf: BytesOf,
): AgentRow[] {
  const clients = new Map<RendezvousId, ClientRow[]>();
  for (const pairing of context.pairings.all()) {
    const { id, client, facts, sinceMs, report } = pairing.context;
    const rows = clients.get(id) ?? [];
    rows.push({
      address: facts.address,
      since: iso(sinceMs),
      state: stateOf(pairing),
      kinds: report?.kinds ?? [],
      login: report?.login ?? null,
      ...bytesOf(client),
    });
    clients.set(id, rows);
  }
  const rows: AgentRow[] = [...context.agents].flatMap(([id, agent]) => {
    const own = clients.get(id) ?? [];
    clients.delete(id);
    const { status, statusAtMs } = agent;
    const expiresMs = status ? Math.ceil((statusAtMs + status.leftMs) / 1_000) * 1_000 : null;
    const isOver = (expiresMs ?? 0) <= wallMs || status?.state === "ending";
    if (agent.control === null && own.length === 0 && isOver) return [];
    return {
      id,
      agent: agent.facts,
      since: iso(agent.sinceMs),
      state: agent.control === null ? "relay lost" : (status?.state ?? "waiting"),
      held: status?.held ?? false,
      expiresAt: expiresMs === null ? null : iso(expiresMs),
      clients: own,
    };
  });
  const awaited = [...clients].map(
    ([id, own]): AgentRow => ({
      id,
      agent: null,
      since: null,
      state: "awaited",
      held: false,
      expiresAt: null,
      clients: own,
    }),
  );
  return [...rows, ...awaited].sort((a, b) => (a.id < b.id ? -1 : 1));
}

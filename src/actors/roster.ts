/**
 * Roster: what the relay knows as rows for people, one an agent with its clients, page by page and
 * as far as a search finds them. Everything in it is public; nothing of any session's content ever
 * comes near it. Rows are made of what is shown only: there may be tens of thousands.
 */
import type { PairingView } from "../machines/pairings.ts";
import type { AgentEntry } from "../machines/registry.ts";
import type { RelayContext } from "../machines/relay.ts";
import type {
  AgentFacts,
  AgentStatus,
  ChannelKind,
  ClientReport,
  LinkId,
  RendezvousId,
} from "../machines/vocabulary.ts";

/** What a browser is sent at once. */
export const rowsPerPage = 50;
/** Of one agent; how many more there are is told. */
export const clientsPerRow = 20;
/** Of a search; what is more is not looked for. */
const wordsMost = 5;

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
  /** Clients that are there too and not listed. */
  readonly moreClients: number;
}

/** What somebody wants to see. */
export interface RosterView {
  /** Words that must all be found in a row, in any case. */
  readonly search: string;
  /** From 1; one that is not there is the nearest that is. */
  readonly page: number;
}

export interface RosterPage extends RosterView {
  readonly pages: number;
  /** Rows that the search finds, and all that there are. */
  readonly found: number;
  readonly total: number;
  /** Clients of all of them. */
  readonly clients: number;
  /** In order of id. */
  readonly rows: readonly AgentRow[];
}

/** Bytes so far of the pairing whose client has that link. */
export type BytesOf = (client: LinkId) => { clientBytes: number; agentBytes: number };

/** A pairing's state as people see it. */
export function stateOf({ state }: PairingView): ClientRow["state"] {
  const early = { knocking: "waiting", parked: "waiting", summoning: "summoning" } as const;
  return early[state as keyof typeof early] ?? "connected";
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** When it expires, to the second; null while it has not said. */
const expiryOf = ({ status, statusAtMs }: AgentEntry): number | null =>
  status && Math.ceil((statusAtMs + status.leftMs) / 1_000) * 1_000;

/** Whether nobody can say any more that it is there: it is lost, and was to have ended. */
const isOver = (agent: AgentEntry, { agents }: RelayContext, wallMs: number): boolean =>
  agent.control === null &&
  ((expiryOf(agent) ?? 0) <= wallMs ||
    agent.status?.state === "ending" ||
    !agents.isRemembered(agent, wallMs));

const shownState = (agent: AgentEntry | undefined): AgentRow["state"] => {
  if (!agent) return "awaited"; // its clients are all there is of it
  return agent.control === null ? "relay lost" : (agent.status?.state ?? "waiting");
};

/** All ids that are shown, in their order; those that only have parked clients are among them. */
function* idsOf(context: RelayContext, wallMs: number): Generator<RendezvousId> {
  const { agents, pairings } = context;
  const others = pairings.ids;
  let next = 0;
  for (const id of agents.ids) {
    for (let other = others[next]; other !== undefined && other <= id; other = others[next]) {
      if (other < id) yield other;
      next += 1;
    }
    const agent = agents.get(id);
    if (agent && (!isOver(agent, context, wallMs) || pairings.countOf(id) > 0)) yield id;
  }
  yield* others.slice(next);
}

function rowOf(id: RendezvousId, { agents, pairings }: RelayContext, bytesOf: BytesOf): AgentRow {
  const agent = agents.get(id);
  const expiresMs = agent ? expiryOf(agent) : null;
  return {
    id,
    agent: agent?.facts ?? null,
    since: agent ? iso(agent.sinceMs) : null,
    state: shownState(agent),
    held: agent?.status?.held ?? false,
    expiresAt: expiresMs === null ? null : iso(expiresMs),
    clients: pairings.ofId(id, clientsPerRow).map((pairing) => {
      const { client, facts, sinceMs, report } = pairing.context;
      return {
        address: facts.address,
        since: iso(sinceMs),
        state: stateOf(pairing),
        kinds: report?.kinds ?? [],
        login: report?.login ?? null,
        ...bytesOf(client),
      };
    }),
    moreClients: Math.max(0, pairings.countOf(id) - clientsPerRow),
  };
}

/** Facts never change, and are most of what is searched. */
const factTexts = new WeakMap<AgentFacts, string>();
function textOf(facts: AgentFacts): string {
  const known = factTexts.get(facts);
  if (known !== undefined) return known;
  const text = Object.values(facts).join("\n").toLowerCase();
  factTexts.set(facts, text);
  return text;
}

/** Whether all the words are in what a row shows; `words` are in lower case. */
function isFound(id: RendezvousId, { agents, pairings }: RelayContext, words: string[]): boolean {
  const agent = agents.get(id);
  const texts = [id.toLowerCase(), agent ? textOf(agent.facts) : "", shownState(agent)];
  if (agent?.status?.held) texts.push("held");
  for (const { context } of pairings.ofId(id, clientsPerRow)) {
    const { kinds = [], login } = context.report ?? {};
    const said = [context.facts.address, ...kinds, login?.comment, login?.fingerprint];
    texts.push(said.join("\n").toLowerCase());
  }
  return words.every((word) => texts.some((text) => text.includes(word)));
}

/** What a view shows at `wallMs`. */
export function rosterPage(
  context: RelayContext,
  { search, page }: RosterView,
  wallMs: number,
  bytesOf: BytesOf,
): RosterPage {
  const all = [...idsOf(context, wallMs)];
  const words = search.toLowerCase().split(/\s+/).filter(Boolean).slice(0, wordsMost);
  const found = words.length === 0 ? all : all.filter((id) => isFound(id, context, words));
  const pages = Math.max(1, Math.ceil(found.length / rowsPerPage));
  const at = Math.min(Math.max(1, page), pages);
  const shown = found.slice((at - 1) * rowsPerPage, at * rowsPerPage);
  return {
    search,
    page: at,
    pages,
    found: found.length,
    total: all.length,
    clients: context.pairings.size,
    rows: shown.map((id) => rowOf(id, context, bytesOf)),
  };
}

/** All rows at `wallMs`, for who is not to be sent them over a network. */
export function roster(
  { context }: { readonly context: RelayContext },
  wallMs: number,
  bytesOf: BytesOf,
): AgentRow[] {
  return [...idsOf(context, wallMs)].map((id) => rowOf(id, context, bytesOf));
}

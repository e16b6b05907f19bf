/**
 * Roster: what the relay knows as rows for people, one an agent with its clients, page by page and
 * as far as a search finds them. Everything in it is public; nothing of any session's content ever
 * comes near it. Rows are made of what is shown only: there may be tens of thousands.
 */
import type { Group, PairingView } from "../../machines/pairings.ts";
import type { AgentEntry } from "../../machines/registry.ts";
import type { RelayContext } from "../../machines/relay.ts";
import type {
  AgentFacts,
  AgentStatus,
  ChannelKind,
  ClientReport,
  LinkId,
  RendezvousId,
} from "../../machines/vocabulary.ts";

import { inOrder, type Order, type Standing } from "./order.ts";

/** What a browser is sent at once. */
export const rowsPerPage = 50;
/** Of one agent; how many more there are is told. */
export const clientsPerRow = 20;
/** Of a search; what is more is not looked for. */
const wordsMost = 5;

export interface ClientRow {
  readonly address: string;
  readonly since: string;
  readonly state: "waiting" | "summoning" | "connected" | "detached";
  /** Since when it has no link, while its shell waits for another; null while it has one. */
  readonly awaySince: string | null;
  /** How often it went on over another link. */
  readonly resumes: number;
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
  readonly order: Order;
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
  /** In the order of the view. */
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

/** What there is under an id: an agent, or only clients that wait for one. */
type Shown = AgentEntry | Group;
const agentOf = (shown: Shown): AgentEntry | null => ("key" in shown ? shown : null);

const stateOfAgent = (agent: AgentEntry | null): AgentRow["state"] => {
  if (!agent) return "awaited";
  return agent.control === null ? "relay lost" : (agent.status?.state ?? "waiting");
};

/** All that is shown, in order of id. */
function allOf(context: RelayContext, wallMs: number): Shown[] {
  const { agents, pairings } = context;
  const { groups } = pairings;
  const all: Shown[] = [];
  let next = 0;
  for (const agent of agents.all) {
    const { id } = agent;
    let group = groups[next];
    for (; group && group.id < id; group = groups[next]) {
      all.push(group);
      next += 1;
    }
    const hasClients = group?.id === id;
    if (hasClients) next += 1;
    if (hasClients || !isOver(agent, context, wallMs)) all.push(agent);
  }
  return all.concat(groups.slice(next));
}

/** Rows of agents without clients: such a row is made of its entry alone, and an entry never changes. */
const quietRows = new WeakMap<AgentEntry, AgentRow>();

/** The same object as before while nothing of it can have changed. */
function rowOf(shown: Shown, context: RelayContext, bytesOf: BytesOf): AgentRow {
  const agent = agentOf(shown);
  if (!agent || context.pairings.countOf(agent.id) > 0) return newRow(shown, context, bytesOf);
  const row = quietRows.get(agent) ?? newRow(shown, context, bytesOf);
  quietRows.set(agent, row);
  return row;
}

function newRow(shown: Shown, { pairings }: RelayContext, bytesOf: BytesOf): AgentRow {
  const { id } = shown;
  const agent = agentOf(shown);
  const expiresMs = agent && expiryOf(agent);
  return {
    id,
    agent: agent?.facts ?? null,
    since: agent && iso(agent.sinceMs),
    state: stateOfAgent(agent),
    held: agent?.status?.held ?? false,
    expiresAt: expiresMs === null ? null : iso(expiresMs),
    clients: [
      ...pairings.ofId(id, clientsPerRow).map((pairing) => {
        const { client, facts, sinceMs, report } = pairing.context;
        return {
          address: facts.address,
          since: iso(sinceMs),
          state: stateOf(pairing),
          awaySince: null,
          resumes: report?.resumes ?? 0,
          kinds: report?.kinds ?? [],
          login: report?.login ?? null,
          ...bytesOf(client),
        };
      }),
      ...(agent ? detachedOf(agent) : []),
    ].slice(0, clientsPerRow),
    moreClients: Math.max(0, clientsOf(shown, pairings) - clientsPerRow),
  };
}

/** Clients without a link, as their agent last told of them. */
const detachedOf = ({ detached, statusAtMs }: AgentEntry): ClientRow[] =>
  detached.map(({ address = "", forMs = 0, detachedMs = 0, resumes = 0, kinds, login }) => ({
    address,
    since: iso(statusAtMs - forMs),
    state: "detached",
    awaySince: iso(statusAtMs - detachedMs),
    resumes,
    kinds,
    login,
    clientBytes: 0,
    agentBytes: 0,
  }));

/** How many there are with an id, those without a link too. */
const clientsOf = (shown: Shown, pairings: RelayContext["pairings"]): number =>
  pairings.countOf(shown.id) + (agentOf(shown)?.detached.length ?? 0);

/** What never changes of an agent, and is most of what is searched; facts are of one agent only. */
const noFacts = { host: "", user: "", os: "", arch: "", shell: "", version: "", fingerprint: "" };
const factTexts = new WeakMap<AgentFacts, string>();
function textOf(shown: Shown): string {
  const facts = agentOf(shown)?.facts;
  const known = facts && factTexts.get(facts);
  if (known !== undefined) return known;
  const { host, user, os, arch, shell, version, fingerprint } = facts ?? noFacts;
  const text =
    `${shown.id}\n${host}\n${user}\n${os}\n${arch}\n${shell}\n${version}\n${fingerprint}`.toLowerCase();
  if (facts) factTexts.set(facts, text);
  return text;
}

/** Whether all words, in lower case, are in what a row shows. */
function hasAll(words: readonly string[], shown: Shown, { pairings }: RelayContext): boolean {
  const text = textOf(shown);
  const agent = agentOf(shown);
  const texts = [stateOfAgent(agent), agent?.status?.held ? "held" : ""];
  const others = words.filter((word) => !text.includes(word));
  if (others.length === 0) return true;
  for (const { context } of pairings.ofId(shown.id, clientsPerRow)) {
    const { kinds = [], login } = context.report ?? {};
    const said = [context.facts.address, ...kinds, login?.comment, login?.fingerprint];
    texts.push(said.join("\n").toLowerCase());
  }
  return others.every((word) => texts.some((text) => text.includes(word)));
}

const occupied = { isOccupied: true, sinceMs: null, expiresMs: null };

/** What one that is shown stands by, without a row being made of it. */
function standingOf(shown: Shown, { pairings }: RelayContext): Standing {
  const agent = agentOf(shown);
  if (!agent) return occupied;
  const isOccupied = clientsOf(shown, pairings) > 0;
  return { isOccupied, sinceMs: agent.sinceMs, expiresMs: expiryOf(agent) };
}

/** The same of a row. */
const standingOfRow = ({ since, expiresAt, clients }: AgentRow): Standing => ({
  isOccupied: clients.length > 0,
  sinceMs: since === null ? null : Date.parse(since),
  expiresMs: expiresAt === null ? null : Date.parse(expiresAt),
});

/** Rows of one page, put in order again after some of them have changed. */
export const rowsInOrder = (rows: readonly AgentRow[], order: Order): AgentRow[] =>
  inOrder(
    [...rows].sort((a, b) => (a.id < b.id ? -1 : 1)),
    order,
    standingOfRow,
  );

/** What a view shows at `wallMs`. */
export function rosterPage(
  context: RelayContext,
  { search, order, page }: RosterView,
  wallMs: number,
  bytesOf: BytesOf,
): RosterPage {
  const all = allOf(context, wallMs);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean).slice(0, wordsMost);
  const found = words.length === 0 ? all : all.filter((shown) => hasAll(words, shown, context));
  const pages = Math.max(1, Math.ceil(found.length / rowsPerPage));
  const at = Math.min(Math.max(1, page), pages);
  const from = (at - 1) * rowsPerPage;
  const stands = (shown: Shown): Standing => standingOf(shown, context);
  const onPage = inOrder(found, order, stands, from, from + rowsPerPage);
  return {
    search,
    order,
    page: at,
    pages,
    found: found.length,
    total: all.length,
    clients: context.pairings.size + context.agents.detached,
    rows: onPage.map((shown) => rowOf(shown, context, bytesOf)),
  };
}

/** All rows at `wallMs`, for who is not to be sent them over a network. */
export function roster(
  { context }: { readonly context: RelayContext },
  wallMs: number,
  bytesOf: BytesOf,
): AgentRow[] {
  return allOf(context, wallMs).map((shown) => rowOf(shown, context, bytesOf));
}

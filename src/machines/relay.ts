/**
 * Relay: who is registered under which id, and one pairing for each knock.
 *
 * An id is its first owner's, known by an identity key; a stranger who asks for it gets another.
 * The owner keeps it while it is lost, for as long as it is remembered. Whether a key was really
 * proven, and which spare ids there are, was settled before the event came here.
 */
import { type ActorRefFrom, assign, enqueueActions, sendTo, setup } from "xstate";
import { type PairingEnded, pairingMachine } from "./pairing.ts";
import type {
  AgentFacts,
  AgentStatus,
  ClientFacts,
  IdentityKey,
  LinkId,
  RendezvousId,
  Ticket,
} from "./vocabulary.ts";

export interface Registration {
  readonly control: LinkId;
  /** The id asked for, then those to give instead, in order. */
  readonly ids: readonly RendezvousId[];
  readonly key: IdentityKey;
  readonly facts: AgentFacts;
  /** Wall clock, as are all `atMs`. */
  readonly atMs: number;
}

export interface Knock {
  readonly id: RendezvousId;
  readonly ticket: Ticket;
  readonly client: LinkId;
  readonly facts: ClientFacts;
  readonly waitMs: number;
  readonly atMs: number;
}

interface Report {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly status: AgentStatus;
  readonly atMs: number;
}

interface Loss {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly atMs: number;
}

interface Leave {
  readonly id: RendezvousId;
  readonly control: LinkId;
}

export type RelayEvent =
  | ({ type: "AGENT.REGISTERED" } & Registration)
  | ({ type: "AGENT.REPORTED" } & Report)
  /** Its link broke: it may come back. */
  | ({ type: "AGENT.LOST" } & Loss)
  /** It closed its link in order: the job is over, and the id is free. */
  | ({ type: "AGENT.LEFT" } & Leave)
  | ({ type: "CLIENT.KNOCKED" } & Knock)
  | { type: "AGENT.DIALLED"; ticket: Ticket; link: LinkId }
  | { type: "CLIENT.GONE"; ticket: Ticket }
  | PairingEnded;

export interface RelayInput {
  /** How long an agent may take to dial back. */
  readonly summonMs: number;
  /** How long a lost agent keeps its id. */
  readonly rememberMs: number;
}

export interface AgentEntry {
  readonly key: IdentityKey;
  readonly facts: AgentFacts;
  readonly sinceMs: number;
  /** Null while the control link is lost. */
  readonly control: LinkId | null;
  readonly lostAtMs: number;
  readonly status: AgentStatus | null;
  /** When the status came, so that `leftMs` can be counted down from there. */
  readonly statusAtMs: number;
}

export interface PairingEntry {
  readonly id: RendezvousId;
  readonly ref: ActorRefFrom<typeof pairingMachine>;
}

export interface RelayContext extends RelayInput {
  readonly agents: ReadonlyMap<RendezvousId, AgentEntry>;
  readonly pairings: ReadonlyMap<Ticket, PairingEntry>;
}

type Agents = Pick<RelayContext, "agents" | "rememberMs">;

/** Whether an agent is there, or was lost so recently that the id is still its own. */
const isRemembered = (agent: AgentEntry, { rememberMs }: Agents, atMs: number): boolean =>
  agent.control !== null || atMs - agent.lostAtMs < rememberMs;

/** The first of the ids that is free or already this key's; null when none is. */
export function idFor(context: Agents, { ids, key, atMs }: Registration): RendezvousId | null {
  const isFree = (id: RendezvousId): boolean => {
    const agent = context.agents.get(id);
    return !agent || agent.key === key || !isRemembered(agent, context, atMs);
  };
  return ids.find(isFree) ?? null;
}

/** The control link that a registration replaces: an agent that came back before its loss was seen. */
function formerLink(context: Agents, registration: Registration): LinkId | null {
  const id = idFor(context, registration);
  return (id === null ? undefined : context.agents.get(id)?.control) ?? null;
}

/** The agents without those that were lost too long ago to be remembered. */
export function remembered(context: Agents, atMs: number): Map<RendezvousId, AgentEntry> {
  return new Map([...context.agents].filter(([, agent]) => isRemembered(agent, context, atMs)));
}

function admitted(context: RelayContext, registration: Registration): RelayContext["agents"] {
  const id = idFor(context, registration);
  if (id === null) return context.agents;
  const { key, facts, control, atMs } = registration;
  const agents = remembered(context, atMs);
  const before = agents.get(id);
  return agents.set(id, {
    key,
    facts,
    control,
    sinceMs: before?.sinceMs ?? atMs,
    lostAtMs: 0,
    status: before?.status ?? null,
    statusAtMs: before?.statusAtMs ?? atMs,
  });
}

const changed = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V | null): ReadonlyMap<K, V> => {
  const copy = new Map(map);
  if (value === null) copy.delete(key);
  else copy.set(key, value);
  return copy;
};

export const relayMachine = setup({
  types: {
    input: {} as RelayInput,
    context: {} as RelayContext,
    events: {} as RelayEvent,
  },
  actors: { pairing: pairingMachine },
  guards: {
    anIdIsFree: ({ context }, registration: Registration) => idFor(context, registration) !== null,
    isCurrentLink: ({ context }, { id, control }: { id: RendezvousId; control: LinkId }) =>
      context.agents.get(id)?.control === control,
    isPairing: ({ context }, { ticket }: { ticket: Ticket }) => context.pairings.has(ticket),
  },
  actions: {
    welcomeAgent: (_, _params: { control: LinkId; id: RendezvousId | null }) => {},
    turnAway: (_, _params: { control: LinkId }) => {},
    dismissFormer: (_, _params: { control: LinkId | null }) => {},
    admitAgent: assign({
      agents: ({ context }, registration: Registration) => admitted(context, registration),
    }),
    noteStatus: assign({
      agents: ({ context }, { id, status, atMs }: Report) => {
        const agent = context.agents.get(id);
        return agent
          ? changed(context.agents, id, { ...agent, status, statusAtMs: atMs })
          : context.agents;
      },
    }),
    noteLoss: assign({
      agents: ({ context }, { id, atMs }: Loss) => {
        const agent = context.agents.get(id);
        return agent
          ? changed(context.agents, id, { ...agent, control: null, lostAtMs: atMs })
          : context.agents;
      },
    }),
    forgetAgent: assign({
      agents: ({ context }, { id }: Leave) => changed(context.agents, id, null),
    }),
    openPairing: assign({
      pairings: ({ context, spawn, self }, { id, ticket, client, facts, waitMs, atMs }: Knock) => {
        const agent = context.agents.get(id);
        const ref = spawn("pairing", {
          id: ticket,
          input: {
            owner: self,
            id,
            ticket,
            client,
            facts,
            waitMs,
            sinceMs: atMs,
            summonMs: context.summonMs,
            agent: agent?.control ? { control: agent.control, facts: agent.facts } : null,
          },
        });
        return changed(context.pairings, ticket, { id, ref });
      },
    }),
    presentAgent: enqueueActions(({ context, enqueue }, registration: Registration) => {
      const { control, facts } = registration;
      const id = idFor(context, registration);
      for (const pairing of context.pairings.values())
        if (pairing.id === id)
          enqueue.sendTo(pairing.ref, { type: "AGENT.ARRIVED", agent: { control, facts } });
    }),
    joinPairing: sendTo(
      (_, { ticket }: { ticket: Ticket; link: LinkId }) => ticket,
      (_, { link }) => ({ type: "AGENT.DIALLED", link }),
    ),
    leavePairing: sendTo((_, { ticket }: { ticket: Ticket }) => ticket, { type: "CLIENT.GONE" }),
    closePairing: enqueueActions(({ context, enqueue }, { ticket }: { ticket: Ticket }) => {
      enqueue.stopChild(ticket);
      enqueue.assign({ pairings: changed(context.pairings, ticket, null) });
    }),
  },
}).createMachine({
  id: "relay",
  context: ({ input }) => ({ ...input, agents: new Map(), pairings: new Map() }),
  initial: "open",
  states: {
    open: {
      on: {
        "AGENT.REGISTERED": [
          {
            guard: { type: "anIdIsFree", params: ({ event }) => event },
            actions: [
              {
                type: "dismissFormer",
                params: ({ context, event }) => ({ control: formerLink(context, event) }),
              },
              { type: "admitAgent", params: ({ event }) => event },
              {
                type: "welcomeAgent",
                params: ({ context, event }) => ({
                  control: event.control,
                  id: idFor(context, event),
                }),
              },
              { type: "presentAgent", params: ({ event }) => event },
            ],
          },
          { actions: { type: "turnAway", params: ({ event }) => ({ control: event.control }) } },
        ],
        "AGENT.REPORTED": {
          guard: { type: "isCurrentLink", params: ({ event }) => event },
          actions: { type: "noteStatus", params: ({ event }) => event },
        },
        "AGENT.LOST": {
          guard: { type: "isCurrentLink", params: ({ event }) => event },
          actions: { type: "noteLoss", params: ({ event }) => event },
        },
        "AGENT.LEFT": {
          guard: { type: "isCurrentLink", params: ({ event }) => event },
          actions: { type: "forgetAgent", params: ({ event }) => event },
        },
        "CLIENT.KNOCKED": {
          actions: { type: "openPairing", params: ({ event }) => event },
        },
        "AGENT.DIALLED": {
          guard: { type: "isPairing", params: ({ event }) => event },
          actions: { type: "joinPairing", params: ({ event }) => event },
        },
        "CLIENT.GONE": {
          guard: { type: "isPairing", params: ({ event }) => event },
          actions: { type: "leavePairing", params: ({ event }) => event },
        },
        "PAIRING.ENDED": { actions: { type: "closePairing", params: ({ event }) => event } },
      },
    },
  },
});

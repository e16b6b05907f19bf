/**
 * Pairing: one client and the agent it asked for, from knock to hang-up.
 *
 * A client may be parked until an agent comes. The agent is summoned with a ticket; when its
 * second link arrives the two are spliced, and from then on the relay is a pipe. Links are named,
 * never held: a socket has no place in a machine.
 */
import { type ActorRef, assign, type Snapshot, sendTo, setup } from "xstate";
import type { PastEnding } from "./endings.ts";
import type {
  AgentFacts,
  ClientFacts,
  ClientReport,
  LinkId,
  PairingOutcome,
  RendezvousId,
  SpliceReport,
  Ticket,
} from "./vocabulary.ts";

/** How long an agent may take to dial back, at every relay. */
export const summonMs = 10_000;

/** The agent's control link, and who is at its end. */
export interface AgentPresence {
  readonly control: LinkId;
  readonly facts: AgentFacts;
  readonly can: readonly string[];
}

export type PairingEvent =
  | { type: "AGENT.ARRIVED"; agent: AgentPresence; atMs: number }
  | { type: "AGENT.DIALLED"; link: LinkId; atMs: number }
  | { type: "CLIENT.REPORTED"; report: ClientReport }
  | { type: "CLIENT.GONE" }
  | { type: "SPLICE.ENDED"; report: SpliceReport }
  /** One of the links was gone before it could be joined. */
  | { type: "SPLICE.FAILED" }
  /** The relay has ended, whatever state this is in. */
  | { type: "RELAY.ENDED" };

/** The one message this machine sends to its owner, as its last deed. */
export type PairingEnded = { type: "PAIRING.ENDED"; ticket: Ticket };

export interface PairingInput {
  readonly owner: ActorRef<Snapshot<unknown>, PairingEnded>;
  readonly id: RendezvousId;
  readonly ticket: Ticket;
  readonly client: LinkId;
  readonly facts: ClientFacts;
  /** When the client knocked, wall clock. */
  readonly sinceMs: number;
  readonly agent: AgentPresence | null;
  /** How the last agent of that id ended, where nobody has it now. */
  readonly past: PastEnding | null;
  /** Whether the client was joined before, and wants to go on: it waits for no other agent. */
  readonly isAgain: boolean;
  /** How long the client waits for an agent that is not there yet; 0 is not at all. */
  readonly waitMs: number;
  /** How long an agent may take to dial back. */
  readonly summonMs: number;
}

export interface PairingContext extends PairingInput {
  readonly outcome: PairingOutcome;
  /** When there was an agent to ask, wall clock: the knock, or the arrival that ended the wait. */
  readonly askedAtMs: number;
  /** When the two were joined; null before that. */
  readonly splicedAtMs: number | null;
  /** What the agent last said of the client. */
  readonly report: ClientReport | null;
  /** The link that the agent dialled back. */
  readonly dialled: LinkId | null;
}

/** What was once said stays so: each is a line in somebody's log, and no agent has two logins to tell. */
export function withNews(before: ClientReport | null, now: ClientReport): ClientReport {
  if (!before) return now;
  const kinds = [...new Set([...before.kinds, ...now.kinds])];
  return { ...now, kinds, login: before.login ?? now.login };
}

export const pairingMachine = setup({
  types: {
    input: {} as PairingInput,
    context: {} as PairingContext,
    events: {} as PairingEvent,
    output: {} as PairingOutcome,
  },
  guards: {
    agentIsThere: ({ context }) => context.agent !== null,
    willWait: ({ context: { waitMs, isAgain, past } }) => waitMs > 0 && !(isAgain && past),
  },
  actions: {
    tellWaiting: (_, _params: { client: LinkId; waitMs: number }) => {},
    summonAgent: (_, _params: { pairing: PairingContext }) => {},
    /** Not an actor of its own: thousands may run, and it would be larger than this machine's. */
    splice: (_, _params: { pairing: PairingContext }) => {},
    hangUp: (_, _params: { pairing: PairingContext }) => {},
    noteAgent: assign((_, { agent, atMs }: { agent: AgentPresence; atMs: number }) => ({
      agent,
      askedAtMs: atMs,
    })),
    noteReturn: assign({ agent: (_, { agent }: { agent: AgentPresence }) => agent }),
    noteDialled: assign((_, { link, atMs }: { link: LinkId; atMs: number }) => ({
      dialled: link,
      splicedAtMs: atMs,
    })),
    noteReport: assign({
      report: ({ context }, { report }: { report: ClientReport }) =>
        withNews(context.report, report),
    }),
    conclude: assign({ outcome: (_, outcome: PairingOutcome) => outcome }),
    tellOwner: sendTo(
      ({ context }) => context.owner,
      ({ context }) => ({ type: "PAIRING.ENDED", ticket: context.ticket }),
    ),
  },
  delays: {
    waitMs: ({ context }) => context.waitMs,
    summonMs: ({ context }) => context.summonMs,
  },
}).createMachine({
  id: "pairing",
  context: ({ input }) => ({
    ...input,
    outcome: { kind: "broken" },
    askedAtMs: input.sinceMs,
    splicedAtMs: null,
    report: null,
    dialled: null,
  }),
  output: ({ context }) => context.outcome,
  initial: "knocking",
  on: {
    "CLIENT.REPORTED": { actions: { type: "noteReport", params: ({ event }) => event } },
    "RELAY.ENDED": ".closed",
  },
  states: {
    knocking: {
      always: [
        { guard: "agentIsThere", target: "summoning" },
        { guard: "willWait", target: "parked" },
        {
          target: "closed",
          actions: { type: "conclude", params: { kind: "no such rendezvous" } },
        },
      ],
    },
    parked: {
      description: "No agent has that id yet.",
      entry: {
        type: "tellWaiting",
        params: ({ context }) => ({ client: context.client, waitMs: context.waitMs }),
      },
      after: {
        waitMs: {
          target: "closed",
          actions: { type: "conclude", params: { kind: "no such rendezvous" } },
        },
      },
      on: {
        "AGENT.ARRIVED": {
          target: "summoning",
          actions: { type: "noteAgent", params: ({ event }) => event },
        },
        "CLIENT.GONE": {
          target: "closed",
          actions: { type: "conclude", params: { kind: "client gave up" } },
        },
      },
    },
    summoning: {
      description: "The agent was asked to dial back.",
      entry: { type: "summonAgent", params: ({ context }) => ({ pairing: context }) },
      after: {
        summonMs: {
          target: "closed",
          actions: { type: "conclude", params: { kind: "agent silent" } },
        },
      },
      on: {
        "AGENT.ARRIVED": {
          description: "It lost its control link and came back; the summons may be lost.",
          target: "summoning",
          reenter: true,
          actions: { type: "noteReturn", params: ({ event }) => event },
        },
        "AGENT.DIALLED": {
          target: "spliced",
          actions: { type: "noteDialled", params: ({ event }) => event },
        },
        "CLIENT.GONE": {
          target: "closed",
          actions: { type: "conclude", params: { kind: "client gave up" } },
        },
      },
    },
    spliced: {
      description: "Bytes flow. With nothing to do the machine goes to sleep, and is woken here.",
      entry: { type: "splice", params: ({ context }) => ({ pairing: context }) },
      always: "asleep",
      on: {
        "SPLICE.ENDED": {
          target: "closed",
          actions: {
            type: "conclude",
            params: ({ event }) => ({ kind: "served", report: event.report }),
          },
        },
        "SPLICE.FAILED": "closed",
      },
    },
    asleep: {
      description: "Its actor is over, the pairing is not: see pairings.ts.",
      type: "final",
    },
    closed: {
      type: "final",
      entry: [{ type: "hangUp", params: ({ context }) => ({ pairing: context }) }, "tellOwner"],
    },
  },
});

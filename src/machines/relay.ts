/**
 * Relay: who is registered under which id, and one pairing for each knock.
 *
 * An id is its first owner's, known by an identity key; a stranger who asks for it gets another.
 * The owner keeps it while it is lost, for as long as it is remembered. Whether a key was really
 * proven, and which spare ids there are, was settled before the event came here.
 */
import { setup } from "xstate";
import type { PairingEnded, pairingMachine } from "./pairing.ts";
import { Pairings } from "./pairings.ts";
import { type Memory, type Registration, Registry } from "./registry.ts";
import type {
  AgentStatus,
  ClientFacts,
  ClientReport,
  LinkId,
  RendezvousId,
  SpliceReport,
  Ticket,
} from "./vocabulary.ts";

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

interface ClientNote {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly report: ClientReport;
}

interface Loss {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly atMs: number;
  /** Whether it was the relay that closed the link, as it ends. */
  readonly byRelay: boolean;
}

interface Leave {
  readonly id: RendezvousId;
  readonly control: LinkId;
}

interface SpliceEnd {
  readonly ticket: Ticket;
  readonly report: SpliceReport;
}

export type RelayEvent =
  | ({ type: "AGENT.REGISTERED" } & Registration)
  | ({ type: "AGENT.REPORTED" } & Report)
  /** One client logged in, or started something; between two full reports. */
  | ({ type: "CLIENT.REPORTED" } & ClientNote)
  /** Its link broke: it may come back. */
  | ({ type: "AGENT.LOST" } & Loss)
  /** It closed its link in order: the job is over, and the id is free. */
  | ({ type: "AGENT.LEFT" } & Leave)
  | ({ type: "CLIENT.KNOCKED" } & Knock)
  | { type: "AGENT.DIALLED"; ticket: Ticket; link: LinkId; atMs: number }
  | { type: "CLIENT.GONE"; ticket: Ticket }
  | ({ type: "SPLICE.ENDED" } & SpliceEnd)
  | { type: "SPLICE.FAILED"; ticket: Ticket }
  | PairingEnded;

export interface RelayInput extends Memory {
  /** How long an agent may take to dial back. */
  readonly summonMs: number;
  /** What a knock starts. */
  readonly pairing: typeof pairingMachine;
}

/** Both are kept by the actions, and change in place. */
export interface RelayContext extends RelayInput {
  readonly agents: Registry;
  readonly pairings: Pairings;
}

export const relayMachine = setup({
  types: {
    input: {} as RelayInput,
    context: {} as RelayContext,
    events: {} as RelayEvent,
  },
  guards: {
    anIdIsFree: ({ context }, registration: Registration) =>
      context.agents.idFor(registration) !== null,
    isCurrentLink: ({ context }, { id, control }: { id: RendezvousId; control: LinkId }) =>
      context.agents.get(id)?.control === control,
    isItsPairing: ({ context }, { id, control, report }: ClientNote) =>
      context.agents.get(id)?.control === control &&
      context.pairings.of(report.ticket)?.context.id === id,
    isPairing: ({ context }, { ticket }: { ticket: Ticket }) => context.pairings.has(ticket),
  },
  actions: {
    welcomeAgent: (_, _params: { control: LinkId; id: RendezvousId | null }) => {},
    turnAway: (_, _params: { control: LinkId }) => {},
    dismissFormer: (_, _params: { control: LinkId | null }) => {},
    admitAgent: ({ context }, registration: Registration) => context.agents.admit(registration),
    noteStatus: ({ context }, { id, status, atMs }: Report) =>
      context.agents.note(id, status, atMs),
    passReports: ({ context: { pairings } }, { id, status }: Report) => {
      for (const report of status.clients)
        if (pairings.of(report.ticket)?.context.id === id)
          pairings.send(report.ticket, { type: "CLIENT.REPORTED", report });
    },
    passReport: ({ context }, { report }: ClientNote) =>
      context.pairings.send(report.ticket, { type: "CLIENT.REPORTED", report }),
    noteLoss: ({ context }, { id, atMs }: Loss) => context.agents.lose(id, atMs),
    forgetAgent: ({ context }, { id }: Leave) => context.agents.forget(id),
    openPairing: ({ context, self }, { id, ticket, client, facts, waitMs, atMs }: Knock) => {
      const agent = context.agents.get(id);
      context.pairings.open({
        owner: self,
        id,
        ticket,
        client,
        facts,
        waitMs,
        sinceMs: atMs,
        summonMs: context.summonMs,
        agent: agent?.control ? { control: agent.control, facts: agent.facts } : null,
      });
    },
    presentAgent: ({ context }, registration: Registration) => {
      const { control, facts, atMs } = registration;
      const id = context.agents.idOf(registration);
      if (id === null) return;
      context.pairings.sendAll({ type: "AGENT.ARRIVED", agent: { control, facts }, atMs }, id);
    },
    joinPairing: (
      { context },
      { ticket, link, atMs }: { ticket: Ticket; link: LinkId; atMs: number },
    ) => context.pairings.send(ticket, { type: "AGENT.DIALLED", link, atMs }),
    leavePairing: ({ context }, { ticket }: { ticket: Ticket }) =>
      context.pairings.send(ticket, { type: "CLIENT.GONE" }),
    endSplice: ({ context }, { ticket, report }: SpliceEnd) =>
      context.pairings.send(ticket, { type: "SPLICE.ENDED", report }),
    failSplice: ({ context }, { ticket }: { ticket: Ticket }) =>
      context.pairings.send(ticket, { type: "SPLICE.FAILED" }),
    closePairing: ({ context }, { ticket }: { ticket: Ticket }) => context.pairings.delete(ticket),
  },
}).createMachine({
  id: "relay",
  context: ({ input }) => ({
    ...input,
    agents: new Registry(input),
    pairings: new Pairings(input.pairing),
  }),
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
                params: ({ context, event }) => ({ control: context.agents.formerLink(event) }),
              },
              { type: "admitAgent", params: ({ event }) => event },
              {
                type: "welcomeAgent",
                params: ({ context, event }) => ({
                  control: event.control,
                  id: context.agents.idOf(event),
                }),
              },
              { type: "presentAgent", params: ({ event }) => event },
            ],
          },
          { actions: { type: "turnAway", params: ({ event }) => ({ control: event.control }) } },
        ],
        "AGENT.REPORTED": {
          guard: { type: "isCurrentLink", params: ({ event }) => event },
          actions: [
            { type: "noteStatus", params: ({ event }) => event },
            { type: "passReports", params: ({ event }) => event },
          ],
        },
        "CLIENT.REPORTED": {
          guard: { type: "isItsPairing", params: ({ event }) => event },
          actions: { type: "passReport", params: ({ event }) => event },
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
        "SPLICE.ENDED": { actions: { type: "endSplice", params: ({ event }) => event } },
        "SPLICE.FAILED": { actions: { type: "failSplice", params: ({ event }) => event } },
        "PAIRING.ENDED": { actions: { type: "closePairing", params: ({ event }) => event } },
      },
    },
  },
});

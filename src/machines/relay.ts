/**
 * Relay: who is registered under which id, and one pairing for each knock.
 *
 * An id is its first owner's, known by an identity key; a stranger who asks for it gets another.
 * The owner keeps it while it is lost, for as long as it is remembered. Whether a key was really
 * proven, and which spare ids there are, was settled before the event came here.
 */
import { emit, enqueueActions, setup } from "xstate";
import { Endings } from "./endings.ts";
import type { pairingMachine } from "./pairing.ts";
import { Pairings } from "./pairings.ts";
import { type AgentEntry, type Memory, type Registration, Registry } from "./registry.ts";
import {
  type ClientNote,
  type Knock,
  type Leave,
  type Loss,
  type RelayEvent,
  type RelayNews,
  type Report,
  type SpliceEnd,
  seenOf,
} from "./relay-events.ts";
import type { AgentOutcome, ClientReport, LinkId, RendezvousId, Ticket } from "./vocabulary.ts";

/** Passes a report to its pairing, if that is of `id`, and says what was new in it. */
function pass(
  pairings: Pairings,
  id: RendezvousId,
  report: ClientReport,
): ReturnType<typeof seenOf> {
  const before = pairings.of(report.ticket)?.context;
  if (before?.id !== id) return null;
  pairings.send(report.ticket, { type: "CLIENT.REPORTED", report });
  const now = pairings.of(report.ticket)?.context;
  return now ? seenOf(now, before.report) : null;
}

export interface RelayInput extends Memory {
  /** How long an agent may take to dial back. */
  readonly summonMs: number;
  /** What a knock starts. */
  readonly pairing: typeof pairingMachine;
}

/** All are kept by the actions, and change in place. */
export interface RelayContext extends RelayInput {
  readonly agents: Registry;
  readonly pairings: Pairings;
  readonly endings: Endings;
}

export const relayMachine = setup({
  types: {
    input: {} as RelayInput,
    context: {} as RelayContext,
    events: {} as RelayEvent,
    emitted: {} as RelayNews,
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
    tellArrival: emit((_, news: Omit<Extract<RelayNews, { type: "AGENT.CAME" }>, "type">) => ({
      type: "AGENT.CAME",
      ...news,
    })),
    tellTurnedAway: emit((_, registration: Registration) => ({
      type: "AGENT.TURNED.AWAY",
      registration,
    })),
    tellEnd: enqueueActions(
      ({ enqueue }, end: { entry: AgentEntry | null; outcome: AgentOutcome }) => {
        const { entry, outcome } = end;
        if (entry?.control) enqueue.emit({ type: "AGENT.WENT", entry, outcome });
      },
    ),
    tellStatus: enqueueActions(({ context, enqueue }, { id, status }: Report) => {
      const before = context.agents.get(id)?.status;
      const times = (status.warnings ?? 0) - (before?.warnings ?? 0);
      if (times > 0) enqueue.emit({ type: "AGENT.WARNED", id, times });
      if (status.held && !before?.held) enqueue.emit({ type: "AGENT.HELD", id });
      const known = context.agents.get(id)?.detached ?? [];
      for (const report of status.clients)
        if (
          report.detachedMs !== undefined &&
          !known.some(({ stream }) => stream === report.stream)
        )
          enqueue.emit({ type: "CLIENT.DETACHED", id, report });
    }),
    tellKnock: emit((_, knock: Knock) => ({ type: "CLIENT.CAME", knock })),
    admitAgent: ({ context: { agents, endings } }, registration: Registration) => {
      agents.admit(registration);
      const id = agents.idOf(registration);
      if (id !== null) endings.forget(id);
    },
    noteStatus: ({ context }, { id, status, atMs }: Report) =>
      context.agents.note(id, status, atMs),
    passReports: enqueueActions(({ context: { pairings }, enqueue }, { id, status }: Report) => {
      for (const report of status.clients) {
        const seen = pass(pairings, id, report);
        if (seen) enqueue.emit(seen);
      }
    }),
    passReport: enqueueActions(({ context, enqueue }, { id, report }: ClientNote) => {
      context.agents.noteResumed(id, report.stream);
      const seen = pass(context.pairings, id, report);
      if (seen) enqueue.emit(seen);
    }),
    noteLoss: ({ context }, { id, atMs }: Loss) => context.agents.lose(id, atMs),
    noteEnding: ({ context }, { id, atMs }: Leave) =>
      context.endings.note(id, { atMs, kind: context.agents.get(id)?.status?.ending ?? null }),
    forgetAgent: ({ context }, { id }: Leave) => context.agents.forget(id),
    openPairing: ({ context, self }, knock: Knock) => {
      const { id, ticket, client, facts, waitMs, isAgain, atMs } = knock;
      const agent = context.agents.get(id);
      context.pairings.open({
        owner: self,
        id,
        ticket,
        client,
        facts,
        waitMs,
        isAgain,
        sinceMs: atMs,
        summonMs: context.summonMs,
        past: agent ? null : context.endings.of(id, atMs),
        agent: agent?.control
          ? { control: agent.control, facts: agent.facts, can: agent.can }
          : null,
      });
    },
    presentAgent: ({ context }, registration: Registration) => {
      const { control, facts, can, atMs } = registration;
      const id = context.agents.idOf(registration);
      if (id === null) return;
      context.pairings.sendAll({ type: "AGENT.ARRIVED", agent: { control, facts, can }, atMs }, id);
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
    endings: new Endings(),
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
                type: "tellEnd",
                params: ({ context, event }) => ({
                  entry: context.agents.formerOf(event),
                  outcome: "superseded",
                }),
              },
              {
                type: "tellArrival",
                params: ({ context, event }) => ({
                  registration: event,
                  id: context.agents.idFor(event) ?? event.asked,
                  former: context.agents.formerOf(event),
                }),
              },
              {
                type: "dismissFormer",
                params: ({ context, event }) => ({
                  control: context.agents.formerOf(event)?.control ?? null,
                }),
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
          {
            actions: [
              { type: "tellTurnedAway", params: ({ event }) => event },
              { type: "turnAway", params: ({ event }) => ({ control: event.control }) },
            ],
          },
        ],
        "AGENT.REPORTED": {
          guard: { type: "isCurrentLink", params: ({ event }) => event },
          actions: [
            { type: "tellStatus", params: ({ event }) => event },
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
          actions: [
            {
              type: "tellEnd",
              params: ({ context, event }) => ({
                entry: context.agents.get(event.id) ?? null,
                outcome: event.byRelay ? "relay ended" : "lost",
              }),
            },
            { type: "noteLoss", params: ({ event }) => event },
          ],
        },
        "AGENT.LEFT": {
          guard: { type: "isCurrentLink", params: ({ event }) => event },
          actions: [
            {
              type: "tellEnd",
              params: ({ context, event }) => ({
                entry: context.agents.get(event.id) ?? null,
                outcome: "left",
              }),
            },
            { type: "noteEnding", params: ({ event }) => event },
            { type: "forgetAgent", params: ({ event }) => event },
          ],
        },
        "CLIENT.KNOCKED": {
          description: "Told first: without an agent it is over as soon as it has begun.",
          actions: [
            { type: "tellKnock", params: ({ event }) => event },
            { type: "openPairing", params: ({ event }) => event },
          ],
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

/**
 * Agent session: the life of one agent, from waiting for its first client to the end.
 *
 * The agent stays while somebody is in. When the last client leaves it ends, after a linger,
 * unless the hold file exists; a client whose link broke is waited for. Silence, or the hard cap,
 * ends it in any case. It owns `inactivity`, `hold` and `notices`; of ssh it knows nothing.
 */
import { assign, emit, enqueueActions, forwardTo, sendTo, setup, stopChild } from "xstate";
import { type AbsenceNews, absenceMachine } from "./absence.ts";
import { type HoldEvent, type HoldNews, holdMachine } from "./hold.ts";
import { type InactivityNews, inactivityMachine } from "./inactivity.ts";
import { type ClientNews, type LinkNews, type NoticeDue, noticesMachine } from "./notices.ts";
import type { Audience, ClientId, Ending, ExpiryCause, Notice } from "./vocabulary.ts";

export type AgentSessionEvent =
  | ClientNews
  | LinkNews
  | AbsenceNews
  | HoldEvent
  | HoldNews
  | InactivityNews
  | NoticeDue
  | { type: "ACTIVITY"; atMs: number }
  | { type: "KEYS.CHANGED"; what: string }
  | { type: "RELAY.LOST" }
  | { type: "RELAY.FOUND" }
  | { type: "RELAY.ENDING"; leftMs: number }
  | { type: "INTERRUPTED" };

/** For the terminals of the people it is meant for. */
export type NoticeEmitted = { type: "notice"; notice: Notice; audience: Audience };
/** A client was waited for in vain: its shell is to be ended. */
export type GivenUp = { type: "given up"; client: ClientId };

export interface AgentSessionInput {
  /** The clock's reading at the start. */
  readonly atMs: number;
  /** Until the first login, and after it. */
  readonly joinTimeoutMs: number;
  readonly timeoutMs: number;
  readonly warnAtMs: readonly number[];
  readonly lingerMs: number;
  readonly maxDurationMs: number | null;
  /** How long a client is waited for whose link broke and whose shell outlives it. */
  readonly resumeTimeoutMs: number;
}

export interface AgentSessionContext extends AgentSessionInput {
  readonly clients: number;
  readonly held: boolean;
  /** When the agent ends unless something happens, by the clock of `atMs`. */
  readonly deadlineMs: number;
  readonly ending: Ending;
}

/** It is over with the client, however that came. */
const dropAbsence = {
  type: "dropAbsence",
  params: ({ event }: { event: { client: ClientId } }) => event,
} as const;

const absenceOf = (client: ClientId) => `absence of ${client}` as const;

export const agentSessionMachine = setup({
  types: {
    input: {} as AgentSessionInput,
    context: {} as AgentSessionContext,
    events: {} as AgentSessionEvent,
    emitted: {} as NoticeEmitted | GivenUp,
    output: {} as Ending,
    children: {} as {
      inactivity: "inactivity";
      hold: "hold";
      notices: "notices";
      [absence: `absence of ${string}`]: "absence";
    },
  },
  actors: {
    inactivity: inactivityMachine,
    hold: holdMachine,
    notices: noticesMachine,
    absence: absenceMachine,
  },
  guards: {
    othersRemain: ({ context }) => context.clients > 1,
    isHeld: ({ context }) => context.held,
  },
  actions: {
    countIn: assign({ clients: ({ context }) => context.clients + 1 }),
    countOut: assign({ clients: ({ context }) => context.clients - 1 }),
    noteHold: assign({ held: true }),
    noteNoHold: assign({ held: false }),
    noteDeadline: assign({
      deadlineMs: (_, { deadlineMs }: { deadlineMs: number }) => deadlineMs,
    }),
    endFor: assign({ ending: (_, ending: Ending) => ending }),
    endForExpiry: assign({
      ending: (_, { cause }: { cause: ExpiryCause }): Ending => ({ kind: cause }),
    }),
    startTimeout: sendTo("inactivity", ({ context }, { atMs }: { atMs: number }) => ({
      type: "TIMEOUT.SET",
      timeoutMs: context.timeoutMs,
      atMs,
    })),
    countActivity: sendTo("inactivity", (_, { atMs }: { atMs: number }) => ({
      type: "ACTIVITY",
      atMs,
    })),
    tellHold: sendTo("notices", ({ context }, { aheadMs }: { aheadMs: number }) => ({
      type: "HOLD.TOLD",
      leftMs: Math.max(0, aheadMs) + context.timeoutMs,
    })),
    beginAbsence: enqueueActions(
      ({ context, enqueue, self }, { client, who }: { client: ClientId; who: string }) => {
        const input = { owner: self, client, who, graceMs: context.resumeTimeoutMs };
        enqueue.spawnChild("absence", { id: absenceOf(client), input });
      },
    ),
    endAbsence: enqueueActions(
      ({ enqueue, self }, { client, outageMs }: { client: ClientId; outageMs: number }) => {
        const absence = self.getSnapshot().children?.[absenceOf(client)];
        if (absence) enqueue.sendTo(absence, { type: "CLIENT.RESUMED", outageMs });
      },
    ),
    dropAbsence: stopChild((_, { client }: { client: ClientId }) => absenceOf(client)),
    giveUp: emit((_, { client }: { client: ClientId }): GivenUp => ({ type: "given up", client })),
    toInactivity: forwardTo("inactivity"),
    toHold: forwardTo("hold"),
    toNotices: forwardTo("notices"),
    publish: emit((_, { notice, audience }: NoticeDue) => ({ type: "notice", notice, audience })),
  },
  delays: { linger: ({ context }) => context.lingerMs },
}).createMachine({
  id: "agentSession",
  context: ({ input }) => ({
    ...input,
    clients: 0,
    held: false,
    deadlineMs: input.atMs + input.joinTimeoutMs,
    ending: { kind: "interrupted" },
  }),
  output: ({ context }) => context.ending,
  initial: "open",
  invoke: [
    { id: "notices", src: "notices", input: ({ self }) => ({ owner: self }) },
    { id: "hold", src: "hold", input: ({ self }) => ({ owner: self }) },
  ],
  on: {
    "NOTICE.DUE": { actions: { type: "publish", params: ({ event }) => event } },
  },
  states: {
    open: {
      invoke: {
        id: "inactivity",
        src: "inactivity",
        input: ({ context, self }) => ({
          owner: self,
          atMs: context.atMs,
          timeoutMs: context.joinTimeoutMs,
          warnAtMs: context.warnAtMs,
          capAtMs: context.maxDurationMs === null ? null : context.atMs + context.maxDurationMs,
        }),
        onDone: {
          target: "ended",
          actions: { type: "endForExpiry", params: ({ event }) => ({ cause: event.output }) },
        },
      },
      on: {
        ACTIVITY: { actions: "toInactivity" },
        "INACTIVITY.MOVED": {
          actions: { type: "noteDeadline", params: ({ event }) => event },
        },
        "INACTIVITY.WARNED": { actions: "toNotices" },
        "INACTIVITY.EXTENDED": { actions: "toNotices" },
        "FILE.SEEN": { actions: "toHold" },
        "FILE.GONE": { actions: "toHold" },
        "HOLD.SET": {
          actions: ["noteHold", "toInactivity", { type: "tellHold", params: ({ event }) => event }],
        },
        "HOLD.CLEARED": { actions: ["noteNoHold", "toInactivity", "toNotices"] },
        "KEYS.CHANGED": { actions: "toNotices" },
        "CLIENT.DETACHED": {
          description: "It counts as there, and makes no activity.",
          actions: { type: "beginAbsence", params: ({ event }) => event },
        },
        "CLIENT.RESUMED": { actions: { type: "endAbsence", params: ({ event }) => event } },
        "ABSENCE.NOTICED": { actions: "toNotices" },
        "ABSENCE.ENDED": { actions: "toNotices" },
        "ABSENCE.EXPIRED": { actions: { type: "giveUp", params: ({ event }) => event } },
        "RELAY.LOST": { actions: "toNotices" },
        "RELAY.FOUND": { actions: "toNotices" },
        "RELAY.ENDING": { actions: "toNotices" },
        "CLIENT.JOINED": {
          target: ".occupied",
          actions: [
            "countIn",
            { type: "countActivity", params: ({ event }) => event },
            "toNotices",
          ],
        },
        INTERRUPTED: {
          target: "ended",
          actions: { type: "endFor", params: { kind: "interrupted" } },
        },
      },
      initial: "waiting",
      states: {
        waiting: {
          description: "Nobody has logged in yet.",
          on: {
            "CLIENT.JOINED": {
              target: "occupied",
              actions: [
                "countIn",
                { type: "startTimeout", params: ({ event }) => event },
                "toNotices",
              ],
            },
          },
        },
        occupied: {
          on: {
            "CLIENT.LEFT": [
              { guard: "othersRemain", actions: [dropAbsence, "countOut", "toNotices"] },
              { guard: "isHeld", target: "held", actions: [dropAbsence, "countOut"] },
              { target: "lingering", actions: [dropAbsence, "countOut"] },
            ],
            "CLIENT.LOST": [
              { guard: "othersRemain", actions: [dropAbsence, "countOut", "toNotices"] },
              { target: "lost", actions: [dropAbsence, "countOut"] },
            ],
          },
        },
        held: {
          description: "Everybody left; the hold file keeps the agent waiting.",
          on: {
            "HOLD.CLEARED": {
              target: "lingering",
              actions: ["noteNoHold", "toInactivity", "toNotices"],
            },
          },
        },
        lost: {
          description: "The last client's link broke; it may come back, until expiry.",
          on: {
            "HOLD.CLEARED": {
              target: "lingering",
              actions: ["noteNoHold", "toInactivity", "toNotices"],
            },
          },
        },
        lingering: {
          description: "Everybody left in order; somebody may still come.",
          after: {
            linger: {
              target: "#agentSession.ended",
              actions: { type: "endFor", params: { kind: "last client left" } },
            },
          },
          on: {
            "HOLD.SET": {
              target: "held",
              actions: [
                "noteHold",
                "toInactivity",
                { type: "tellHold", params: ({ event }) => event },
              ],
            },
          },
        },
      },
    },
    ended: { type: "final" },
  },
});

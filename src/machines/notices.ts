/**
 * Notices: what people are told in their terminals, and who of them.
 *
 * It remembers the warning that stands, tells somebody who joins later, and takes it back when
 * the end was put off. It knows no words and no terminals.
 */
import { type ActorRef, assign, type Snapshot, sendTo, setup } from "xstate";
import type { AbsenceNews } from "./absence.ts";
import type { HoldNews } from "./hold.ts";
import type { InactivityNews } from "./inactivity.ts";
import type { Audience, ClientId, ExpiryCause, Notice } from "./vocabulary.ts";

export type ClientNews =
  | { type: "CLIENT.JOINED"; client: ClientId; who: string; atMs: number }
  /** Disconnected in order. */
  | { type: "CLIENT.LEFT"; client: ClientId; who: string; atMs: number }
  /** Its link broke. */
  | { type: "CLIENT.LOST"; client: ClientId; who: string; atMs: number };

/** Of a client whose shell outlives its link: it broke, and another one took its place. */
export type LinkNews =
  | { type: "CLIENT.DETACHED"; client: ClientId; who: string }
  | { type: "CLIENT.RESUMED"; client: ClientId; who: string; outageMs: number };

export type NoticesEvent =
  | ClientNews
  | Extract<InactivityNews, { type: "INACTIVITY.WARNED" | "INACTIVITY.EXTENDED" }>
  | { type: "HOLD.TOLD"; leftMs: number }
  | Extract<HoldNews, { type: "HOLD.CLEARED" }>
  | Extract<AbsenceNews, { type: "ABSENCE.NOTICED" | "ABSENCE.ENDED" }>
  | { type: "RELAY.LOST" }
  | { type: "RELAY.FOUND" }
  | { type: "RELAY.ENDING"; leftMs: number }
  | { type: "KEYS.CHANGED"; what: string };

/** The one message this machine sends. */
export type NoticeDue = { type: "NOTICE.DUE"; notice: Notice; audience: Audience };

export interface NoticesInput {
  readonly owner: ActorRef<Snapshot<unknown>, NoticeDue>;
}

interface Context extends NoticesInput {
  readonly endsAtMs: number;
  readonly cause: ExpiryCause;
}

const everybody: Audience = { to: "all" };
const allBut = (client: ClientId): Audience => ({ to: "all but", client });
const only = (client: ClientId): Audience => ({ to: "only", client });

export const noticesMachine = setup({
  types: {
    input: {} as NoticesInput,
    context: {} as Context,
    events: {} as NoticesEvent,
  },
  guards: { isForGood: ({ context }) => context.cause === "hard cap" },
  actions: {
    tellAll: sendTo(
      ({ context }) => context.owner,
      (_, { notice }: { notice: Notice }) => ({
        type: "NOTICE.DUE",
        notice,
        audience: everybody,
      }),
    ),
    tellOthers: sendTo(
      ({ context }) => context.owner,
      (_, { notice, client }: { notice: Notice; client: ClientId }) => ({
        type: "NOTICE.DUE",
        notice,
        audience: allBut(client),
      }),
    ),
    tellNewcomer: sendTo(
      ({ context }) => context.owner,
      ({ context }, { client, atMs }: { client: ClientId; atMs: number }): NoticeDue => ({
        type: "NOTICE.DUE",
        notice: { about: "expiry near", leftMs: context.endsAtMs - atMs, cause: context.cause },
        audience: only(client),
      }),
    ),
    tellKept: sendTo(
      ({ context }) => context.owner,
      (_, { leftMs }: { leftMs: number }): NoticeDue => ({
        type: "NOTICE.DUE",
        notice: { about: "relay ending", leftMs, isKept: true },
        audience: { to: "kept" },
      }),
    ),
    tellCut: sendTo(
      ({ context }) => context.owner,
      (_, { leftMs }: { leftMs: number }): NoticeDue => ({
        type: "NOTICE.DUE",
        notice: { about: "relay ending", leftMs, isKept: false },
        audience: { to: "cut" },
      }),
    ),
    tellReturned: sendTo(
      ({ context }) => context.owner,
      (_, { client, outageMs }: { client: ClientId; outageMs: number }): NoticeDue => ({
        type: "NOTICE.DUE",
        notice: { about: "link back", outageMs },
        audience: only(client),
      }),
    ),
    remember: assign(
      (_, { leftMs, cause, atMs }: { leftMs: number; cause: ExpiryCause; atMs: number }) => ({
        endsAtMs: atMs + leftMs,
        cause,
      }),
    ),
  },
}).createMachine({
  id: "notices",
  context: ({ input }) => ({ ...input, endsAtMs: 0, cause: "inactivity" }),
  initial: "calm",
  on: {
    "CLIENT.JOINED": {
      actions: {
        type: "tellOthers",
        params: ({ event }) => ({
          notice: { about: "client joined", who: event.who },
          client: event.client,
        }),
      },
    },
    "CLIENT.LEFT": {
      actions: {
        type: "tellOthers",
        params: ({ event }) => ({
          notice: { about: "client left", who: event.who },
          client: event.client,
        }),
      },
    },
    "CLIENT.LOST": {
      actions: {
        type: "tellOthers",
        params: ({ event }) => ({
          notice: { about: "client lost", who: event.who },
          client: event.client,
        }),
      },
    },
    "ABSENCE.NOTICED": {
      actions: {
        type: "tellOthers",
        params: ({ event }) => ({
          notice: { about: "client away", who: event.who },
          client: event.client,
        }),
      },
    },
    "ABSENCE.ENDED": {
      actions: [
        {
          type: "tellOthers",
          params: ({ event }) => ({
            notice: { about: "client back", who: event.who },
            client: event.client,
          }),
        },
        { type: "tellReturned", params: ({ event }) => event },
      ],
    },
    "HOLD.TOLD": {
      actions: {
        type: "tellAll",
        params: ({ event }) => ({ notice: { about: "hold set", leftMs: event.leftMs } }),
      },
    },
    "HOLD.CLEARED": {
      actions: { type: "tellAll", params: { notice: { about: "hold cleared" } } },
    },
    "RELAY.LOST": { actions: { type: "tellAll", params: { notice: { about: "relay lost" } } } },
    "RELAY.FOUND": { actions: { type: "tellAll", params: { notice: { about: "relay found" } } } },
    "RELAY.ENDING": {
      actions: [
        { type: "tellKept", params: ({ event }) => event },
        { type: "tellCut", params: ({ event }) => event },
      ],
    },
    "KEYS.CHANGED": {
      actions: {
        type: "tellAll",
        params: ({ event }) => ({ notice: { about: "keys changed", what: event.what } }),
      },
    },
    "INACTIVITY.WARNED": {
      target: ".warned",
      actions: [
        { type: "remember", params: ({ event }) => event },
        {
          type: "tellAll",
          params: ({ event: { leftMs, cause } }) => ({
            notice: { about: "expiry near", leftMs, cause },
          }),
        },
      ],
    },
  },
  states: {
    calm: {},
    warned: {
      description: "A warning stands.",
      on: {
        "INACTIVITY.EXTENDED": {
          target: "calm",
          actions: {
            type: "tellAll",
            params: ({ event }) => ({
              notice: { about: "expiry extended", leftMs: event.leftMs },
            }),
          },
        },
        "CLIENT.JOINED": {
          description: "A login puts off every end but the hard cap, so only that is still true.",
          guard: "isForGood",
          actions: [
            {
              type: "tellOthers",
              params: ({ event }) => ({
                notice: { about: "client joined", who: event.who },
                client: event.client,
              }),
            },
            { type: "tellNewcomer", params: ({ event }) => event },
          ],
        },
      },
    },
  },
});

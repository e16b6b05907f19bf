/**
 * Absence: one client whose link broke and who may come back to the very same shell. For a moment
 * nobody is told; then the others are; and after its grace it is given up. It knows no stream.
 */
import { type ActorRef, type Snapshot, sendTo, setup } from "xstate";
import type { ClientId } from "./vocabulary.ts";

/** A relay that restarts, or another network: shorter than that, nobody needs to know. */
export const unnoticedMs = 2_000;

/** It has a link again, after so long. */
export type AbsenceEvent = { type: "CLIENT.RESUMED"; outageMs: number };

/** What this machine sends to its owner. */
export type AbsenceNews =
  | { type: "ABSENCE.NOTICED"; client: ClientId; who: string }
  | { type: "ABSENCE.ENDED"; client: ClientId; who: string; outageMs: number }
  | { type: "ABSENCE.EXPIRED"; client: ClientId };

export interface AbsenceInput {
  readonly owner: ActorRef<Snapshot<unknown>, AbsenceNews>;
  readonly client: ClientId;
  readonly who: string;
  readonly graceMs: number;
}

export const absenceMachine = setup({
  types: {
    input: {} as AbsenceInput,
    context: {} as AbsenceInput,
    events: {} as AbsenceEvent,
  },
  actions: {
    tellNoticed: sendTo(
      ({ context }) => context.owner,
      ({ context: { client, who } }): AbsenceNews => ({ type: "ABSENCE.NOTICED", client, who }),
    ),
    tellEnded: sendTo(
      ({ context }) => context.owner,
      ({ context: { client, who } }, { outageMs }: { outageMs: number }): AbsenceNews => ({
        type: "ABSENCE.ENDED",
        client,
        who,
        outageMs,
      }),
    ),
    tellExpired: sendTo(
      ({ context }) => context.owner,
      ({ context: { client } }): AbsenceNews => ({ type: "ABSENCE.EXPIRED", client }),
    ),
  },
  delays: {
    unnoticed: unnoticedMs,
    grace: ({ context }) => context.graceMs,
  },
}).createMachine({
  id: "absence",
  context: ({ input }) => input,
  initial: "away",
  states: {
    away: {
      after: { grace: { target: "over", actions: "tellExpired" } },
      initial: "unnoticed",
      states: {
        unnoticed: {
          after: { unnoticed: { target: "noticed", actions: "tellNoticed" } },
          on: { "CLIENT.RESUMED": "#absence.over" },
        },
        noticed: {
          on: {
            "CLIENT.RESUMED": {
              target: "#absence.over",
              actions: { type: "tellEnded", params: ({ event }) => event },
            },
          },
        },
      },
    },
    over: { type: "final" },
  },
});

/**
 * Hold: is the `.hold` file there?
 *
 * It is told what was seen of the file, and believes that it has gone only after a moment, since
 * editors save by rename. What a hold means for the session is not its business.
 */
import { type ActorRef, assign, type Snapshot, sendTo, setup } from "xstate";

export type HoldEvent =
  /** Seen for the first time, or with another mtime than before. */
  { type: "FILE.SEEN"; aheadMs: number; atMs: number } | { type: "FILE.GONE"; atMs: number };

/** The messages this machine sends: set or touched, and cleared. */
export type HoldNews =
  | { type: "HOLD.SET"; aheadMs: number; atMs: number }
  | { type: "HOLD.CLEARED"; atMs: number };

export interface HoldInput {
  readonly owner: ActorRef<Snapshot<unknown>, HoldNews>;
}

/** How long a file may be away before it is believed to be gone. */
const settleMs = 500;

export const holdMachine = setup({
  types: {
    input: {} as HoldInput,
    context: {} as HoldInput & { readonly goneAtMs: number },
    events: {} as HoldEvent,
  },
  delays: { settle: settleMs },
  actions: {
    tellSet: sendTo(
      ({ context }) => context.owner,
      (_, { aheadMs, atMs }: { aheadMs: number; atMs: number }) => ({
        type: "HOLD.SET",
        aheadMs,
        atMs,
      }),
    ),
    noteGone: assign({ goneAtMs: (_, { atMs }: { atMs: number }) => atMs }),
    tellCleared: sendTo(
      ({ context }) => context.owner,
      ({ context }) => ({ type: "HOLD.CLEARED", atMs: context.goneAtMs + settleMs }),
    ),
  },
}).createMachine({
  id: "hold",
  context: ({ input }) => ({ ...input, goneAtMs: 0 }),
  initial: "absent",
  states: {
    absent: {
      on: {
        "FILE.SEEN": {
          target: "present",
          actions: { type: "tellSet", params: ({ event }) => event },
        },
      },
    },
    present: {
      on: {
        "FILE.SEEN": { actions: { type: "tellSet", params: ({ event }) => event } },
        "FILE.GONE": {
          target: "vanishing",
          actions: { type: "noteGone", params: ({ event }) => event },
        },
      },
    },
    vanishing: {
      description: "An editor that saves by rename removes the file for a moment.",
      after: { settle: { target: "absent", actions: "tellCleared" } },
      on: {
        "FILE.SEEN": {
          target: "present",
          actions: { type: "tellSet", params: ({ event }) => event },
        },
      },
    },
  },
});

/**
 * Redial: how the client's end of a stream looks for its next link: at once, then more slowly, for as
 * long as it is allowed; or while the old one still stands, when it was told that it will be cut. It
 * knows no socket and no person; what one try does is somebody else's business.
 */
import { assign, emit, fromPromise, setup } from "xstate";

/** Shorter than that, nobody needs to know. */
export const unnoticedMs = 2_000;
/** Tries that come fast, the next twice as late as the last. */
const fastTries = 6;
const firstMs = 100;
/** Then one in so long, at a moment of its own: a whole office has lost its links at once. */
const turnMs = 4_500;
/** A link that will be cut is replaced at leisure. */
const moveAgainMs = 5_000;
/** After ssh has left, to say so to the agent. */
const partingMs = 10_000;

/** What came of one try. `jitter` is a random number from 0 to 1, drawn outside. */
export type Redialled = { readonly jitter: number } & (
  | { readonly kind: "attached" }
  | { readonly kind: "failed"; readonly why: string }
  /** No other try would do better; where it ended, since there is no agent any more. */
  | { readonly kind: "refused" | "ended"; readonly why: string }
);

export type RedialEvent =
  | { type: "LINK.LOST" }
  /** The link will be cut, and another would do. */
  | { type: "MOVE.ASKED" }
  /** The machine has slept, or has another network: what was waited for is not worth it any more. */
  | { type: "WOKE" }
  /** Whoever is on this side has ended. */
  | { type: "NEAR.ENDED" };

export type RedialEmitted = { type: "lost" } | { type: "resumed" };

/** How it ended: no link was found in time, somebody said no, the agent is over, or this side left. */
export type RedialEnding =
  | { readonly kind: "expired"; readonly why: string }
  | { readonly kind: "refused" | "ended"; readonly why: string }
  | { readonly kind: "parted" };

export interface RedialInput {
  /** How long the stream may be without a link. */
  readonly graceMs: number;
  readonly jitter: number;
}

interface Context extends RedialInput {
  readonly failures: number;
  readonly isTold: boolean;
  readonly why: string;
  readonly ending: RedialEnding;
}

/** What is waited before the next try. */
export function redialMs(failures: number, jitter: number): number {
  if (failures <= fastTries) return jitter * firstMs * 2 ** (failures - 1);
  return failures === fastTries + 1 ? jitter * turnMs : turnMs;
}

export const redialMachine = setup({
  types: {
    input: {} as RedialInput,
    context: {} as Context,
    events: {} as RedialEvent,
    emitted: {} as RedialEmitted,
    output: {} as RedialEnding,
  },
  actors: {
    /** Tries once. Resolves in every case; a rejection is a fault of the program. */
    dial: fromPromise<Redialled>(() => Promise.reject(new Error("redial: no dial was provided"))),
  },
  guards: {
    isAttached: (_, { output }: { output: Redialled }) => output.kind === "attached",
    isFinal: (_, { output }: { output: Redialled }) =>
      output.kind === "refused" || output.kind === "ended",
    isTold: ({ context }) => context.isTold,
  },
  actions: {
    noteFailure: assign(({ context }, { output }: { output: Redialled }) => ({
      failures: context.failures + 1,
      jitter: output.jitter,
      why: "why" in output ? output.why : context.why,
    })),
    noteFresh: assign({ failures: 0 }),
    noteExpiry: assign(({ context }) => ({
      ending: { kind: "expired", why: context.why } as const,
    })),
    noteRefusal: assign(({ context }, { output }: { output: Redialled }) => ({
      ending: output.kind === "refused" || output.kind === "ended" ? output : context.ending,
    })),
    tellLost: emit({ type: "lost" }),
    noteTold: assign({ isTold: true }),
    noteUntold: assign({ isTold: false, failures: 0 }),
    tellResumed: emit({ type: "resumed" }),
  },
  delays: {
    grace: ({ context }) => context.graceMs,
    unnoticed: unnoticedMs,
    pause: ({ context }) => redialMs(context.failures, context.jitter),
    moveAgain: moveAgainMs,
    parting: partingMs,
  },
}).createMachine({
  id: "redial",
  context: ({ input }) => ({
    ...input,
    failures: 0,
    isTold: false,
    why: "no answer",
    ending: { kind: "parted" },
  }),
  output: ({ context }) => context.ending,
  initial: "live",
  states: {
    live: {
      description: "The stream has a link.",
      on: {
        "LINK.LOST": "detached",
        "MOVE.ASKED": "moving",
        "NEAR.ENDED": "leaving",
      },
    },
    moving: {
      description: "It has one that will be cut.",
      initial: "dialling",
      on: {
        "LINK.LOST": "detached",
        "NEAR.ENDED": "leaving",
      },
      states: {
        dialling: {
          invoke: {
            id: "move",
            src: "dial",
            onDone: [
              {
                guard: { type: "isAttached", params: ({ event }) => event },
                target: "#redial.live",
              },
              { target: "pausing" },
            ],
          },
        },
        pausing: { after: { moveAgain: "dialling" } },
      },
    },
    leaving: {
      description: "This side has said that it leaves; that is all when its link ends in order.",
      on: { "LINK.LOST": "parting" },
    },
    detached: {
      description: "It has none.",
      after: {
        unnoticed: { actions: ["noteTold", "tellLost"] },
        grace: { target: "over", actions: "noteExpiry" },
      },
      on: { "NEAR.ENDED": "parting" },
      exit: "noteUntold",
      initial: "dialling",
      states: {
        dialling: {
          invoke: {
            id: "dial",
            src: "dial",
            onDone: [
              {
                guard: { type: "isAttached", params: ({ event }) => event },
                target: "attached",
              },
              {
                guard: { type: "isFinal", params: ({ event }) => event },
                target: "#redial.over",
                actions: { type: "noteRefusal", params: ({ event }) => event },
              },
              {
                target: "pausing",
                actions: { type: "noteFailure", params: ({ event }) => event },
              },
            ],
          },
          on: { WOKE: { target: "dialling", reenter: true, actions: "noteFresh" } },
        },
        pausing: {
          after: { pause: "dialling" },
          on: { WOKE: { target: "dialling", actions: "noteFresh" } },
        },
        attached: {
          always: [
            { guard: "isTold", target: "#redial.live", actions: "tellResumed" },
            { target: "#redial.live" },
          ],
        },
      },
    },
    parting: {
      description: "This side has ended, and the other does not know.",
      after: { parting: "over" },
      initial: "dialling",
      states: {
        dialling: {
          invoke: {
            id: "part",
            src: "dial",
            onDone: [
              {
                guard: { type: "isAttached", params: ({ event }) => event },
                target: "#redial.leaving",
              },
              { guard: { type: "isFinal", params: ({ event }) => event }, target: "#redial.over" },
              {
                target: "pausing",
                actions: { type: "noteFailure", params: ({ event }) => event },
              },
            ],
          },
        },
        pausing: { after: { pause: "dialling" } },
      },
    },
    over: { type: "final" },
  },
});

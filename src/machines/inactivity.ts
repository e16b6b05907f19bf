/**
 * Inactivity: when does an agent give up, and when does it warn before?
 *
 * Knows nothing of ssh or files, and has no clock: each event says when it happened, and a delay
 * that passed says how long it was. It tells its owner when the deadline moved, when to warn, and
 * when a warning no longer stands. Its end, the final state, is the expiry itself.
 */
import { type ActorRef, assign, type Snapshot, sendTo, setup } from "xstate";
import type { ExpiryCause } from "./vocabulary.ts";

/** The messages this machine sends. */
export type InactivityNews =
  | { type: "INACTIVITY.WARNED"; leftMs: number; cause: ExpiryCause; atMs: number }
  | { type: "INACTIVITY.EXTENDED"; leftMs: number }
  | { type: "INACTIVITY.MOVED"; deadlineMs: number };

/** All `atMs` are readings of one clock that never jumps. */
export type InactivityEvent =
  | { type: "ACTIVITY"; atMs: number }
  /** The hold file's mtime, counted from the moment of looking; negative for the past. */
  | { type: "HOLD.SET"; aheadMs: number; atMs: number }
  | { type: "HOLD.CLEARED"; atMs: number }
  | { type: "TIMEOUT.SET"; timeoutMs: number; atMs: number };

export interface InactivityInput {
  readonly owner: ActorRef<Snapshot<unknown>, InactivityNews>;
  readonly atMs: number;
  /** Silence that ends the session. */
  readonly timeoutMs: number;
  /** Warn when this much time is left, largest first; marks that are not below the timeout don't count. */
  readonly warnAtMs: readonly number[];
  /** Nothing goes on after this moment. */
  readonly capAtMs: number | null;
}

interface Context extends InactivityInput {
  readonly lastMs: number;
  readonly holdMs: number;
  /** The last moment that is known to have come. */
  readonly nowMs: number;
  /** Warnings given, or passed over, for the present deadline. */
  readonly given: number;
  /** Does a warning stand that somebody has read? */
  readonly stands: boolean;
}

/** The longest delay that is asked of a clock at once: a Node timer holds 2³¹−1 ms. */
export const sliceMs = 24 * 60 * 60_000;

type Times = Pick<Context, "lastMs" | "holdMs" | "timeoutMs" | "capAtMs">;

/** The later of activity and hold, plus the timeout; never after the cap. */
export function deadlineOf({ lastMs, holdMs, timeoutMs, capAtMs }: Times): number {
  return Math.min(Math.max(lastMs, holdMs) + timeoutMs, capAtMs ?? Number.POSITIVE_INFINITY);
}

export function causeOf(times: Times): ExpiryCause {
  return deadlineOf(times) === times.capAtMs ? "hard cap" : "inactivity";
}

/** The marks that count: largest first, all below the timeout. */
export function marksOf({
  warnAtMs,
  timeoutMs,
}: Pick<Context, "warnAtMs" | "timeoutMs">): number[] {
  return warnAtMs.filter((mark) => mark < timeoutMs);
}

/** How long to wait for the next mark: a warning, or the end. Not sliced. */
export function untilNextMark(context: Context): number {
  const left = marksOf(context)[context.given] ?? 0;
  return Math.max(0, deadlineOf(context) - left - context.nowMs);
}

/** How many marks already lie behind `nowMs`, so that no warning is given for them. */
export function passedOver(context: Omit<Context, "given" | "stands">): number {
  const leftMs = deadlineOf(context) - context.nowMs;
  return marksOf(context).filter((mark) => mark >= leftMs).length;
}

function after(context: Context, event: InactivityEvent): Context {
  const { atMs } = event;
  const base = { ...context, lastMs: atMs, nowMs: atMs };
  const times = {
    ...base,
    ...(event.type === "HOLD.SET" && { holdMs: atMs + event.aheadMs }),
    ...(event.type === "HOLD.CLEARED" && { holdMs: Number.NEGATIVE_INFINITY }),
    ...(event.type === "TIMEOUT.SET" && { timeoutMs: event.timeoutMs }),
  };
  const isMoved = deadlineOf(times) !== deadlineOf(context);
  // Another timeout has other marks, also where the cap holds the deadline in its place.
  const areNew = isMoved || times.timeoutMs !== context.timeoutMs;
  return {
    ...times,
    given: areNew ? passedOver(times) : context.given,
    stands: context.stands && !isMoved,
  };
}

export const inactivityMachine = setup({
  types: {
    input: {} as InactivityInput,
    context: {} as Context,
    events: {} as InactivityEvent,
    output: {} as ExpiryCause,
  },
  delays: { untilNextMark: ({ context }) => Math.min(untilNextMark(context), sliceMs) },
  guards: {
    isFarAway: ({ context }) => untilNextMark(context) > sliceMs,
    hasWarningLeft: ({ context }) => context.given < marksOf(context).length,
    endsWarning: ({ context }, event: InactivityEvent) =>
      context.stands && deadlineOf(after(context, event)) > deadlineOf(context),
  },
  actions: {
    passSlice: assign({ nowMs: ({ context }) => context.nowMs + sliceMs }),
    passMark: assign(({ context }) => ({
      nowMs: context.nowMs + untilNextMark(context),
      given: context.given + 1,
      stands: true,
    })),
    warnOwner: sendTo(
      ({ context }) => context.owner,
      ({ context }) => ({
        type: "INACTIVITY.WARNED",
        leftMs: marksOf(context)[context.given] ?? 0,
        cause: causeOf(context),
        atMs: context.nowMs + untilNextMark(context),
      }),
    ),
    takeIn: assign(({ context }, event: InactivityEvent) => after(context, event)),
    tellMoved: sendTo(
      ({ context }) => context.owner,
      ({ context }) => ({ type: "INACTIVITY.MOVED", deadlineMs: deadlineOf(context) }),
    ),
    tellExtended: sendTo(
      ({ context }) => context.owner,
      ({ context }) => ({
        type: "INACTIVITY.EXTENDED",
        leftMs: deadlineOf(context) - context.nowMs,
      }),
    ),
  },
}).createMachine({
  id: "inactivity",
  context: ({ input }) => {
    const times = {
      ...input,
      lastMs: input.atMs,
      nowMs: input.atMs,
      holdMs: Number.NEGATIVE_INFINITY,
    };
    return { ...times, given: passedOver(times), stands: false };
  },
  output: ({ context }) => causeOf(context),
  initial: "quiet",
  entry: "tellMoved",
  states: {
    quiet: {
      description: "Silent; waiting for the next mark.",
      after: {
        untilNextMark: [
          { guard: "isFarAway", target: "quiet", reenter: true, actions: "passSlice" },
          {
            guard: "hasWarningLeft",
            target: "quiet",
            reenter: true,
            actions: ["warnOwner", "passMark"],
          },
          { target: "expired" },
        ],
      },
      on: {
        "*": [
          {
            guard: { type: "endsWarning", params: ({ event }) => event },
            target: "quiet",
            reenter: true,
            actions: [
              { type: "takeIn", params: ({ event }) => event },
              "tellMoved",
              "tellExtended",
            ],
          },
          {
            target: "quiet",
            reenter: true,
            actions: [{ type: "takeIn", params: ({ event }) => event }, "tellMoved"],
          },
        ],
      },
    },
    expired: { type: "final" },
  },
});

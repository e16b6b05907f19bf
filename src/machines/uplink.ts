/**
 * Uplink: an agent's control link to the relay: dialling, online, backing off.
 *
 * Until it was online once it tries for a minute; after that it tries for as long as the agent
 * lives. A refusal ends it at once. It knows neither sockets nor why a link broke.
 */
import { assign, emit, fromPromise, setup } from "xstate";
import type { RendezvousId } from "./vocabulary.ts";

/** How long an agent tries to reach the relay for the first time. */
export const patienceMs = 60_000;

/** Why the relay, or the way to it, will never do. The names are error codes of the actors. */
export type RefusalCode =
  | "CONVERGE_TLS"
  | "CONVERGE_PLAIN"
  | "CONVERGE_VERSION"
  | "CONVERGE_REFUSED"
  | "CONVERGE_PROXY";

/** What came of one try to register. `jitter` is a random number from 0 to 1, drawn outside. */
export type Registered = { readonly jitter: number } & (
  | {
      readonly kind: "registered";
      readonly id: RendezvousId;
      readonly clientUrl: string;
      /** When the link breaks, the next is to be dialled at a moment within so long. */
      readonly spreadMs: number;
    }
  | {
      readonly kind: "refused";
      readonly code: RefusalCode;
      readonly why: string;
      /** By its own close code, and not by whatever else may answer in its place for a while. */
      readonly byRelay: boolean;
    }
  | { readonly kind: "unreachable"; readonly why: string }
);

export type UplinkEnding =
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly why: string }
  | { readonly kind: "unreachable"; readonly why: string };

export type UplinkEmitted =
  | { type: "registered"; id: RendezvousId; clientUrl: string; isFirst: boolean }
  | { type: "lost" }
  | { type: "retrying"; why: string };

export interface UplinkInput {
  readonly id: RendezvousId;
  /** How long to try before the first registration. */
  readonly patienceMs: number;
}

/** Somebody is in, or waited for; or nobody is. */
export type UplinkEvent = { type: "WANTED" } | { type: "UNWANTED" };

interface Context extends UplinkInput {
  readonly wasOnline: boolean;
  /** Tries that failed, and links that were lost, since a link last stood for a while. */
  readonly failures: number;
  readonly jitter: number;
  /** As the relay said when it was last reached. */
  readonly spreadMs: number;
  /** Whether somebody is in, or waited for. */
  readonly isWanted: boolean;
  readonly ending: UplinkEnding;
}

const firstMs = 500;
const mostMs = 30_000;
/** A link that stood for so long was a good one. Else a relay that takes and drops us would be redialled at once, for ever. */
const settledMs = 10_000;
/** The same while a client is in, or waited for: it goes on as soon as this link stands again. */
const mostWantedMs = 1_000;
const settledWantedMs = 1_000;

/** Half a second, doubling to half a minute; the upper half of each is jitter. */
export function backoffMs(failures: number, jitter: number): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.max(0, failures - 1));
  return full / 2 + (full / 2) * jitter;
}

/** What a link is waited for: many agents lose theirs at once, and are told to spread. */
function pauseMs({ failures, jitter, spreadMs, isWanted }: Context): number {
  const ms = Math.max(backoffMs(failures, jitter), failures === 1 ? jitter * spreadMs : 0);
  return isWanted ? Math.min(ms, (mostWantedMs * (1 + jitter)) / 2) : ms;
}

export const uplinkMachine = setup({
  types: {
    input: {} as UplinkInput,
    context: {} as Context,
    events: {} as UplinkEvent,
    emitted: {} as UplinkEmitted,
    output: {} as UplinkEnding,
  },
  actors: {
    /** Dials and registers. Resolves in every case; a rejection is a fault of the program. */
    register: fromPromise<Registered, { id: RendezvousId }>(() =>
      Promise.reject(new Error("uplink: no register was provided")),
    ),
    /** Resolves when the registered link is lost. */
    standing: fromPromise<void>(() => Promise.reject(new Error("uplink: no link was provided"))),
  },
  guards: {
    isRegistered: (_, { output }: { output: Registered }) => output.kind === "registered",
    isRefused: ({ context }, { output }: { output: Registered }) =>
      output.kind === "refused" && (output.byRelay || !context.wasOnline),
    wasNeverOnline: ({ context }) => !context.wasOnline,
  },
  actions: {
    noteOnline: assign(({ context }, { output }: { output: Registered }) => ({
      wasOnline: true,
      jitter: output.jitter,
      id: output.kind === "registered" ? output.id : context.id,
      spreadMs: output.kind === "registered" ? output.spreadMs : context.spreadMs,
    })),
    noteRefusal: assign(({ context }, { output }: { output: Registered }) => ({
      ending: output.kind === "refused" ? output : context.ending,
    })),
    noteFailure: assign(({ context }, { output }: { output: Registered }) => ({
      failures: context.failures + 1,
      jitter: output.jitter,
      ending: {
        kind: "unreachable" as const,
        why: output.kind === "registered" ? "" : output.why,
      },
    })),
    noteWanted: assign({ isWanted: true }),
    noteUnwanted: assign({ isWanted: false }),
    noteSettled: assign({ failures: 0 }),
    noteLost: assign({ failures: ({ context }) => context.failures + 1 }),
    publishRegistered: emit(({ context }, { output }: { output: Registered }) => ({
      type: "registered",
      id: output.kind === "registered" ? output.id : context.id,
      clientUrl: output.kind === "registered" ? output.clientUrl : "",
      isFirst: !context.wasOnline,
    })),
    publishRetry: emit((_, { output }: { output: Registered }) => ({
      type: "retrying",
      why: output.kind === "registered" ? "" : output.why,
    })),
    publishLost: emit({ type: "lost" }),
  },
  delays: {
    settled: ({ context }) => (context.isWanted ? settledWantedMs : settledMs),
    patience: ({ context }) => context.patienceMs,
    backoff: ({ context }) => pauseMs(context),
  },
}).createMachine({
  id: "uplink",
  context: ({ input }) => ({
    ...input,
    wasOnline: false,
    failures: 0,
    jitter: 0,
    spreadMs: 0,
    isWanted: false,
    ending: { kind: "unreachable", why: "no answer" },
  }),
  output: ({ context }) => context.ending,
  initial: "open",
  on: {
    WANTED: { actions: "noteWanted" },
    UNWANTED: { actions: "noteUnwanted" },
  },
  states: {
    open: {
      after: { patience: { guard: "wasNeverOnline", target: "ended" } },
      initial: "dialling",
      states: {
        dialling: {
          invoke: {
            id: "register",
            src: "register",
            input: ({ context }) => ({ id: context.id }),
            onDone: [
              {
                guard: { type: "isRegistered", params: ({ event }) => event },
                target: "online",
                actions: [
                  { type: "publishRegistered", params: ({ event }) => event },
                  { type: "noteOnline", params: ({ event }) => event },
                ],
              },
              {
                guard: { type: "isRefused", params: ({ event }) => event },
                target: "#uplink.ended",
                actions: { type: "noteRefusal", params: ({ event }) => event },
              },
              {
                target: "backingOff",
                actions: [
                  { type: "noteFailure", params: ({ event }) => event },
                  { type: "publishRetry", params: ({ event }) => event },
                ],
              },
            ],
          },
        },
        online: {
          invoke: {
            id: "standing",
            src: "standing",
            onDone: { target: "backingOff", actions: ["noteLost", "publishLost"] },
          },
          after: { settled: { actions: "noteSettled" } },
        },
        backingOff: { after: { backoff: "dialling" } },
      },
    },
    ended: { type: "final" },
  },
});

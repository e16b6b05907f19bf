/**
 * Relay events: what the relay's machine takes and what it tells, as plain data. What it does with
 * the one and when it says the other is in `relay.ts`.
 */
import type { PairingContext, PairingEnded } from "./pairing.ts";
import type { AgentEntry, Registration } from "./registry.ts";
import type {
  AgentOutcome,
  AgentStatus,
  ChannelKind,
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
  /** Whether it was joined before, and lost its link. */
  readonly isAgain: boolean;
  readonly atMs: number;
}

export interface Report {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly status: AgentStatus;
  readonly atMs: number;
}

export interface ClientNote {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly report: ClientReport;
}

export interface Loss {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly atMs: number;
  /** Whether it was the relay that closed the link, as it ends. */
  readonly byRelay: boolean;
}

export interface Leave {
  readonly id: RendezvousId;
  readonly control: LinkId;
  readonly atMs: number;
}

export interface SpliceEnd {
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

/** What happened, as it happened; what a pairing goes through is told by its own actions. */
export type RelayNews =
  | {
      type: "AGENT.CAME";
      registration: Registration;
      id: RendezvousId;
      /** Who had the id until now, here or lost. */
      former: AgentEntry | null;
    }
  | { type: "AGENT.TURNED.AWAY"; registration: Registration }
  /** Its time on one control link is over. */
  | { type: "AGENT.WENT"; entry: AgentEntry; outcome: AgentOutcome }
  | { type: "AGENT.WARNED"; id: RendezvousId; times: number }
  | { type: "AGENT.HELD"; id: RendezvousId }
  | { type: "CLIENT.CAME"; knock: Knock }
  /** What its agent had not said of it before. */
  | {
      type: "CLIENT.SEEN";
      pairing: PairingContext;
      login: ClientReport["login"];
      kinds: readonly ChannelKind[];
    }
  /** Its link broke, and its agent waits for it. */
  | { type: "CLIENT.DETACHED"; id: RendezvousId; report: ClientReport }
  /** It went on over this pairing's link; what it does was said of the one before. */
  | { type: "CLIENT.RESUMED"; pairing: PairingContext; report: ClientReport };

/** What a report says that the one before did not; null when that is nothing. */
export function seenOf(
  pairing: PairingContext,
  before: ClientReport | null,
): Extract<RelayNews, { type: "CLIENT.SEEN" | "CLIENT.RESUMED" }> | null {
  const { report } = pairing;
  if (!before && report?.resumes) return { type: "CLIENT.RESUMED", pairing, report };
  const login = before?.login ? null : (report?.login ?? null);
  const kinds = (report?.kinds ?? []).filter((kind) => !before?.kinds.includes(kind));
  return login || kinds.length > 0 ? { type: "CLIENT.SEEN", pairing, login, kinds } : null;
}

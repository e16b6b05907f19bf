/**
 * Vocabulary: the nouns that machines, actors and io share, as plain data.
 * No behaviour, no socket; a value of any of these types could be printed as a log line.
 */

/** The name under which an agent and its clients meet; 1–128 of `A-Z a-z 0-9 . _ -`. */
export type RendezvousId = string & { readonly __brand: "RendezvousId" };
/** One websocket. The socket itself stays in `io/relay/links.ts`. */
export type LinkId = string & { readonly __brand: "LinkId" };
/** A one-time word that joins an agent's dial-back to a pairing, and names the pairing ever after. */
export type Ticket = string & { readonly __brand: "Ticket" };
/** Whose an address is, as `holderOf` says: an IPv4 address, or the first half of an IPv6 one. */
export type Holder = string & { readonly __brand: "Holder" };
/** An agent's public identity key, base64. */
export type IdentityKey = string & { readonly __brand: "IdentityKey" };

/** What an agent says of itself when it registers. Every text was cleaned at the door. */
export interface AgentFacts {
  readonly host: string;
  readonly user: string;
  readonly os: string;
  readonly arch: string;
  readonly shell: string;
  readonly version: string;
  /** Fingerprint of its ssh host key, `SHA256:…`. */
  readonly fingerprint: string;
}

/** What the relay itself sees of a client. */
export interface ClientFacts {
  /** IP address, after trusted forwarded headers. */
  readonly address: string;
  /** What its side of the stream can do, in words that are only passed on. */
  readonly can: readonly string[];
}

export type ChannelKind = "shell" | "exec" | "sftp" | "forward";

/** What a blind relay can't see of one client, as its agent reports it. */
export interface ClientReport {
  readonly ticket: Ticket;
  readonly kinds: readonly ChannelKind[];
  /** The key that logged in; null before that. */
  readonly login: { readonly fingerprint: string; readonly comment: string } | null;
  /** The number of its stream, where that outlives its links; the rest is of such a stream only. */
  readonly stream?: number | undefined;
  /** How often it went on over another link. */
  readonly resumes?: number | undefined;
  /** How long it was away before the link that it has. */
  readonly outageMs?: number | undefined;
  /** How long it has been away; left out while it is there. */
  readonly detachedMs?: number | undefined;
  /** How long it has been in, and where it comes from: for a relay that never saw it. */
  readonly forMs?: number | undefined;
  readonly address?: string | undefined;
}

/** An agent's report on itself, sent on change and at most once a second. */
export interface AgentStatus {
  readonly state: "waiting" | "occupied" | "held" | "lost" | "lingering" | "ending";
  /** Until expiry, counted from the moment of sending, so that clocks need not agree. */
  readonly leftMs: number;
  readonly held: boolean;
  readonly clients: readonly ClientReport[];
  /** Warnings that were shown so far, each counted once however many terminals saw it. */
  readonly warnings?: number | undefined;
  /** With the state "ending", why. */
  readonly ending?: Ending["kind"] | undefined;
}

/** Bytes that passed a splice; counted while they flow, and anybody may look. */
export interface Counts {
  clientBytes: number;
  agentBytes: number;
  /** How often one side was made to wait since the other took its bytes too slowly. */
  pauses: number;
}

/** What passed, and who hung up first. */
export interface SpliceReport extends Readonly<Counts> {
  readonly endedBy: "client" | "agent" | "relay";
}

/** How a pairing finished. */
export type PairingOutcome =
  | { readonly kind: "served"; readonly report: SpliceReport }
  | { readonly kind: "agent silent" }
  | { readonly kind: "client gave up" }
  | { readonly kind: "no such rendezvous" }
  | { readonly kind: "broken" };

/** How the time of an agent on one control link finished. */
export const agentOutcomes = ["left", "lost", "superseded", "relay ended"] as const;
export type AgentOutcome = (typeof agentOutcomes)[number];

/** How an agent session finished. */
export type Ending =
  | { readonly kind: "last client left" }
  | { readonly kind: "inactivity" }
  | { readonly kind: "hard cap" }
  | { readonly kind: "interrupted" };

/** What a person is told in the terminal. Its words are chosen in `actors/words/sentences.ts`. */
export type Notice =
  | { readonly about: "expiry near"; readonly leftMs: number; readonly cause: ExpiryCause }
  | { readonly about: "expiry extended"; readonly leftMs: number }
  | {
      readonly about:
        | "client joined"
        | "client left"
        | "client lost"
        | "client away"
        | "client back";
      readonly who: string;
    }
  | { readonly about: "link back"; readonly outageMs: number }
  | { readonly about: "hold set"; readonly leftMs: number }
  | { readonly about: "hold cleared" }
  | { readonly about: "relay lost" }
  | { readonly about: "relay found" }
  /** `isKept` is said to those whose sessions outlive their links. */
  | { readonly about: "relay ending"; readonly leftMs: number; readonly isKept: boolean }
  | { readonly about: "keys changed"; readonly what: string }
  | { readonly about: "ending"; readonly ending: Ending };

/** Silence, or the hard cap that nothing extends. */
export type ExpiryCause = "inactivity" | "hard cap";

/** One authenticated ssh connection, by the name that its agent gave it. */
export type ClientId = string & { readonly __brand: "ClientId" };

/** Whose terminals show a notice. */
export type Audience =
  | { readonly to: "all" }
  | { readonly to: "all but"; readonly client: ClientId }
  | { readonly to: "only"; readonly client: ClientId }
  /** Those whose sessions outlive their links, and the others. */
  | { readonly to: "kept" | "cut" };

/**
 * Ports: the world as the actors know it. `io` implements them with sockets and files, a test
 * with arrays; no actor ever sees more.
 */
import type { Observable } from "rxjs";
import type { HoldEvent } from "../machines/hold.ts";
import type { ClientNews, LinkNews } from "../machines/notices.ts";
import type { PairingContext } from "../machines/pairing.ts";
import type { RelayEvent } from "../machines/relay-events.ts";
import type { Registered } from "../machines/uplink.ts";
import type {
  AgentStatus,
  Audience,
  ClientId,
  ClientReport,
  Ending,
  LinkId,
  RendezvousId,
  SpliceReport,
} from "../machines/vocabulary.ts";
import type { Meter } from "./activity.ts";
import type { RelayFact } from "./observe/facts.ts";

/** Facts for operators: nouns as fields, what happened in the past tense as the message. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The relay's doors and links. */
export interface RelayPorts {
  readonly log: Log;
  /** What comes in through the doors, checked and cleaned. */
  readonly arrivals: Observable<RelayEvent>;
  /** Writes a fact into the log and counts it. */
  record(fact: RelayFact): void;
  /** Tells an agent under which id it is registered. */
  welcome(control: LinkId, id: RendezvousId): void;
  /** Closes the control link of an agent that came back on a new one. */
  dismiss(control: LinkId): void;
  /** Closes a link in whose handling something was thrown. */
  drop(link: LinkId): void;
  /** No id could be given. */
  turnAway(control: LinkId): void;
  tellWaiting(client: LinkId, waitMs: number): void;
  /** Tells the client whom it found, and asks the agent to dial back. */
  summon(pairing: PairingContext, leftMs: number | null): void;
  /**
   * Whether both links were there to be joined; `ended` is called when both have hung up. Bytes never
   * come this way.
   */
  splice(client: LinkId, agent: LinkId, ended: (report: SpliceReport) => void): boolean;
  /** Closes what is left of a pairing's links, with the outcome's code. */
  hangUp(pairing: PairingContext): void;
  /** No more arrivals; agents are told how long what runs may go on, so that they tell people. */
  drain(leftMs: number): void;
}

/** A key that may log in. */
export interface MayLogIn {
  readonly comment: string;
  readonly fingerprint: string;
}

/** What the agent says on stdout; text for people or JSON for programs. */
export type AgentNews =
  | {
      event: "ready";
      id: RendezvousId;
      clientUrl: string;
      fingerprint: string;
      asked: RendezvousId;
      /** Who may log in, as the keys were at the start. */
      keys: readonly MayLogIn[];
      /** When it ends if nobody comes. */
      endsAt: string;
    }
  /** Everybody left, and it waits: for somebody to come back, or as long as it lingers. */
  | { event: "waiting"; why: "held" | "lost" | "lingering"; endsAt: string }
  | { event: "hold set" | "hold cleared" | "extended"; endsAt: string }
  | { event: "client joined" | "client left" | "client lost"; who: string }
  /** Its link broke or another took its place, and its shell goes on. */
  | { event: "client detached" | "client resumed"; who: string }
  | { event: "warning"; leftMs: number; cause: string }
  | { event: "relay lost"; why: string }
  | { event: "relay found" }
  /** `times` where it was said more than once since the last such news. */
  | { event: "relay ending"; leftMs: number; times?: number }
  | { event: "ended"; ending: Ending["kind"] };

/** The relay said that it ends, in how many milliseconds, and how often it said so. */
export interface RelayEnding {
  readonly leftMs: number;
  readonly times: number;
}

/** What a running agent can be asked. */
export interface AgentState {
  /** How much each activity gives. */
  readonly timeoutMs: number;
  /** How long somebody else is waited for when the last client has left. */
  readonly lingerMs: number;
  /** The id in use now, which may be another than the one that was asked for. */
  rendezvous(): RendezvousId;
  /** Until the end, if nothing happens. */
  leftMs(): number;
  isHeld(): boolean;
}

/** A line for terminals, and what their window's title becomes: "" is what it was, null no change. */
export interface Told {
  readonly text: string;
  readonly title: string | null;
}

/** The agent's ssh server, files and link to the relay. */
export interface AgentPorts {
  readonly log: Log;
  /** Called once, before anything else: whom sessions can ask how things stand. */
  begin(state: AgentState): void;
  readonly meter: Meter;
  /** Clients that logged in, left, or were lost; that lost a link, or went on over another. */
  readonly clients: Observable<ClientNews | LinkNews>;
  readonly holdFile: { readonly changes: Observable<HoldEvent>; look(): void };
  readonly keyChanges: Observable<string>;
  /** As they were when the ports were opened. */
  readonly keys: readonly MayLogIn[];
  /** At most one a second. */
  readonly relayEndings: Observable<RelayEnding>;
  register(id: RendezvousId): Promise<Registered>;
  /** Resolves when the registered link is lost. */
  standing(): Promise<void>;
  report(status: AgentStatus): void;
  reports(): ClientReport[];
  /** Ends a client that was waited for in vain. */
  giveUp(client: ClientId): void;
  /** Writes a line to terminals, past the meter: a notice is not activity. */
  tell(told: Told, audience: Audience): void;
  announce(news: AgentNews): void;
  /** Hangs up all sessions in order, with a last line on each terminal; resolves when nothing is left. */
  end(lastLine: string): Promise<void>;
}

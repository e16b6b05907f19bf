/**
 * Ports: the world as the actors know it. `io` implements them with sockets and files, a test
 * with arrays; no actor ever sees more.
 */
import type { Observable } from "rxjs";
import type { PairingContext } from "../machines/pairing.ts";
import type { RelayEvent } from "../machines/relay.ts";
import type { LinkId, RendezvousId, SpliceReport } from "../machines/vocabulary.ts";

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
  /** Tells an agent under which id it is registered. */
  welcome(control: LinkId, id: RendezvousId): void;
  /** Closes the control link of an agent that came back on a new one. */
  dismiss(control: LinkId): void;
  /** No id could be given. */
  turnAway(control: LinkId): void;
  tellWaiting(client: LinkId, waitMs: number): void;
  /** Tells the client whom it found, and asks the agent to dial back. */
  summon(pairing: PairingContext, leftMs: number | null): void;
  /** Resolves when either side has hung up; bytes never come this way. */
  splice(client: LinkId, agent: LinkId): Promise<SpliceReport>;
  /** Closes what is left of a pairing's links, with the outcome's code. */
  hangUp(pairing: PairingContext): void;
  /** No more arrivals; agents are told to go elsewhere or come back. */
  drain(): void;
}

/**
 * Carrier: what bears one ssh connection, as far as ssh has to know it: a byte stream, and how it
 * ends. What it is made of, and who dialled whom, is its maker's business.
 */
import type { Duplex } from "node:stream";
import type { Ticket } from "../../../machines/vocabulary.ts";

/** How a carrier that outlives its links stands. */
export interface Standing {
  /** Its number among those of this agent, from 1. */
  readonly stream: number;
  /** Since when it has no link, by the clock; null while it has one. */
  readonly awayAtMs: number | null;
  /** How often it went on over another link. */
  readonly resumes: number;
  /** How long it had none before the one that it has. */
  readonly outageMs: number;
}

export interface Carrier {
  /** Ends with the carrier, and the carrier with it. */
  readonly stream: Duplex;
  /** Nothing comes and nothing goes any more. */
  readonly isOver: boolean;
  /** The relay's name for the client it bears; of the last link, where there were several. */
  readonly ticket: Ticket;
  /** Where the client comes from, as the relay says; by the last link too. */
  readonly address: string;
  /** Null for one that ends with its link. */
  readonly standing: Standing | null;
  /**
   * Somebody has logged in. From now on it outlives its links, if it can, and goes on from addresses
   * only that may; and nobody keeps what the stream hands out, which may be the same memory each time.
   */
  keep(mayComeFrom: (address: string) => boolean): void;
  /** Ends it in order, since the agent goes away; what was written still goes out. */
  end(): void;
  /** Ends it now. */
  cut(): void;
  /** Calls `act` when it is over; at once is never. */
  onceOver(act: () => void): void;
  /** Calls `act` whenever its link was lost, or another one took its place. */
  onTurn(act: () => void): void;
}

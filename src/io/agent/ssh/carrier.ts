/**
 * Carrier: what bears one ssh connection, as far as ssh has to know it: a byte stream, and how it
 * ends. What it is made of, and who dialled whom, is its maker's business.
 */
import type { Duplex } from "node:stream";
import type { Ticket } from "../../../machines/vocabulary.ts";

export interface Carrier {
  /** Ends with the carrier, and the carrier with it. */
  readonly stream: Duplex;
  /** Nothing comes and nothing goes any more. */
  readonly isOver: boolean;
  /** The relay's name for the client it bears. */
  readonly ticket: Ticket;
  /** Where the client comes from, as the relay says. */
  readonly address: string;
  /** To be called once nobody keeps what the stream hands out: it may be the same memory each time. */
  readInPlace(): void;
  /** Ends it in order, since the agent goes away; what was written still goes out. */
  end(): void;
  /** Ends it now. */
  cut(): void;
  /** Calls `act` when it is over; at once is never. */
  onceOver(act: () => void): void;
}

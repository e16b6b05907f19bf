/**
 * Visitor: one ssh connection of one client, from its link to its end, as the ssh server keeps it.
 */
import type { Duplex } from "node:stream";
import type { Connection } from "ssh2";
import type { Clock } from "../../../actors/clock.ts";
import type { ChannelKind, ClientId, ClientReport, Ticket } from "../../../machines/vocabulary.ts";
import { closeCodes } from "../../protocol/wire.ts";
import { type DataLink, shut } from "../../websocket/link.ts";
import type { AuthorizedKey } from "../keys/authorized-keys.ts";
import type { RunningSession } from "./session.ts";

/** At the agent's end, what a client gets to leave by itself. */
const leaveMs = 1_000;

/** A dialled-back link, open and paused, and its bytes. */
export interface Arrival {
  readonly link: DataLink;
  readonly stream: Duplex;
  /** Called once nobody keeps what the stream hands out. */
  readonly readInPlace: () => void;
  readonly ticket: Ticket;
  readonly address: string;
}

export interface Visitor extends Arrival {
  readonly id: ClientId;
  connection: Connection | null;
  login: AuthorizedKey | null;
  readonly kinds: Set<ChannelKind>;
  readonly running: Set<RunningSession>;
}

/** How other people see a client: the key's comment if it has one, and where it comes from. */
export function whoIs({ address }: Visitor, key: AuthorizedKey): string {
  return `${key.comment || key.fingerprint} from ${address}`;
}

/** What the relay, which is blind to it, is told of a client. */
export function reportOf({ ticket, kinds, login }: Visitor): ClientReport {
  return {
    ticket,
    kinds: [...kinds],
    login: login && { fingerprint: login.fingerprint, comment: login.comment },
  };
}

/**
 * Lets the channels close and the client leave by itself, as ssh does after its last channel: a
 * DISCONNECT in the same breath would make it forget the exit status. Never waits for long.
 */
export function dismiss(
  { connection, link, running, kinds }: Visitor,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve) => {
    const timers = new Set<unknown>();
    const later = (ms: number, act: () => void): void => {
      const timer = clock.setTimeout(() => {
        timers.delete(timer);
        act();
      }, ms);
      timers.add(timer);
    };
    link.once("close", () => {
      for (const timer of timers) clock.clearTimeout(timer);
      resolve();
    });
    if (link.readyState === link.CLOSED) return resolve();
    const part = (): void => {
      if (connection) connection.end();
      else shut(link, clock, closeCodes.goingAway);
    };
    const settle = (): void => {
      if (running.size > 0) later(20, settle);
      else later(kinds.size > 0 ? leaveMs : 0, part);
    };
    settle();
    later(3 * leaveMs, () => link.terminate());
  });
}

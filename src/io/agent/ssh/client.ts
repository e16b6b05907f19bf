/**
 * Client: one ssh connection as its server knows it: who it is, what it has begun, and how it stands
 * with its links. It decides nothing.
 */
import type { Connection } from "ssh2";
import type { ChannelKind, ClientId, ClientReport } from "../../../machines/vocabulary.ts";
import type { AuthorizedKey } from "../keys/authorized-keys.ts";
import type { Carrier } from "./carrier.ts";
import type { Forwarding } from "./forwarding.ts";
import { type Attempts, openAttempts } from "./login.ts";
import type { RunningSession } from "./session.ts";

export interface Client {
  readonly id: ClientId;
  readonly carrier: Carrier;
  /** What the client says it is (RFC 4253 4.2), once it has. */
  software: string;
  /** Null before the client has said what it speaks, and after the end. */
  connection: Connection | null;
  /** Null until it has logged in. */
  login: AuthorizedKey | null;
  readonly attempts: Attempts;
  readonly kinds: Set<ChannelKind>;
  readonly running: Set<RunningSession>;
  channels: number;
  hadChannels: boolean;
  /** Something went wrong that ended it. */
  isBroken: boolean;
  endedInOrder: boolean;
  forwarding: Forwarding | null;
  /** When it logged in, by the clock. */
  joinedAtMs: number;
}

export function newClient(id: ClientId, carrier: Carrier): Client {
  return {
    id,
    carrier,
    software: "",
    connection: null,
    login: null,
    attempts: openAttempts(),
    kinds: new Set(),
    running: new Set(),
    channels: 0,
    hadChannels: false,
    isBroken: false,
    endedInOrder: false,
    forwarding: null,
    joinedAtMs: 0,
  };
}

/** How other people see a client: the key's comment if it has one, and where it comes from. */
export function whoIs({ carrier }: Client, key: AuthorizedKey): string {
  return `${key.comment || key.fingerprint} from ${carrier.address}`;
}

/** What the relay, which is blind to it, is told of a client. */
export function reportOf(client: Client, nowMs: number): ClientReport {
  const { carrier, kinds, login } = client;
  const { standing } = carrier;
  const away = standing?.awayAtMs ?? null;
  return {
    ticket: carrier.ticket,
    kinds: [...kinds],
    login: login && { fingerprint: login.fingerprint, comment: login.comment },
    ...(standing && {
      stream: standing.stream,
      resumes: standing.resumes,
      outageMs: standing.outageMs,
      forMs: Math.round(nowMs - client.joinedAtMs),
      address: carrier.address,
      ...(away !== null && { detachedMs: Math.round(nowMs - away) }),
    }),
  };
}

/**
 * Facts: what can happen at a relay, as plain data.
 *
 * A fact is one line in the log and one count in the metrics, so the two cannot differ. Nothing of
 * any session's content is ever in one.
 */
import type {
  AgentFacts,
  AgentOutcome,
  ChannelKind,
  ClientReport,
  Ending,
  LinkId,
  PairingOutcome,
  RendezvousId,
  SpliceReport,
} from "../../machines/vocabulary.ts";

/** Why a connection was turned away; each is a row in docs/operating.md and a label in the metrics. */
export const refusalReasons = [
  "url too long",
  "no such path",
  "bad request",
  "host",
  "origin",
  "token",
  "issuer",
  "full",
  "too fast",
  "too many requests",
  "unread",
  "too many agents",
  "too many misses",
  "too many waiting",
  "too many clients",
  "unknown ticket",
  "draining",
  "version",
  "silent",
  "malformed",
  "identity",
  "no id free",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

type Login = NonNullable<ClientReport["login"]>;

/** One client session, in every line about it. `session` is its name in this relay's log. */
export interface OfClient {
  readonly session: LinkId;
  readonly id: RendezvousId;
  /** The client's address. */
  readonly client: string;
}

export type RelayFact =
  | {
      readonly type: "agent session started";
      readonly id: RendezvousId;
      readonly asked: RendezvousId;
      readonly address: string;
      /** Whether it had this id before, and lost its link. */
      readonly returned: boolean;
      /** Whose token let it register; null where none is wanted. */
      readonly voucher: string | null;
      readonly agent: AgentFacts;
    }
  | {
      readonly type: "agent session ended";
      readonly id: RendezvousId;
      readonly address: string;
      readonly since: string;
      readonly seconds: number;
      readonly outcome: AgentOutcome;
      /** Why the agent ended, when it said so. */
      readonly ending: Ending["kind"] | null;
      readonly agent: AgentFacts;
    }
  | { readonly type: "agent warned"; readonly id: RendezvousId; readonly times: number }
  | { readonly type: "agent held"; readonly id: RendezvousId }
  | ({ readonly type: "client session started"; readonly waitSeconds: number } & OfClient)
  | ({
      readonly type: "client session joined";
      /** From the knock, or from the arrival of the agent that it waited for. */
      readonly seconds: number;
      readonly agent: AgentFacts | null;
    } & OfClient)
  | ({ readonly type: "client logged in"; readonly login: Login } & OfClient)
  | ({ readonly type: "client used"; readonly kind: ChannelKind } & OfClient)
  | {
      readonly type: "client detached";
      readonly id: RendezvousId;
      readonly stream: number;
      readonly client: string;
      readonly login: Login | null;
    }
  | ({
      readonly type: "client resumed";
      readonly stream: number;
      readonly awaySeconds: number;
      readonly resumes: number;
      readonly login: Login | null;
    } & OfClient)
  | ({
      readonly type: "client session ended";
      readonly since: string;
      readonly seconds: number;
      readonly outcome: PairingOutcome["kind"];
      readonly endedBy: SpliceReport["endedBy"] | null;
      readonly clientBytes: number;
      readonly agentBytes: number;
      readonly pauses: number;
      readonly kinds: readonly ChannelKind[];
      readonly login: Login | null;
      readonly agent: AgentFacts | null;
    } & OfClient)
  | {
      readonly type: "connection refused";
      readonly reason: RefusalReason;
      readonly address: string;
      /** Without the query, which may hold what is nobody's business. */
      readonly path: string;
      /** HTTP status before there was a websocket, else the close code. */
      readonly status: number;
      readonly said: string;
    }
  | {
      readonly type: "control message malformed";
      readonly id: RendezvousId;
      readonly address: string;
      readonly why: string;
    };

/**
 * Routes: the relay's websocket paths, read from a request's target. Pure; who may go there is
 * decided elsewhere.
 */
import type { RefusalReason } from "../../../actors/observe/facts.ts";
import type { RendezvousId, Ticket } from "../../../machines/vocabulary.ts";
import { isRendezvousId, wordsIn } from "../../protocol/wire.ts";
import { plainText } from "../../text.ts";

/** Longest path and query that is looked at. */
const urlMaxChars = 2_048;
/** The longest that a client may be parked. */
const waitMaxMs = 60 * 60_000;

/** What a client asks for beside the id. */
export interface Wish {
  readonly waitMs: number;
  /** What its side of a stream can do. */
  readonly can: readonly string[];
  /** Whether it was joined before, and lost its link. */
  readonly isAgain: boolean;
}

/** Where an upgrade request wants to go, or why it goes nowhere. */
export type Route =
  | { readonly kind: "agent"; readonly id: RendezvousId }
  | ({ readonly kind: "client"; readonly id: RendezvousId } & Wish)
  | { readonly kind: "dial"; readonly ticket: Ticket }
  | ({ readonly kind: "none" } & Refusal);

/** Why a request got no websocket. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly status: number;
  readonly sentence: string;
}

const none = (reason: RefusalReason, status: number, sentence: string): Route => ({
  kind: "none",
  reason,
  status,
  sentence,
});

/** Reads the request target, RFC 9112 3.2, below the context path (`""` or `/x`). Pure. */
export function readRoute(target: string, contextPath: string): Route {
  if (target.length > urlMaxChars) return none("url too long", 414, "That URL is too long.");
  const [path = "", query = ""] = target.split("?", 2);
  const inside = path.startsWith(`${contextPath}/`) ? path.slice(contextPath.length) : "";
  const [, kind = "", name = "", ...more] = inside.split("/");
  if (more.length > 0 || !["agent", "client", "dial"].includes(kind))
    return none(
      "no such path",
      404,
      "There is no websocket here: use /agent/<id> or /client/<id>.",
    );
  if (kind === "dial") return { kind: "dial", ticket: name as Ticket };
  if (!isRendezvousId(name))
    return none(
      "bad request",
      400,
      "A rendez-vous id is 1 to 128 of the characters A-Z a-z 0-9 . _ - only.",
    );
  if (kind === "agent") return { kind: "agent", id: name };
  const words = new URLSearchParams(query);
  const wait = words.get("wait") ?? "0";
  if (!/^\d{1,9}$/.test(wait)) return none("bad request", 400, "wait is a number of milliseconds.");
  return {
    kind: "client",
    id: name,
    waitMs: Math.min(Number(wait), waitMaxMs),
    can: wordsIn(words.get("can")?.split(",")),
    isAgain: words.get("again") === "1",
  };
}

/** A target's path for the log: without the query, which may hold anything, and without tickets. */
export function pathOf(target: string): string {
  const [path = ""] = target.split("?", 1);
  return plainText(path.replace(/\/dial\/.*$/s, "/dial"));
}

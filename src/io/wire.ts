/**
 * Wire: the words that relay, agent and wsproxy exchange, version 1. Who may say what when is the
 * business of the actors.
 *
 * Control messages are JSON, one a text frame, at most `controlMaxBytes`. A message whose type is
 * unknown is ignored, so that a later release may add some; one whose fields are wrong ends the
 * link. Data links carry binary frames only.
 */
import * as v from "valibot";
import type { LinkId, PairingOutcome, RendezvousId, Ticket } from "../machines/vocabulary.ts";
import { plainText } from "./text.ts";

export const protocolVersion = 1;

/** Subprotocols, RFC 6455 1.9: which door, and in which version of the protocol. */
export const subprotocols = {
  agent: `converge.agent.v${protocolVersion}`,
  client: `converge.client.v${protocolVersion}`,
  data: `converge.data.v${protocolVersion}`,
} as const;

/** A control message, or what a client may learn before the splice, is never larger. */
export const controlMaxBytes = 64 * 1024;
/** An agent may send so many control messages at once, and so many a second; each may be a log line. */
export const controlMost = 1_000;
export const controlPerSecond = 200;
/** A websocket message on a data link; ours are at most 64 KiB, a stranger's may be larger. */
export const dataMaxBytes = 4 * 1024 * 1024;
/** The relay pings every link so often; a side that hears nothing for twice as long and a half gives up. */
export const pingMs = 20_000;
export const silentMs = 50_000;

/** Close codes, RFC 6455 7.4: the standard ones that are used, and our own from the private range. */
export const closeCodes = {
  done: 1000,
  goingAway: 1001,
  binaryOnly: 1003,
  tooBig: 1009,
  internal: 1011,
  malformed: 4400,
  refused: 4403,
  noSuchRendezvous: 4404,
  agentSilent: 4408,
  superseded: 4409,
  peerLost: 4410,
  version: 4426,
  draining: 4503,
} as const;

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

/** What the relay says to a client's link when its pairing is over. The reason is at most 123 bytes. */
export function farewell(outcome: PairingOutcome): { code: CloseCode; reason: string } {
  switch (outcome.kind) {
    case "served":
      return { code: closeCodes.done, reason: "the other side ended the connection" };
    case "client gave up":
      return { code: closeCodes.done, reason: "the client left" };
    case "no such rendezvous":
      return { code: closeCodes.noSuchRendezvous, reason: "no agent is registered under this id" };
    case "agent silent":
      return { code: closeCodes.agentSilent, reason: "the agent did not answer" };
    case "broken":
      return { code: closeCodes.internal, reason: "the connection could not be joined" };
  }
}

/** `1–128 of A-Z a-z 0-9 . _ -`; `.` and `..` are refused since URLs swallow them. */
export function isRendezvousId(text: string): text is RendezvousId {
  return /^[A-Za-z0-9._-]{1,128}$/.test(text) && !/^\.{1,2}$/.test(text);
}

const rendezvousId = v.custom<RendezvousId>(
  (value) => typeof value === "string" && isRendezvousId(value),
  "not a rendez-vous id",
);
const ticket = v.custom<Ticket>(
  (value) => typeof value === "string" && /^[\w-]{22}$/.test(value),
  "not a ticket",
);
const line = (max: number) =>
  v.pipe(
    v.string(),
    v.maxLength(4 * max),
    v.transform((text) => plainText(text, max)),
  );
const base64 = (bytes: number) =>
  v.pipe(v.string(), v.base64(), v.maxLength(Math.ceil(bytes / 3) * 4));
const durationMs = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(Number.MAX_SAFE_INTEGER),
);

/** The job's log shows it in a command that people paste: nothing a shell or ssh would act on. */
const pastableUrl = v.pipe(
  v.string(),
  v.maxLength(2_000),
  v.regex(/^(?:https?|wss?):\/\/[\w.:[\]-]+(?:\/[\w.~-]+)*$/, "not a plain URL"),
);

export const agentFacts = v.object({
  host: line(100),
  user: line(100),
  os: line(100),
  arch: line(20),
  shell: line(200),
  version: line(40),
  fingerprint: line(60),
});

const clientReport = v.object({
  ticket,
  kinds: v.pipe(v.array(v.picklist(["shell", "exec", "sftp", "forward"])), v.maxLength(4)),
  login: v.nullable(v.object({ fingerprint: line(60), comment: line(100) })),
});

export const agentStatus = v.object({
  state: v.picklist(["waiting", "occupied", "held", "lost", "lingering", "ending"]),
  leftMs: durationMs,
  held: v.boolean(),
  clients: v.pipe(v.array(clientReport), v.maxLength(1_000)),
  warnings: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000))),
  ending: v.optional(v.picklist(["last client left", "inactivity", "hard cap", "interrupted"])),
});

/** Agent to relay, on the control link. */
const fromAgent = v.variant("type", [
  v.object({
    type: v.literal("register"),
    id: rendezvousId,
    /** The relay's host and port as the agent dialled it; it is part of what was signed. */
    host: line(300),
    key: base64(32),
    signature: base64(64),
    facts: agentFacts,
  }),
  v.object({ type: v.literal("status"), status: agentStatus }),
  v.object({ type: v.literal("client"), client: clientReport }),
]);

/** Relay to agent, on the control link. */
const toAgent = v.variant("type", [
  v.object({ type: v.literal("challenge"), nonce: base64(32) }),
  v.object({ type: v.literal("registered"), id: rendezvousId, clientUrl: pastableUrl }),
  v.object({
    type: v.literal("summon"),
    ticket,
    client: v.object({ address: line(60) }),
  }),
  v.object({ type: v.literal("ending"), leftMs: durationMs }),
]);

/** Relay to client, before the splice. */
const toClient = v.variant("type", [
  v.object({ type: v.literal("waiting"), forMs: durationMs }),
  v.object({ type: v.literal("found"), agent: agentFacts, leftMs: v.nullable(durationMs) }),
  v.object({ type: v.literal("spliced") }),
]);

export type FromAgent = v.InferOutput<typeof fromAgent>;
export type ToAgent = v.InferOutput<typeof toAgent>;
export type ToClient = v.InferOutput<typeof toClient>;

/** A message, `null` for one of a type that this release does not know, or why it is malformed. */
export type Read<T> = { message: T | null } | { malformed: string };

/** All message types of this release; others are ignored. */
export const messageTypes = {
  fromAgent: ["register", "status", "client"],
  toAgent: ["challenge", "registered", "summon", "ending"],
  toClient: ["waiting", "found", "spliced"],
} as const;

function reader<T extends { type: string }>(
  schema: v.GenericSchema<unknown, T>,
  types: readonly T["type"][],
): (text: string) => Read<T> {
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { malformed: "not JSON" };
    }
    const kind = v.safeParse(v.object({ type: v.string() }), value);
    if (!kind.success) return { malformed: "not an object with a type" };
    if (!(types as readonly string[]).includes(kind.output.type)) return { message: null };
    const read = v.safeParse(schema, value);
    if (read.success) return { message: read.output };
    const [issue] = read.issues;
    const what = issue.message.replace(/ but received .*$|: Received .*$/s, "");
    return { malformed: plainText(`${v.getDotPath(issue) ?? "message"}: ${what}`, 100) };
  };
}

export const readFromAgent = reader<FromAgent>(fromAgent, messageTypes.fromAgent);
export const readToAgent = reader<ToAgent>(toAgent, messageTypes.toAgent);
export const readToClient = reader<ToClient>(toClient, messageTypes.toClient);

/** The version in a subprotocol name of ours, as people read it; `none` when there is none. */
export function versionOf(subprotocol: string | undefined): string {
  return /^converge\.\w+\.v(\d{1,6})$/.exec(subprotocol ?? "")?.[1] ?? "none";
}

/** A name for a link, unique in this process. */
let links = 0;
export function nextLink(kind: string): LinkId {
  links += 1;
  return `${kind}-${links}` as LinkId;
}

/**
 * Messages: what relay, agent and wsproxy say to each other, version 1. Who may say what when is the
 * business of the actors.
 *
 * They are JSON, one a text frame, at most `controlMaxBytes`. A message whose type is unknown is
 * ignored, so that a later release may add some; one whose fields are wrong ends the link.
 */
import * as v from "valibot";
import type { RendezvousId, Ticket } from "../../machines/vocabulary.ts";
import { plainText } from "../text.ts";
import { isRendezvousId, wordsIn } from "./wire.ts";

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
/** What a side of a stream can do. What is no such word, or one too many, is nothing to end a link for. */
const can = v.optional(v.pipe(v.unknown(), v.transform(wordsIn)), []);
const count = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most));
const base64 = (bytes: number) =>
  v.pipe(v.string(), v.base64(), v.maxLength(Math.ceil(bytes / 3) * 4));
/** A longer one counts as this: to refuse it would end who is honest and was told "for ever". */
export const durationMostMs = 30 * 24 * 60 * 60_000;
const durationMs = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(Number.MAX_SAFE_INTEGER),
  v.transform((ms) => Math.min(ms, durationMostMs)),
);

/** The job's log shows it in a command that people paste: nothing a shell or ssh would act on. */
const pastableUrl = v.pipe(
  v.string(),
  v.maxLength(2_000),
  v.regex(/^(?:https?|wss?):\/\/[\w.:[\]-]+(?:\/[\w.~-]+)*$/, "not a plain URL"),
);

/** Characters of each text that are kept; four times as many are malformed. */
export const lengths = {
  host: 100,
  user: 100,
  os: 100,
  arch: 20,
  shell: 200,
  version: 40,
  fingerprint: 60,
  comment: 100,
  address: 60,
} as const;
/** Clients in one status. */
export const clientsMost = 1_000;

export const agentFacts = v.object({
  host: line(lengths.host),
  user: line(lengths.user),
  os: line(lengths.os),
  arch: line(lengths.arch),
  shell: line(lengths.shell),
  version: line(lengths.version),
  fingerprint: line(lengths.fingerprint),
});

const clientReport = v.object({
  ticket,
  kinds: v.pipe(v.array(v.picklist(["shell", "exec", "sftp", "forward"])), v.maxLength(4)),
  login: v.nullable(
    v.object({ fingerprint: line(lengths.fingerprint), comment: line(lengths.comment) }),
  ),
  stream: v.optional(count(1e9)),
  resumes: v.optional(count(1e9)),
  outageMs: v.optional(durationMs),
  detachedMs: v.optional(durationMs),
  forMs: v.optional(durationMs),
  address: v.optional(line(lengths.address)),
});

export const agentStatus = v.object({
  state: v.picklist(["waiting", "occupied", "held", "lost", "lingering", "ending"]),
  leftMs: durationMs,
  held: v.boolean(),
  clients: v.pipe(v.array(clientReport), v.maxLength(clientsMost)),
  warnings: v.optional(count(1_000_000)),
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
    can,
  }),
  v.object({ type: v.literal("status"), status: agentStatus }),
  v.object({ type: v.literal("client"), client: clientReport }),
]);

/** Relay to agent, on the control link. */
const toAgent = v.variant("type", [
  v.object({ type: v.literal("challenge"), nonce: base64(32) }),
  v.object({
    type: v.literal("registered"),
    id: rendezvousId,
    clientUrl: pastableUrl,
    /** When this link breaks, dial again at a moment within so long: others do too. */
    spreadMs: v.optional(durationMs, 0),
  }),
  v.object({
    type: v.literal("summon"),
    ticket,
    client: v.object({ address: line(lengths.address), can }),
  }),
  v.object({ type: v.literal("ending"), leftMs: durationMs }),
]);

/** Relay to client, before the splice. */
const toClient = v.variant("type", [
  v.object({ type: v.literal("waiting"), forMs: durationMs }),
  v.object({ type: v.literal("found"), agent: agentFacts, leftMs: v.nullable(durationMs), can }),
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

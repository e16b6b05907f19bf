/**
 * Wire: what relay, agent and wsproxy have agreed on, version 1: names, codes and bounds. What they
 * say to each other is in `messages`, which costs more to load than wsproxy has time for.
 */
import type { RendezvousId } from "../../machines/vocabulary.ts";

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
/** How often the relay looks whom it is time to ping. */
export const pingTurnMs = 400;

/** Close codes, RFC 6455 7.4: the standard ones that are used, and our own from the private range. */
export const closeCodes = {
  done: 1000,
  goingAway: 1001,
  protocolError: 1002,
  binaryOnly: 1003,
  badText: 1007,
  tooMany: 1008,
  tooBig: 1009,
  internal: 1011,
  malformed: 4400,
  refused: 4403,
  noSuchRendezvous: 4404,
  agentSilent: 4408,
  superseded: 4409,
  peerLost: 4410,
  agentEnded: 4411,
  version: 4426,
  draining: 4503,
} as const;

/** To a client: after these another try would do no better. */
export const finalCodes: ReadonlySet<number> = new Set([
  closeCodes.binaryOnly,
  closeCodes.tooMany,
  closeCodes.tooBig,
  closeCodes.malformed,
  closeCodes.refused,
  closeCodes.version,
]);

/**
 * RFC 6455 7.4.1: what a close frame without a code counts as, and an end without a close frame. They
 * are heard of and never sent.
 */
export const unsentCodes = { none: 1005, lost: 1006 } as const;

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

/** `1–128 of A-Z a-z 0-9 . _ -`; `.` and `..` are refused since URLs swallow them. */
export function isRendezvousId(text: string): text is RendezvousId {
  return /^[A-Za-z0-9._-]{1,128}$/.test(text) && !/^\.{1,2}$/.test(text);
}

/** What ssh hosts are called behind one block for all agents of a relay: the id, and this. */
export const hostSuffix = ".converge";

/**
 * The client URL of a host name as ssh was given it: below the relay's URL, the name without the suffix
 * (once, in any case), in the case that it was written in. Null when that is no rendez-vous id.
 */
export function clientUrlOf(relay: URL, host: string): URL | null {
  const isSuffixed = host.toLowerCase().endsWith(hostSuffix);
  const id = isSuffixed ? host.slice(0, -hostSuffix.length) : host;
  if (!isRendezvousId(id)) return null;
  const url = new URL(relay);
  url.pathname = `${relay.pathname.replace(/\/+$/, "")}/client/${id}`;
  return url;
}

/** The word of a side whose streams outlive their links. */
export const resumeWord = "resume1";
const wordsMost = 8;

/** Words for what a side of a stream can do, of a list that somebody else made; others are dropped. */
export function wordsIn(list: unknown): readonly string[] {
  if (!Array.isArray(list)) return [];
  const isWord = (word: unknown): word is string =>
    typeof word === "string" && /^[a-z0-9]{1,20}$/.test(word);
  return list.slice(0, wordsMost).filter(isWord);
}

/** The version in a subprotocol name of ours, as people read it; `none` when there is none. */
export function versionOf(subprotocol: string | undefined): string {
  return /^converge\.\w+\.v(\d{1,6})$/.exec(subprotocol ?? "")?.[1] ?? "none";
}

/** As `ssh-keygen -l` prints a key: SHA-256 in base64 without padding. */
export const isFingerprint = (text: string): boolean => /^SHA256:[A-Za-z0-9+/]{43}$/.test(text);

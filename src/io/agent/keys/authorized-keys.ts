/**
 * Authorized keys: from the text of an `authorized_keys` file to keys, and who may log in with one.
 *
 * The form is sshd(8), AUTHORIZED_KEYS FILE FORMAT. Knows no files, URLs or connections. Its law: a
 * line that cannot be honoured in full is refused, with its number and a reason.
 */

import { plainText } from "../../text.ts";
import { matchesPatterns } from "./address-patterns.ts";
import { type KeyOptions, openOptions, parseKeyOptions } from "./key-options.ts";
import { faultInKey, fingerprintOf, isKeyType, type Signed, verifiesWith } from "./public-keys.ts";

export type { KeyOptions } from "./key-options.ts";
export { fingerprintOf } from "./public-keys.ts";

/** One key that may log in. */
export interface AuthorizedKey {
  /** Such as `ssh-ed25519`; RSA is `ssh-rsa` whatever its signatures use. */
  readonly type: string;
  /** The wire form, RFC 4253 6.6, to be compared with what a client offers. */
  readonly blob: Buffer;
  /** `SHA256:…`, no padding. */
  readonly fingerprint: string;
  /** Safe for a terminal, at most 200 characters, perhaps empty. */
  readonly comment: string;
  readonly options: KeyOptions;
}

/** A line that lets nobody in. `reason` is a clause: "its option "tunnel" is not supported". */
export interface Refusal {
  /** Counted from 1. */
  readonly line: number;
  readonly reason: string;
}

/** Where and when somebody wants in: a plain address or null if unknown, and ms since 1970. */
export interface Attempt {
  readonly address: string | null;
  readonly wallMs: number;
}

/** Reads a whole file. Keys and refusals are in the order of their lines; never throws. */
export function parseAuthorizedKeys(text: string): { keys: AuthorizedKey[]; refused: Refusal[] } {
  const keys: AuthorizedKey[] = [];
  const refused: Refusal[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    // Takes a carriage return and a byte order mark as well.
    const content = line.trim();
    if (content === "" || content.startsWith("#")) continue;
    const read = parseLine(content);
    if (typeof read === "string") refused.push({ line: at + 1, reason: read });
    else keys.push(read);
  }
  return { keys, refused };
}

/** Whether this key may log in there and then; a string is the reason, as a clause, why not. */
export function admits(key: AuthorizedKey, at: Attempt): true | string {
  const { expiresAt, from } = key.options;
  if (expiresAt !== null && at.wallMs > expiresAt) {
    return `the key ${key.fingerprint} expired at ${new Date(expiresAt).toISOString()}`;
  }
  if (from === null) return true;
  if (at.address === null) {
    return `the key ${key.fingerprint} is bound to addresses, and the client's is not known`;
  }
  if (matchesPatterns(from, at.address)) return true;
  return `the key ${key.fingerprint} may not be used from ${plainText(at.address, 60)}`;
}

/**
 * The line that decides: the first of those with this wire form that admits, as in sshd. The reason,
 * a clause, is that of the last such line. It says nothing of a signature: see `verifies`.
 */
export function findKey(
  keys: readonly AuthorizedKey[],
  blob: Buffer,
  at: Attempt,
): { key: AuthorizedKey } | { reason: string } {
  let reason = `the key ${fingerprintOf(blob)} is not authorized`;
  for (const key of keys) {
    if (!key.blob.equals(blob)) continue;
    const answer = admits(key, at);
    if (answer === true) return { key };
    reason = answer;
  }
  return { reason };
}

/** Whether `signed`, as ssh2's server hands it over, was signed with this very key. Never throws. */
export function verifies(key: AuthorizedKey, signed: Signed): boolean {
  return verifiesWith(key.type, key.blob, signed);
}

function parseLine(line: string): AuthorizedKey | string {
  if (line.includes("\0")) return "it holds NUL bytes; save the file as UTF-8, not UTF-16";
  const [first, rest] = firstField(line);
  if (rest === null) return "its options have no closing quote";
  const isBare = isKeyType(first) || /^AAAA/.test(rest);
  if (isBare) return keyOf(openOptions, first, rest);
  const options = parseKeyOptions(first);
  if (typeof options === "string") return options;
  const [type, data] = cut(rest);
  return type === "" ? "it has options but no key" : keyOf(options, type, data);
}

function keyOf(options: KeyOptions, type: string, rest: string): AuthorizedKey | string {
  const fault = faultInType(type);
  if (fault !== null) return fault;
  const [base64, comment] = cut(rest);
  const blob = Buffer.from(base64, "base64");
  // Node skips what is not base64, so the way back must give the same text.
  if (base64 === "" || blob.toString("base64") !== base64) return "its key is not base64";
  const damage = faultInKey(type, blob);
  if (damage !== null) return damage;
  return { type, blob, fingerprint: fingerprintOf(blob), comment: plainText(comment), options };
}

function faultInType(type: string): string | null {
  if (isKeyType(type)) return null;
  if (/-cert-v\d\d@openssh\.com$/.test(type)) {
    return "it is a certificate, and certificates are not supported; put the plain public key there";
  }
  if (type === "ssh-dss") return "DSA keys are too weak; make an Ed25519 key";
  return `its key type "${plainText(type, 60)}" is not supported`;
}

/** The first field, in which quoted blanks do not count, and what follows; null: a quote stays open. */
function firstField(line: string): [string, string | null] {
  const [field = ""] = /^(?:\\"|"(?:\\"|[^"\\]|\\(?!"))*"|[^\s"\\]|\\(?!"))*/.exec(line) ?? [];
  const rest = line.slice(field.length);
  return [field, rest.startsWith('"') ? null : rest.trim()];
}

function cut(text: string): [string, string] {
  const [, word = "", rest = ""] = /^(\S*)\s*(.*)$/s.exec(text) ?? [];
  return [word, rest];
}

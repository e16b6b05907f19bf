/**
 * Policy: who may register an agent, and who may see the sessions page, as a JSON file says it.
 * It reads, checks and watches that file; judging a token by it is `tokens`'s work.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Observable, Subject } from "rxjs";
import * as v from "valibot";
import type { Clock } from "../../../actors/clock.ts";
import { ConvergeError, reasonOf } from "../../../actors/errors.ts";
import type { Log } from "../../../actors/ports.ts";
import { type FileWatch, watchFiles } from "../../file-watch.ts";

/** SHA-256 of a shared token: the token itself is kept nowhere. */
export type TokenHash = Buffer;

/** Tokens of one OpenID Connect issuer that are good enough. */
export interface IssuerRule {
  readonly issuer: string;
  readonly audience: string;
  /** Where its public keys are (RFC 7517). */
  readonly jwks: URL;
  /** Each must be in the token and fit one of its patterns. */
  readonly claims: Readonly<Record<string, readonly string[]>>;
}

export interface Policy {
  /** Null lets everybody register. */
  readonly register: {
    readonly tokens: readonly TokenHash[];
    readonly issuers: readonly IssuerRule[];
  } | null;
  readonly sessions: "public" | "off" | TokenHash;
}

export const openPolicy: Policy = { register: null, sessions: "public" };

export interface WatchedPolicy {
  now(): Policy;
  readonly changes: Observable<Policy>;
  close(): void;
}

/** A shared token is guessed as hard as this many random bytes are. */
const tokenLeastBytes = 16;
const fileMostBytes = 64 * 1024;
/** Keys are believed as far as the way to them is: TLS, or this very machine. */
const jwksUrl = v.pipe(
  v.string(),
  v.url(),
  v.regex(
    /^(?:https:\/\/|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?\/)/,
    "jwks is an https:// URL",
  ),
);
const pattern = v.pipe(v.string(), v.minLength(1), v.maxLength(500));
const tokenFile = v.strictObject({ tokenFile: v.pipe(v.string(), v.minLength(1)) });
const issuerRule = v.strictObject({
  issuer: v.pipe(v.string(), v.minLength(1)),
  audience: v.pipe(v.string(), v.minLength(1)),
  jwks: jwksUrl,
  claims: v.pipe(
    v.record(v.string(), v.union([pattern, v.pipe(v.array(pattern), v.minLength(1))])),
    // Whoever has an account at a public CI gets tokens of its issuer.
    v.check((claims) => Object.keys(claims).length > 0, "claims must name at least one claim"),
  ),
});
const policyFile = v.strictObject({
  register: v.optional(
    v.union(
      [
        v.literal("open"),
        v.pipe(v.array(v.union([tokenFile, issuerRule])), v.minLength(1), v.maxLength(100)),
      ],
      'register is "open" or a list of { tokenFile } and { issuer, audience, jwks, claims }',
    ),
    "open",
  ),
  sessions: v.optional(
    v.union(
      [v.picklist(["public", "off"]), tokenFile],
      'sessions is "public", "off" or { tokenFile }',
    ),
    "public",
  ),
});

function readBounded(file: string): Buffer {
  const bytes = readFileSync(file);
  if (bytes.length > fileMostBytes) throw new Error(`${file} is larger than 64 KiB`);
  return bytes;
}

function hashIn(file: string): TokenHash {
  const token = readBounded(file).toString("utf8").trim();
  if (Buffer.byteLength(token) < tokenLeastBytes)
    throw new Error(`the token in ${file} is shorter than ${tokenLeastBytes} characters`);
  return hashOf(token);
}

const hashOf = (token: string): TokenHash => createHash("sha256").update(token).digest();

/** Compares in a time that says nothing of the token. */
export const isToken = (token: string, hash: TokenHash): boolean =>
  timingSafeEqual(hashOf(token), hash);

/** The deepest thing that is wrong, with the place where it is. */
function faultOf(issues: readonly v.BaseIssue<unknown>[]): string {
  const [issue] = issues;
  if (!issue) return "it is not understood";
  if (issue.issues && issue.type === "union" && !issue.path) return faultOf(issue.issues);
  const path = v.getDotPath(issue);
  return path ? `at ${path}: ${issue.message}` : issue.message;
}

/**
 * Reads a policy file and the token files that it names, which are relative to its folder. A file
 * that cannot be used is `CONVERGE_USAGE` with the reason: nothing is guessed, since a typing error
 * must not open a door. `files` is what to watch.
 */
export function readPolicy(file: string): { policy: Policy; files: string[] } {
  const files = [file];
  try {
    const json: unknown = JSON.parse(readBounded(file).toString("utf8"));
    if (Array.isArray(json)) throw new Error("it is a list and not an object");
    const parsed = v.safeParse(policyFile, json);
    if (!parsed.success) throw new Error(faultOf(parsed.issues));
    const { register, sessions } = parsed.output;
    const hashAt = (name: string): TokenHash => {
      const path = resolve(dirname(file), name);
      files.push(path);
      return hashIn(path);
    };
    const rules = register === "open" ? [] : register;
    const tokens = rules.flatMap((rule) => ("tokenFile" in rule ? [hashAt(rule.tokenFile)] : []));
    const issuers = rules.flatMap((rule) => {
      if ("tokenFile" in rule) return [];
      const claims = Object.entries(rule.claims).map(([name, some]) => [name, [some].flat()]);
      return [{ ...rule, jwks: new URL(rule.jwks), claims: Object.fromEntries(claims) }];
    });
    return {
      policy: {
        register: register === "open" ? null : { tokens, issuers },
        sessions: typeof sessions === "string" ? sessions : hashAt(sessions.tokenFile),
      },
      files,
    };
  } catch (error) {
    throw new ConvergeError("CONVERGE_USAGE", `--policy ${file}: ${reasonOf(error)}.`, error);
  }
}

/**
 * Keeps the policy of a file; null is the open one. A change that cannot be used is logged and the
 * policy before it stays, so that no moment of a careless edit is an open door.
 */
export function watchPolicy(file: string | null, clock: Clock, log: Log): WatchedPolicy {
  const changes = new Subject<Policy>();
  let policy = openPolicy;
  let watched: readonly string[] = [];
  let watching: FileWatch | null = null;
  const watch = (files: readonly string[]): void => {
    if (files.join("\n") === watched.join("\n")) return;
    watching?.close();
    watching = watchFiles(files, clock, reload);
    watched = files;
  };
  function reload(): void {
    if (file === null) return;
    try {
      const read = readPolicy(file);
      watch(read.files);
      policy = read.policy;
      log.info({ policy: file }, "policy reloaded");
      changes.next(policy);
    } catch (error) {
      log.warn({ policy: file, reason: reasonOf(error) }, "policy not reloaded");
    }
  }
  if (file !== null) {
    const read = readPolicy(file);
    policy = read.policy;
    watch(read.files);
  }
  return { now: () => policy, changes, close: () => watching?.close() };
}

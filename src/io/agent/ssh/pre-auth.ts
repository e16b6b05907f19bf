/**
 * Pre-auth: what a connection may do before somebody has logged in on it. ssh2 by itself has no
 * such bounds. It knows bytes and time, no keys.
 */
import { randomInt } from "node:crypto";
import type { Clock } from "../../../actors/clock.ts";
import type { Carrier } from "./carrier.ts";

/** Like sshd's LoginGraceTime, a little stricter. */
const graceMs = 30_000;
/** RFC 4253 4.2 allows 255 bytes for the identification line; nothing of a client comes before it. */
const identMaxBytes = 512;
/** A key exchange and six tries of large keys need a tenth of it. */
const bytesMost = 256 * 1024;
/** Connections that have not logged in, as in sshd's MaxStartups; one more puts a random one out. */
export const unauthenticatedMost = 100;

/**
 * Calls `cut` with a reason, once, when a bound is broken before `isKnown` says so. To be called once
 * ssh2 has the stream, which it has paused until it listens itself.
 */
export function boundBeforeLogin(
  { stream, onceOver }: Carrier,
  clock: Clock,
  isKnown: () => boolean,
  cut: (reason: string) => void,
): void {
  let bytes = 0;
  let hasIdent = false;
  let isDone = false;
  const done = (reason?: string): void => {
    if (isDone) return;
    isDone = true;
    clock.clearTimeout(grace);
    stream.off("data", count);
    if (reason) cut(reason);
  };
  const count = (data: Buffer): void => {
    if (isKnown()) return done();
    bytes += data.length;
    hasIdent ||= data.includes("\n");
    // ssh2 listens after us, and ends in order what is no identification at all.
    if (!hasIdent && bytes > identMaxBytes)
      process.nextTick(() =>
        done(stream.writableEnded ? undefined : "its identification has no end"),
      );
    else if (bytes > bytesMost) done("it sent too much before it logged in");
  };
  const grace = clock.setTimeout(() => {
    if (!isKnown()) done("login took too long");
  }, graceMs);
  stream.on("data", count);
  onceOver(() => done());
}

/** One of those who have not logged in when they are too many, else undefined. */
export function tooMany<T>(unauthenticated: readonly T[]): T | undefined {
  return unauthenticated.length > unauthenticatedMost
    ? unauthenticated[randomInt(unauthenticated.length)]
    : undefined;
}

/**
 * Login: whether an authentication request of RFC 4252 lets somebody in. Public keys only; the
 * keys are read afresh for each, so an edit of the file counts at once.
 */
import type { AuthContext } from "ssh2";
import type { Clock } from "../../../actors/clock.ts";
import type { Log } from "../../../actors/ports.ts";
import { type AuthorizedKey, findKey, verifies } from "../keys/authorized-keys.ts";
import type { Keyring } from "../keys/keyring.ts";

export interface Login {
  /**
   * The key that may log in from `address`, or why none may, a clause; null where no key was shown. A
   * request without a signature only asks whether the key would do (RFC 4252 7); with one, the
   * signature was checked.
   */
  check(
    context: AuthContext,
    address: string,
  ): Promise<{ readonly key: AuthorizedKey } | { readonly reason: string | null }>;
}

/**
 * Requests to log in that a connection may make: offers of keys are such, and an ssh agent may hold a
 * dozen. sshd's MaxAuthTries is 6, and counts them too.
 */
const triesMost = 18;
/** Reasons that the line about a refused connection names. */
const reasonsMost = 4;

/** What one connection has tried. */
export interface Attempts {
  /** Counts one more; false when that is too many. */
  begin(): boolean;
  /** Notes why it was in vain; null where there is nothing to say. */
  refuse(reason: string | null): void;
  /** Why nobody got in, a clause for the log, however many keys were tried; null if none was. */
  reason(): string | null;
}

export function openAttempts(): Attempts {
  const refused: string[] = [];
  let tries = 0;
  return {
    begin: () => {
      tries += 1;
      return tries <= triesMost;
    },
    refuse: (reason) => {
      if (reason !== null) refused.push(reason);
    },
    reason: () => {
      if (refused.length === 0) return null;
      const more = refused.length - reasonsMost;
      return [
        ...refused.slice(0, reasonsMost),
        ...(more > 0 ? [`and ${more} more`] : []),
        ...(tries > triesMost ? ["which is too many"] : []),
      ].join("; ");
    },
  };
}

/** Problems of the keys file are logged once, not at every login. */
export function openLogin(keyring: Keyring, clock: Clock, log: Log): Login {
  let told: readonly string[] = [];
  return {
    check: async (context, address) => {
      if (context.method !== "publickey") return { reason: null };
      const { key: offered, signature, blob, hashAlgo } = context;
      const { keys, problems } = await keyring.read();
      for (const problem of problems)
        if (!told.includes(problem)) log.warn({ problem }, "authorized key refused");
      told = problems;
      const at = { address, wallMs: clock.wall() };
      const found = findKey(keys, Buffer.from(offered.data), at);
      if ("reason" in found || !signature) return found;
      const { fingerprint } = found.key;
      if (offered.algo === "ssh-rsa" && hashAlgo === undefined)
        return { reason: `the key ${fingerprint} signed with SHA-1, and only SHA-2 is taken` };
      const signed = { algo: offered.algo, hashAlgo, signature, blob: blob ?? Buffer.alloc(0) };
      if (blob && verifies(found.key, signed)) return found;
      return { reason: `the signature of the key ${fingerprint} is wrong` };
    },
  };
}

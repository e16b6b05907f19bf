/**
 * Login: whether an authentication request of RFC 4252 lets somebody in. Public keys only; the
 * keys are read afresh for each, so an edit of the file counts at once.
 */
import type { AuthContext } from "ssh2";
import type { Clock } from "../actors/clock.ts";
import type { Log } from "../actors/ports.ts";
import { type AuthorizedKey, findKey, verifies } from "./authorized-keys.ts";
import type { Keyring } from "./keyring.ts";

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

/**
 * Ssh algorithms: what the agent's server offers and advertises, in its own order; the client's order
 * decides. It knows no connection. Post-quantum key exchanges are put before these by
 * `post-quantum.ts`, and which keys verify is `public-keys.ts`'s.
 */
import type ssh2 from "ssh2";
import { keyTypes } from "../keys/public-keys.ts";

type Algorithms = NonNullable<ConstructorParameters<typeof ssh2.Server>[0]["algorithms"]>;

/**
 * What is safe and fast. The last key exchange and the last two MACs are for libraries that have
 * nothing newer: libssh2 1.10 (curl's sftp) and Ruby's net-ssh without its x25519. A client that has
 * anything better is never led to them, since strict key exchange and the hash of the exchange
 * (RFC 4253 8) keep a middle man from striking out what is better.
 */
export const algorithms = {
  // With those of `ssh2/post-quantum.ts`: each must be one that `client/host-key-pin.ts` can check.
  kex: ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"],
  cipher: [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
  ],
  hmac: [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
  ],
  compress: ["none"],
} satisfies Algorithms;

/** RSA keys sign with SHA-2 only, under names of their own (RFC 8332 3). */
const signatures = keyTypes.flatMap((type) =>
  type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type],
);

/**
 * RFC 8308 3.1: what a client may sign with, exactly. OpenSSH PROTOCOL 1.9: pings are answered, which is
 * what its clients need before they hide the rhythm of keystrokes among packets that mean nothing.
 */
export const extensions = {
  "server-sig-algs": signatures.join(","),
  "ping@openssh.com": "0",
} as const;

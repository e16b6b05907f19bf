/**
 * Host key: the agent's Ed25519 ssh host key: fresh and in memory, kept in a file between runs, or
 * derived from a secret of the CI, so that every run has the same one.
 */
import { createHash, createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import ssh2 from "ssh2";
import { ConvergeError, reasonOf } from "../../actors/errors.ts";

export interface HostKey {
  /** OpenSSH's private key format, PEM. */
  readonly privateKey: string;
  /** `SHA256:` and base64 without padding, as ssh prints it. */
  readonly fingerprint: string;
}

/** A new key, or the one in `file`, which is made with mode 0600 if absent. `CONVERGE_HOST_KEY`. */
export function openHostKey(file: string | null): HostKey {
  if (file === null) return hostKeyOf(newKey());
  try {
    return hostKeyOf(readFileSync(file, "utf8"), file);
  } catch (error) {
    if (!isMissing(error)) throw named(file, error);
  }
  const made = newKey();
  try {
    const fd = openSync(file, "wx", 0o600);
    writeSync(fd, made);
    closeSync(fd);
  } catch (error) {
    throw named(file, error);
  }
  return hostKeyOf(made, file);
}

/** Below this a secret could be guessed, and whoever guesses it has the host key. In characters. */
const secretMinChars = 20;

/**
 * The key that belongs to a secret, the same at every run: HKDF-SHA-256 (RFC 5869) gives the
 * Ed25519 seed. `name` says where the secret came from, for errors. `CONVERGE_HOST_KEY`.
 */
export function deriveHostKey(secret: string, name: string): HostKey {
  if (secret.length < secretMinChars)
    throw named(name, new Error(`it has fewer than ${secretMinChars} characters`));
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "converge ssh host key v1", 32));
  // RFC 8410 7: an Ed25519 private key in PKCS #8 is this head and the seed.
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return hostKeyOf(opensshKey(seed, spki.subarray(-32)), name);
}

/** OpenSSH's own private key format (PROTOCOL.key), the only one that ssh2 reads for Ed25519. */
function opensshKey(seed: Buffer, publicKey: Buffer): string {
  const string = (data: Buffer | string): Buffer => {
    const bytes = Buffer.from(data);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const type = string("ssh-ed25519");
  const one = Buffer.from([0, 0, 0, 1]);
  const secret = [type, string(publicKey), string(Buffer.concat([seed, publicKey])), string("")];
  const check = Buffer.alloc(8); // two equal numbers, which matter for an encrypted key alone
  const plain = Buffer.concat([check, ...secret]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (plain.length % 8)) % 8));
  const all = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...[string("none"), string("none"), string(""), one],
    string(Buffer.concat([type, string(publicKey)])),
    string(Buffer.concat([plain, padding])),
  ]);
  const lines = all.toString("base64").replace(/(.{70})(?=.)/g, "$1\n");
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** ssh2 1.17 strips leading zeros of the public half, so one key in 256 cannot be read again. */
function newKey(): string {
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync("ed25519").private;
    if (!(ssh2.utils.parseKey(made) instanceof Error)) return made;
  }
}

function hostKeyOf(privateKey: string, file = "in memory"): HostKey {
  const read = ssh2.utils.parseKey(privateKey);
  if (read instanceof Error) throw named(file, read);
  const key = Array.isArray(read) ? read[0] : read;
  if (!key?.isPrivateKey()) throw named(file, new Error("it is not a private key"));
  if (key.type !== "ssh-ed25519") throw named(file, new Error("it is not an Ed25519 key"));
  const digest = createHash("sha256").update(key.getPublicSSH()).digest("base64");
  return { privateKey, fingerprint: `SHA256:${digest.replace(/=+$/, "")}` };
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";

function named(file: string, error: unknown): ConvergeError {
  if (error instanceof ConvergeError) return error;
  return new ConvergeError("CONVERGE_HOST_KEY", `${file} (${reasonOf(error)})`, error);
}

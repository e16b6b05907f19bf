/**
 * Host key: the agent's Ed25519 ssh host key, fresh and in memory, or kept in a file between runs.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import ssh2 from "ssh2";
import { ConvergeError, reasonOf } from "../actors/errors.ts";

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

/**
 * Public keys: from the wire form of a key to something that verifies, or the reason why not.
 *
 * Wire forms: RFC 4253 6.6 (RSA), RFC 5656 3.1 (ECDSA), RFC 8709 4 (Ed25519), and OpenSSH's
 * PROTOCOL.u2f for security keys (`sk-…`). ssh2 1.17 cannot read security keys and takes any curve
 * name, so keys are read here and given to node:crypto. Knows nothing of who may log in.
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";

/** A key that can verify. `application` is what a security key signs for, usually `ssh:`. */
interface PublicKey {
  readonly key: KeyObject;
  readonly hash: string | null;
  readonly application: Buffer | null;
}

/** What ssh2's server tells of a signed request: its `ctx.key.algo`, `hashAlgo`, `signature`, `blob`. */
export interface Signed {
  readonly algo: string;
  readonly hashAlgo: string | undefined;
  readonly signature: Buffer;
  readonly blob: Buffer;
}

const smallestRsaBits = 2048;
/** OpenSSH's own bound (SSHBUF_MAX_BIGNUM); a larger one would only cost time. */
const largestRsaBits = 16_384;

/** Takes the fields after the type; null when they are not such a key. */
type Reader = (fields: readonly Buffer[]) => PublicKey | null;

const readers: Readonly<Record<string, Reader>> = {
  "ssh-ed25519": ed25519(false),
  "ecdsa-sha2-nistp256": ecdsa("nistp256", "P-256", 32, "sha256", false),
  "ecdsa-sha2-nistp384": ecdsa("nistp384", "P-384", 48, "sha384", false),
  "ecdsa-sha2-nistp521": ecdsa("nistp521", "P-521", 66, "sha512", false),
  "ssh-rsa": ([e, n, ...rest]) =>
    e && n && rest.length === 0
      ? {
          key: createPublicKey({
            key: { kty: "RSA", e: unsigned(e), n: unsigned(n) },
            format: "jwk",
          }),
          hash: null,
          application: null,
        }
      : null,
  "sk-ssh-ed25519@openssh.com": ed25519(true),
  "sk-ecdsa-sha2-nistp256@openssh.com": ecdsa("nistp256", "P-256", 32, "sha256", true),
};

/** The types of keys that can log in, as they are written in a line of keys. */
export const keyTypes: readonly string[] = Object.keys(readers);

/** Whether keys of this type can be used at all. */
export function isKeyType(word: string): boolean {
  return Object.hasOwn(readers, word);
}

/** The fingerprint as ssh-keygen shows it: `SHA256:` and 43 characters, no padding. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace("=", "")}`;
}

/** The reason, as a clause, why this is no usable key of that type; null when it is one. */
export function faultInKey(type: string, blob: Buffer): string | null {
  const found = stringsIn(blob);
  const inside = found?.[0]?.toString("latin1");
  if (inside !== undefined && inside !== type) {
    return `it says ${type}, but the key itself is of another type`;
  }
  const read = readKey(type, blob);
  if (read === null) return "its key is damaged";
  const bits = read.key.asymmetricKeyDetails?.modulusLength;
  if (bits === undefined) return null;
  if (bits < smallestRsaBits) {
    return `its RSA key has ${bits} bits, and fewer than ${smallestRsaBits} are too weak`;
  }
  return bits > largestRsaBits ? `its RSA key has more than ${largestRsaBits} bits` : null;
}

/**
 * Whether the key with this wire form made this signature. RSA counts only with SHA-2 (RFC 8332),
 * a security key only if it was touched, as in sshd by default. Never throws.
 */
export function verifiesWith(type: string, keyBlob: Buffer, signed: Signed): boolean {
  if (signed.algo !== type) return false;
  const read = readKey(type, keyBlob);
  if (read === null) return false;
  const isRsa = type === "ssh-rsa";
  if (isRsa && signed.hashAlgo !== "sha256" && signed.hashAlgo !== "sha512") return false;
  const hash = isRsa ? signed.hashAlgo : read.hash;
  try {
    if (read.application !== null) return verifiesTouched(read, read.application, signed);
    return verify(hash, signed.blob, read.key, signed.signature);
  } catch {
    return false;
  }
}

/** PROTOCOL.u2f: the signature is followed by flags and a counter, and covers them. */
function verifiesTouched(read: PublicKey, application: Buffer, signed: Signed): boolean {
  const tail = signed.signature.subarray(-5);
  const proof = signed.signature.subarray(0, -5);
  const userPresent = 0x01;
  if (tail.length < 5 || ((tail[0] ?? 0) & userPresent) === 0) return false;
  const message = Buffer.concat([sha256(application), tail, sha256(signed.blob)]);
  if (read.hash === null) return verify(null, message, read.key, proof);
  // ssh2 leaves r and s as they came, since it does not know this algorithm.
  const [r, s, ...rest] = stringsIn(proof) ?? [];
  if (r === undefined || s === undefined || rest.length > 0) return false;
  const raw = Buffer.concat([padded(r, 32), padded(s, 32)]);
  return verify(read.hash, message, { key: read.key, dsaEncoding: "ieee-p1363" }, raw);
}

function readKey(type: string, blob: Buffer): PublicKey | null {
  const [inside, ...fields] = stringsIn(blob) ?? [];
  const reader = isKeyType(type) ? readers[type] : undefined;
  if (inside?.toString("latin1") !== type || reader === undefined) return null;
  try {
    return reader(fields);
  } catch {
    return null;
  }
}

function ed25519(isSecurityKey: boolean): Reader {
  return ([point, application, ...rest]) => {
    if (point?.length !== 32 || rest.length > 0) return null;
    if ((application !== undefined) !== isSecurityKey) return null;
    const jwk = { kty: "OKP", crv: "Ed25519", x: point.toString("base64url") };
    return {
      key: createPublicKey({ key: jwk, format: "jwk" }),
      hash: null,
      application: application ?? null,
    };
  };
}

function ecdsa(
  name: string,
  crv: string,
  size: number,
  hash: string,
  isSecurityKey: boolean,
): Reader {
  return ([curve, point, application, ...rest]) => {
    if (curve?.toString("latin1") !== name || rest.length > 0) return null;
    // SEC 1 2.3.3: an uncompressed point is 4, x, y; OpenSSH takes no other form.
    if (point?.length !== 1 + 2 * size || point[0] !== 4) return null;
    if ((application !== undefined) !== isSecurityKey) return null;
    const x = point.subarray(1, 1 + size).toString("base64url");
    const y = point.subarray(1 + size).toString("base64url");
    return {
      key: createPublicKey({ key: { kty: "EC", crv, x, y }, format: "jwk" }),
      hash,
      application: application ?? null,
    };
  };
}

/** The RFC 4251 5 strings that fill the buffer exactly; null when they do not. */
function stringsIn(data: Buffer): Buffer[] | null {
  const found: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    if (data.length - at < 4) return null;
    const end = at + 4 + data.readUInt32BE(at);
    if (end > data.length) return null;
    found.push(data.subarray(at + 4, end));
    at = end;
  }
  return found;
}

/** An mpint's magnitude for a JWK: without the zero that keeps it positive. */
function unsigned(mpint: Buffer): string {
  if (((mpint[0] ?? 0x80) & 0x80) !== 0) throw new RangeError("A key has no negative numbers.");
  return mpint.subarray(mpint[0] === 0 ? 1 : 0).toString("base64url");
}

/** An mpint as exactly `size` bytes; throws when it needs more. */
function padded(mpint: Buffer, size: number): Buffer {
  const magnitude = mpint.subarray(mpint[0] === 0 ? 1 : 0);
  return Buffer.concat([Buffer.alloc(size - magnitude.length), magnitude]);
}

function sha256(data: Buffer): Buffer {
  return createHash("sha256").update(data).digest();
}

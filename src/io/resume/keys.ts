/**
 * Keys: how an end of a resumable stream shows, on a new link, that it is the one that opened the
 * stream. Both made a secret when it was opened (X25519, RFC 7748; HKDF, RFC 5869), and show that they
 * have it with a fresh nonce (HMAC, RFC 2104). It guards a place in line and nothing else: what goes over
 * the stream is ssh, which has keys of its own.
 *
 * It does not know what an answer is good for. Nothing of this may be logged.
 */
import {
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from "node:crypto";
import { placeBytes, putPlace } from "./records.ts";

export const publicBytes = 32;
export const nonceBytes = 16;
export const streamBytes = 16;
export const macBytes = 32;
/** The body of `welcome`: a version, the link's nonce, the agent's public key. */
export const welcomeBytes = 1 + nonceBytes + publicBytes;
/** The body of `open`: a version and the client's public key. */
export const openBytes = 1 + publicBytes;
const attemptBytes = 4;
const secretBytes = 32;
const label = "converge resume v1";

/** RFC 8410: an X25519 public key as SubjectPublicKeyInfo, its 32 bytes left out. */
const spkiFront = Buffer.from("302a300506032b656e032100", "hex");

export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

/** One for each stream of a client; one for all streams of an agent. */
export function newKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  const spki = publicKey.export({ type: "spki", format: "der" });
  return { publicKey: new Uint8Array(spki.subarray(spkiFront.length)), privateKey };
}

/** What both ends of one stream know, and nobody else. */
export interface StreamKeys {
  /** The stream's name, of 16 bytes: unguessable, and told in the clear when it is resumed. */
  readonly stream: Uint8Array;
  readonly client: Uint8Array;
  readonly agent: Uint8Array;
}

/** The same at both ends; null for a public key with which there is no secret (RFC 7748 6.1). */
export function streamKeys(
  own: KeyPair,
  theirs: Uint8Array,
  of: { readonly client: Uint8Array; readonly agent: Uint8Array },
): StreamKeys | null {
  if (theirs.length !== publicBytes) return null; // OpenSSL leaves what is too much
  try {
    const publicKey = createPublicKey({
      key: Buffer.concat([spkiFront, theirs]),
      format: "der",
      type: "spki",
    });
    const shared = diffieHellman({ privateKey: own.privateKey, publicKey });
    const info = Buffer.concat([of.client, of.agent]);
    const bytes = streamBytes + 2 * secretBytes;
    const keys = new Uint8Array(hkdfSync("sha256", shared, label, info, bytes));
    return {
      stream: keys.slice(0, streamBytes),
      client: keys.slice(streamBytes, streamBytes + secretBytes),
      agent: keys.slice(streamBytes + secretBytes),
    };
  } catch {
    return null;
  }
}

/** What a client asks for with `resume`. */
export interface Asked {
  readonly stream: Uint8Array;
  /** Which of its tries this is, from 1. */
  readonly attempt: number;
  /** The first byte that it has not taken. */
  readonly place: number;
}

/** The part of a `resume` that is signed, after the nonce: stream, attempt, place. */
export const askedBytes = streamBytes + attemptBytes + placeBytes;

export function putAsked({ stream, attempt, place }: Asked): Uint8Array {
  const bytes = new Uint8Array(askedBytes);
  bytes.set(stream);
  new DataView(bytes.buffer).setUint32(streamBytes, attempt);
  putPlace(bytes, streamBytes + attemptBytes, place);
  return bytes;
}

/** The client's proof, for the nonce that the agent gave this link. */
export const clientProof = (keys: StreamKeys, nonce: Uint8Array, asked: Uint8Array): Uint8Array =>
  mac(keys.client, Buffer.from(`${label}\0`), nonce, asked);

/** The agent's, for that very proof, and the place from which it wants to hear. */
export function agentProof(keys: StreamKeys, proof: Uint8Array, place: number): Uint8Array {
  const bytes = new Uint8Array(placeBytes);
  putPlace(bytes, 0, place);
  return mac(keys.agent, proof, bytes);
}

function mac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** Whether two proofs are the same, in a time that says nothing of where they differ. */
export const isSame = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && timingSafeEqual(one, other);

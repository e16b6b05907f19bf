/**
 * Identity: the key by which the relay knows an agent again, and the ids derived from it.
 *
 * The key pair is Ed25519, made at start and kept in memory only. It is not the ssh host key and
 * opens nothing; it only says "I am the one who had this id before".
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  randomInt,
  sign,
  verify,
} from "node:crypto";
import type { IdentityKey, RendezvousId, Ticket } from "../../machines/vocabulary.ts";

/** An agent's identity: its public key, and the one thing that the private key is for. */
export interface Identity {
  readonly key: IdentityKey;
  /** Signs what `challengeText` says; base64. */
  answer(nonce: string, host: string, id: RendezvousId): string;
}

/** What is signed: bound to this purpose, this nonce, this relay and this id, so no answer serves twice. */
function challengeText(nonce: string, host: string, id: string): Buffer {
  return Buffer.from(["converge register v1", nonce, host, id].join("\0"));
}

// RFC 8410 4: the DER head of an Ed25519 SubjectPublicKeyInfo; the 32 raw bytes follow.
const spkiHead = Buffer.from("302a300506032b6570032100", "hex");

export function newIdentity(): Identity {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(spkiHead.length);
  return {
    key: raw.toString("base64") as IdentityKey,
    answer: (nonce, host, id) =>
      sign(null, challengeText(nonce, host, id), privateKey).toString("base64"),
  };
}

/** Whether the owner of `key` signed this very challenge. False for anything malformed. */
export function isAnswer(
  { key, signature }: { key: string; signature: string },
  nonce: string,
  host: string,
  id: string,
): boolean {
  const raw = Buffer.from(key, "base64");
  if (raw.length !== 32) return false;
  try {
    const spki = createPublicKey({
      key: Buffer.concat([spkiHead, raw]),
      format: "der",
      type: "spki",
    });
    return verify(null, challengeText(nonce, host, id), spki, Buffer.from(signature, "base64"));
  } catch {
    return false;
  }
}

const consonants = "bdfghjklmnprstvz";
const vowels = "aiou";

/** Sixteen bits as a word of five letters that can be said aloud (the proquint scheme). */
function proquint(word: number): string {
  return [
    consonants.charAt((word >> 12) & 15),
    vowels.charAt((word >> 10) & 3),
    consonants.charAt((word >> 6) & 15),
    vowels.charAt((word >> 4) & 3),
    consonants.charAt(word & 15),
  ].join("");
}

/** The 128-bit id that belongs to a key and to no other: eight pronounceable words. */
export function derivedId(key: IdentityKey): RendezvousId {
  const digest = createHash("sha256").update(`converge id v1\0${key}`).digest();
  const words = Array.from({ length: 8 }, (_, n) => proquint(digest.readUInt16BE(2 * n)));
  return words.join("-") as RendezvousId;
}

/** Whether an id has the form of a derived one, so that only its key may have it. */
export function looksDerived(id: string): boolean {
  return new RegExp(
    `^(?:[${consonants}][${vowels}][${consonants}][${vowels}][${consonants}]-?){8}$`,
  ).test(id);
}

/** An id to give instead of one that is taken: four more letters, cut to the length an id may have. */
export function spareId(id: RendezvousId): RendezvousId {
  const letters = Array.from({ length: 4 }, () =>
    "abcdefghjkmnpqrstuvwxyz23456789".charAt(randomInt(31)),
  );
  return `${id.slice(0, 123)}-${letters.join("")}` as RendezvousId;
}

let drawn = Buffer.alloc(0);

/** Random bytes, of which none is given out twice. Drawn many at once, for each draw takes as long. */
function random(count: number): Buffer {
  if (drawn.length < count) drawn = randomBytes(4_096);
  const bytes = drawn.subarray(0, count);
  drawn = drawn.subarray(count);
  return bytes;
}

/** 128 random bits that nobody guesses, used once. */
export function newTicket(): Ticket {
  return random(16).toString("base64url") as Ticket;
}

export function newNonce(): string {
  return random(32).toString("base64");
}

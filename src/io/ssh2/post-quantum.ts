/**
 * Post-quantum: hybrid key exchanges for ssh2's server, each a post-quantum KEM beside X25519, so
 * that what is recorded today stays secret unless both are broken. It knows no connection.
 *
 * The wire is that of draft-ietf-sshm-mlkem-hybrid-kex and draft-ietf-sshm-ntruprime-ssh: the
 * client's KEM key and X25519 key in one string, the ciphertext and the server's X25519 key in the
 * answer, and as K, a string, the hash of both secrets.
 */
import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import constants from "ssh2/lib/protocol/constants.js";
import kex from "ssh2/lib/protocol/kex.js";
import { reasonOf } from "../../actors/errors.ts";
import type { Log } from "../../actors/ports.ts";

/** What a server needs of a KEM. */
export interface Kem {
  readonly publicKeyBytes: number;
  /** Throws for a key that is none. */
  encapsulate(publicKey: Uint8Array): { ciphertext: Uint8Array; secret: Uint8Array };
}

interface Hybrid {
  readonly hash: "sha256" | "sha512";
  readonly load: () => Promise<Kem>;
}

/** In the order of preference; the client's own order decides. */
const hybrids: Record<string, Hybrid> = {
  "mlkem768x25519-sha256": { hash: "sha256", load: loadMlKem768 },
  "sntrup761x25519-sha512": { hash: "sha512", load: loadSntrup761 },
  "sntrup761x25519-sha512@openssh.com": { hash: "sha512", load: loadSntrup761 },
};

/** FIPS 203, as `@noble/post-quantum` has it. */
export async function loadMlKem768(): Promise<Kem> {
  const { ml_kem768 } = await import("@noble/post-quantum/ml-kem.js");
  return {
    publicKeyBytes: 1_184,
    encapsulate: (publicKey) => {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey);
      return { ciphertext: cipherText, secret: sharedSecret };
    },
  };
}

/** Streamlined NTRU Prime, as liboqs has it, in WebAssembly. */
export async function loadSntrup761(): Promise<Kem> {
  const { createSntrup761 } = await import("@oqs/liboqs-js");
  const kem = await createSntrup761();
  return {
    publicKeyBytes: 1_158,
    encapsulate: (publicKey) => {
      const { ciphertext, sharedSecret } = kem.encapsulate(new Uint8Array(publicKey)); // it takes no Buffer
      return { ciphertext, secret: sharedSecret };
    },
  };
}

const x25519Bytes = 32;
// RFC 8410 4: the DER head of an X25519 SubjectPublicKeyInfo; the 32 raw bytes follow.
const spkiHead = Buffer.from("302a300506032b656e032100", "hex");

/** X25519 with a fresh key; throws for a point of low order, as RFC 8731 3 wants. */
function agree(theirs: Uint8Array): { publicKey: Buffer; secret: Buffer } {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  const peer: KeyObject = createPublicKey({
    key: Buffer.concat([spkiHead, theirs]),
    format: "der",
    type: "spki",
  });
  return {
    publicKey: publicKey.export({ type: "spki", format: "der" }).subarray(spkiHead.length),
    secret: diffieHellman({ privateKey, publicKey: peer }),
  };
}

/** The server's part: what is sent back, and K. Throws for anything malformed. */
export function answer(
  kem: Kem,
  hash: Hybrid["hash"],
  init: Uint8Array,
): { reply: Buffer; secret: Buffer } {
  if (init.length !== kem.publicKeyBytes + x25519Bytes)
    throw new Error(`the client's key has ${init.length} bytes`);
  const { ciphertext, secret } = kem.encapsulate(init.subarray(0, kem.publicKeyBytes));
  const own = agree(init.subarray(kem.publicKeyBytes));
  return {
    reply: Buffer.concat([ciphertext, own.publicKey]),
    secret: createHash(hash).update(secret).update(own.secret).digest(),
  };
}

/** ssh2's private Curve25519Exchange, as far as it is overridden. */
type Exchange = new (
  hashName: string,
  ...rest: unknown[]
) => {
  convertPublicKey(key: Buffer): Buffer;
  computeSecret(key: Buffer): Buffer | Error;
  getPublicKey(): Buffer;
};

function exchangeOf(kem: Kem, hash: Hybrid["hash"]) {
  return (Base: Exchange, rest: unknown[]): unknown =>
    new (class extends Base {
      #reply: Buffer = Buffer.alloc(0);
      // A leading zero is part of it: this is no number.
      override convertPublicKey(key: Buffer): Buffer {
        return key;
      }
      override computeSecret(key: Buffer): Buffer | Error {
        try {
          const { reply, secret } = answer(kem, hash, key);
          this.#reply = reply;
          return secret;
        } catch (error) {
          return error instanceof Error ? error : new Error(reasonOf(error));
        }
      }
      override getPublicKey(): Buffer {
        return this.#reply;
      }
    })(hash, ...rest);
}

let offered: Promise<readonly string[]> | null = null;

/**
 * Makes ssh2 able to do them, once; resolves with the names to offer. What cannot be had, because a
 * library does not load, is left out with one line in the log.
 */
export function offerPostQuantum(log: Log): Promise<readonly string[]> {
  offered ??= register(log);
  return offered;
}

async function register(log: Log): Promise<readonly string[]> {
  const { extraKex } = kex;
  const names: string[] = [];
  const kems = new Map<Hybrid["load"], Promise<Kem>>();
  for (const [name, { hash, load }] of Object.entries(hybrids))
    try {
      const kem = kems.get(load) ?? load();
      kems.set(load, kem);
      extraKex.set(name, exchangeOf(await kem, hash));
      constants.SUPPORTED_KEX.push(name);
      names.push(name);
    } catch (error) {
      log.info({ name, reason: reasonOf(error) }, "post-quantum key exchange left out");
    }
  return names;
}

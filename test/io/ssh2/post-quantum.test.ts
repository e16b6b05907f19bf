/** Hybrid key exchanges: known answers, two implementations against each other, and bad input. */
import assert from "node:assert/strict";
import { createHash, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { shake128 } from "@noble/hashes/sha3.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { createMLKEM768, createSntrup761 } from "@oqs/liboqs-js";
import { answer, loadMlKem768, loadSntrup761 } from "../../../src/io/ssh2/post-quantum.ts";

const bytes = (head: string, tail: Uint8Array) => Buffer.concat([Buffer.from(head, "hex"), tail]);
const x25519 = generateKeyPairSync("x25519");
const ownX25519 = x25519.publicKey.export({ type: "spki", format: "der" }).subarray(-32);
const agreed = (theirs: Uint8Array) =>
  diffieHellman({
    privateKey: x25519.privateKey,
    publicKey: createPublicKey({
      key: bytes("302a300506032b656e032100", theirs),
      format: "der",
      type: "spki",
    }),
  });

test("ML-KEM-768 gives the known answer of the community's accumulated vectors", () => {
  // C2SP CCTV, ML-KEM, "accumulated": a hundred rounds from the empty SHAKE128.
  const random = shake128.create({ dkLen: 32 });
  const seen = shake128.create({ dkLen: 32 });
  for (let round = 0; round < 100; round += 1) {
    const { publicKey, secretKey } = ml_kem768.keygen(random.xof(64));
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, random.xof(32));
    const rejected = ml_kem768.decapsulate(random.xof(cipherText.length), secretKey);
    for (const part of [publicKey, cipherText, sharedSecret, rejected]) seen.update(part);
  }
  assert.equal(
    Buffer.from(seen.digest()).toString("hex"),
    "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415",
  );
});

for (const [name, make, load, hash, cipherBytes] of [
  ["ML-KEM-768, against liboqs", createMLKEM768, loadMlKem768, "sha256", 1_088],
  ["sntrup761", createSntrup761, loadSntrup761, "sha512", 1_039],
] as const)
  test(`${name}: both sides come to the same secret`, async () => {
    const client = await make();
    const { publicKey, secretKey } = client.generateKeyPair();
    const kem = await load();
    const { reply, secret } = answer(kem, hash, Buffer.concat([publicKey, ownX25519]));
    assert.equal(reply.length, cipherBytes + 32);
    const shared = client.decapsulate(new Uint8Array(reply.subarray(0, cipherBytes)), secretKey);
    const want = createHash(hash)
      .update(shared)
      .update(agreed(reply.subarray(cipherBytes)));
    assert.deepEqual(secret, want.digest());
    const again = answer(kem, hash, Buffer.concat([publicKey, ownX25519]));
    assert.notDeepEqual(again.secret, secret);
  });

test("a key that is too short, too long, of low order or out of range is refused", async () => {
  const kem = await loadMlKem768();
  const { publicKey } = ml_kem768.keygen();
  const outOfRange = new Uint8Array(publicKey).fill(0xff, 0, 300);
  for (const [init, want] of [
    [Buffer.alloc(0), /0 bytes/],
    [Buffer.concat([publicKey, ownX25519.subarray(1)]), /1215 bytes/],
    [Buffer.concat([publicKey, ownX25519, Buffer.alloc(1)]), /1217 bytes/],
    [Buffer.concat([publicKey, Buffer.alloc(32)]), /diffie|derivation|failed/i],
    [Buffer.concat([outOfRange, ownX25519]), /key/i],
  ] as const)
    assert.throws(() => answer(kem, "sha256", init), want);
});

/**
 * Keys: known answers from RFC 7748's own example, made a second time here with nothing but a hash; both
 * ends have the same, and no proof fits another link, stream, try or place.
 */
import assert from "node:assert/strict";
import { createHash, createPrivateKey } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Asked,
  agentProof,
  askedBytes,
  clientProof,
  isSame,
  type KeyPair,
  macBytes,
  newKeyPair,
  nonceBytes,
  openBytes,
  publicBytes,
  putAsked,
  type StreamKeys,
  streamBytes,
  streamKeys,
  welcomeBytes,
} from "../../../src/io/resume/keys.ts";

const bytesOf = (text: string): Buffer => Buffer.from(text, "hex");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A pair whose halves are known: RFC 8410 has the private one as PKCS #8. */
const pairOf = (privateHex: string, publicHex: string): KeyPair => ({
  publicKey: new Uint8Array(bytesOf(publicHex)),
  privateKey: createPrivateKey({
    key: bytesOf(`302e020100300506032b656e04220420${privateHex}`),
    format: "der",
    type: "pkcs8",
  }),
});

// RFC 7748 6.1: Alice is the client here, and Bob the agent.
const client = pairOf(
  "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
);
const agent = pairOf(
  "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
  "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
);
const shared = bytesOf("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");

const label = "converge resume v1";
const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** RFC 2104, word for word; no key here is longer than a block. */
function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const block = Buffer.alloc(64);
  block.set(key);
  const inner = sha256(Buffer.concat([block.map((byte) => byte ^ 0x36), ...parts]));
  return sha256(Buffer.concat([block.map((byte) => byte ^ 0x5c), inner]));
}

/** RFC 5869 2.2 and 2.3. */
function hkdf(secret: Uint8Array, salt: string, info: Uint8Array, bytes: number): Buffer {
  const key = hmac(Buffer.from(salt), secret);
  const blocks: Buffer[] = [];
  for (let n = 1; n <= Math.ceil(bytes / 32); n += 1)
    blocks.push(hmac(key, blocks.at(-1) ?? Buffer.alloc(0), info, Uint8Array.of(n)));
  return Buffer.concat(blocks).subarray(0, bytes);
}

const of = { client: client.publicKey, agent: agent.publicKey };

/** The keys of a stream that has some. */
function keysOf(own: KeyPair, theirs: Uint8Array, between = of): StreamKeys {
  const keys = streamKeys(own, theirs, between);
  assert.ok(keys);
  return keys;
}

test("keys: RFC 7748's pairs make these, at both ends", () => {
  const bytes = hkdf(shared, label, Buffer.concat([of.client, of.agent]), 80);
  const want = [bytes.subarray(0, 16), bytes.subarray(16, 48), bytes.subarray(48)].map(hex);
  assert.deepEqual(want, [
    "f91594274921f88753b2649c3039e393",
    "1f2a533e412f62b6d96cfa1d509eae43a81631815c249053a204a3119ab00505",
    "d1a250aad1c3132ca43d51c2f35c1a28f40460e5405756bfa959fed14720aab9",
  ]);
  for (const keys of [keysOf(client, agent.publicKey), keysOf(agent, client.publicKey)])
    assert.deepEqual([keys.stream, keys.client, keys.agent].map(hex), want);
});

const nonce = Uint8Array.from({ length: nonceBytes }, (_, n) => n);
const keys = keysOf(client, agent.publicKey);
const asked: Asked = { stream: keys.stream, attempt: 7, place: 0x0102030405 };

test("keys: what is asked, and both proofs, are these bytes", () => {
  const bytes = putAsked(asked);
  assert.equal(
    hex(bytes),
    "f91594274921f88753b2649c3039e393 00000007 000102030405".replaceAll(" ", ""),
  );
  const proof = clientProof(keys, nonce, bytes);
  assert.equal(hex(proof), "dc904162c436bac22cfd2df5cd5c0c48f7931f1100618692225322be844afce3");
  assert.equal(hex(proof), hex(hmac(keys.client, Buffer.from(`${label}\0`), nonce, bytes)));
  const answer = agentProof(keys, proof, 0xa0b0c0d0e0f0);
  assert.equal(hex(answer), "39812e78ce8ff8094876b1ea3767568d9e816167ee18f168a428ebd172041647");
  assert.equal(hex(answer), hex(hmac(keys.agent, proof, bytesOf("a0b0c0d0e0f0"))));
});

test("keys: the bodies have these lengths", () => {
  assert.deepEqual(
    [publicBytes, nonceBytes, streamBytes, macBytes, welcomeBytes, openBytes, askedBytes],
    [32, 16, 16, 32, 49, 33, 26],
  );
  assert.equal(clientProof(keys, nonce, putAsked(asked)).length, macBytes);
  assert.equal(putAsked({ ...asked, attempt: 2 ** 32 - 1, place: 2 ** 48 - 1 }).length, askedBytes);
});

test("keys: new pairs agree, and each stream has its own", () => {
  const own = newKeyPair();
  const seen = new Set<string>();
  for (let n = 0; n < 20; n += 1) {
    const theirs = newKeyPair();
    assert.equal(theirs.publicKey.length, publicBytes);
    const between = { client: theirs.publicKey, agent: own.publicKey };
    const here = keysOf(own, theirs.publicKey, between);
    assert.deepEqual(keysOf(theirs, own.publicKey, between), here);
    for (const part of [here.stream, here.client, here.agent]) seen.add(hex(part));
  }
  assert.equal(seen.size, 60);
});

test("keys: whose key is whose counts", () => {
  const turned = keysOf(client, agent.publicKey, { client: of.agent, agent: of.client });
  assert.notEqual(hex(turned.stream), hex(keys.stream));
});

/** Of low order, so that the secret is nought whatever the own key is (RFC 7748 6.1, last of it). */
const lowOrder = [
  ["nought", "00".repeat(32)],
  ["one", `01${"00".repeat(31)}`],
  ["of order eight", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
  ["the other of order eight", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"],
  ["p - 1", `ec${"ff".repeat(30)}7f`],
  ["p", `ed${"ff".repeat(30)}7f`],
  ["p + 1", `ee${"ff".repeat(30)}7f`],
] as const;

for (const [name, point] of lowOrder)
  test(`keys: there is no secret with a public key of low order: ${name}`, () => {
    for (const own of [client, agent]) assert.equal(streamKeys(own, bytesOf(point), of), null);
  });

test("keys: nor with one of another length", () => {
  for (const length of [0, 31, 33, 64])
    assert.equal(streamKeys(client, new Uint8Array(length).fill(9), of), null, `${length} bytes`);
});

const nameless = keysOf(agent, newKeyPair().publicKey);

for (const [name, proof] of [
  [
    "another nonce",
    () =>
      clientProof(
        keys,
        nonce.map((byte) => byte ^ 1),
        putAsked(asked),
      ),
  ],
  [
    "another stream",
    () => clientProof(keys, nonce, putAsked({ ...asked, stream: nameless.stream })),
  ],
  ["another try", () => clientProof(keys, nonce, putAsked({ ...asked, attempt: 8 }))],
  ["another place", () => clientProof(keys, nonce, putAsked({ ...asked, place: asked.place + 1 }))],
  ["another's key", () => clientProof(nameless, nonce, putAsked(asked))],
  ["the agent's key", () => clientProof({ ...keys, client: keys.agent }, nonce, putAsked(asked))],
] as const)
  test(`keys: a client's proof with ${name} does not fit`, () =>
    assert.equal(isSame(proof(), clientProof(keys, nonce, putAsked(asked))), false));

test("keys: an agent's proof fits one proof of a client and one place", () => {
  const proof = clientProof(keys, nonce, putAsked(asked));
  const later = clientProof(keys, nonce, putAsked({ ...asked, attempt: 8 }));
  const answer = agentProof(keys, proof, 5);
  assert.equal(isSame(answer, agentProof(keys, proof, 5)), true);
  for (const other of [
    agentProof(keys, proof, 6),
    agentProof(keys, proof, 5 + 2 ** 32),
    agentProof(keys, later, 5),
    agentProof(nameless, proof, 5),
    agentProof({ ...keys, agent: keys.client }, proof, 5),
  ])
    assert.equal(isSame(answer, other), false);
});

test("keys: two are the same when all their bytes are", () =>
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(), (one, at) => {
      assert.equal(isSame(one, one.slice()), true);
      const other = one.slice();
      other[at % other.length] = (other[at % other.length] ?? 0) ^ 0x10;
      assert.equal(isSame(one, other), false);
      assert.equal(isSame(one, one.subarray(1)), false);
      assert.equal(isSame(one, new Uint8Array([...one, 0])), false);
    }),
  ));

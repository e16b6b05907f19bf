import assert from "node:assert/strict";
import { test } from "node:test";
import {
  derivedId,
  isAnswer,
  looksDerived,
  newIdentity,
  spareId,
} from "../../../src/io/protocol/identity.ts";
import { isRendezvousId } from "../../../src/io/protocol/wire.ts";
import type { IdentityKey, RendezvousId } from "../../../src/machines/vocabulary.ts";

const id = "job" as RendezvousId;

test("an answer is good for this nonce, host, id and key only", () => {
  const { key, answer } = newIdentity();
  const signature = answer("nonce", "relay:1", id);
  assert.equal(isAnswer({ key, signature }, "nonce", "relay:1", id), true);
  assert.equal(isAnswer({ key, signature }, "other", "relay:1", id), false);
  assert.equal(isAnswer({ key, signature }, "nonce", "evil:1", id), false);
  assert.equal(isAnswer({ key, signature }, "nonce", "relay:1", "jobs"), false);
  assert.equal(isAnswer({ key: newIdentity().key, signature }, "nonce", "relay:1", id), false);
});

for (const [name, key, signature] of [
  ["an empty key", "", "AAAA"],
  ["a short key", "AAAA", "AAAA"],
  ["an empty signature", newIdentity().key, ""],
] as const)
  test(`${name} is no answer`, () =>
    assert.equal(isAnswer({ key, signature }, "nonce", "relay", id), false));

test("a derived id is the same for the same key, and pronounceable", () => {
  const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" as IdentityKey;
  const derived = derivedId(key);
  assert.equal(derived, derivedId(key));
  assert.match(
    derived,
    /^(?:[bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]-?){8}$/,
  );
  assert.equal(looksDerived(derived), true);
  assert.notEqual(derived, derivedId(newIdentity().key));
});

test("a chosen id does not look derived, nor does a spare one", () => {
  for (const text of ["job", "build-4711", "lusab-babad"]) assert.equal(looksDerived(text), false);
  assert.equal(looksDerived(spareId(derivedId(newIdentity().key))), false);
});

test("a spare id of the longest id is still an id", () => {
  assert.equal(isRendezvousId(spareId("x".repeat(128) as RendezvousId)), true);
});

/** Choices through a query and back; what a query may not do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { looksDerived } from "../../src/io/protocol/identity.ts";
import { isRendezvousId } from "../../src/io/protocol/wire.ts";
import {
  type Choices,
  defaults,
  lasting,
  randomId,
  readChoices,
  writeChoices,
} from "../../web/choices.ts";

const read = (query: string): Choices => readChoices(new URLSearchParams(query));

test("what is written is read back", () => {
  const choices: Choices = {
    ci: "gitlab",
    agentOs: "macos",
    clientOs: "cmd",
    idFrom: "fixed",
    id: "x",
    runId: "",
    keys: "text",
    keyUrl: "https://x/?a=b&c=d#e",
    keyFile: "a b/ü",
    keyText: 'one "1"\ntwo +2 %41',
    shells: "a,b=c&d",
    timeout: "15m",
    warn: "5m",
    insecure: true,
    fingerprint: "SHA256:x",
  };
  assert.deepEqual(read(writeChoices(choices)), choices);
  const { id, ...rest } = { ...choices, idFrom: "variable" as const, runId: "gl-17" };
  const { id: _, ...again } = read(writeChoices({ ...rest, id }));
  assert.deepEqual(again, rest);
});

test("the id is of the CI's variables where there are any, and the one of a link that has one", () => {
  assert.deepEqual(
    ["", "ci=shell", "id=x", "ci=shell&idFrom=variable", "id=x&idFrom=variable"].map(
      (query) => read(query).idFrom,
    ),
    ["variable", "fixed", "fixed", "fixed", "variable"],
  );
});

test("what is of one run is not kept for the next", () => {
  const of = (query: string): string => writeChoices(lasting(read(query)));
  assert.equal(of("ci=gitlab&id=x&fingerprint=SHA256:x"), "ci=gitlab");
  assert.equal(of("ci=gitlab&runId=gl-7"), "ci=gitlab");
  assert.equal(of("ci=gitlab&id=x"), "ci=gitlab&idFrom=fixed&id=x");
});

test("defaults are not written, and nothing gives the defaults with a random id", () => {
  assert.equal(writeChoices(defaults), "");
  const { id, ...rest } = read("");
  assert.deepEqual({ ...rest, id: "" }, defaults);
  assert.notEqual(id, read("").id);
});

test("a random id is one that the relay takes, and that no agent's key is asked for", () => {
  for (let i = 0; i < 100; i += 1) {
    const id = randomId();
    assert.match(id, /^[a-z0-9]{4}(?:-[a-z0-9]{4}){3}$/);
    assert.ok(isRendezvousId(id) && !looksDerived(id));
  }
});

test("unknown values are the defaults, long ones are cut", () => {
  const { ci, agentOs, keys, shells, keyText } = read(
    `ci=__proto__&agentOs=constructor&keys=toString&shells=${"x".repeat(9_000)}&keyText=${"y".repeat(9_000)}`,
  );
  assert.deepEqual([ci, agentOs, keys], ["github", "linux", "actor"]);
  assert.deepEqual([shells.length, keyText.length], [1_000, 4_000]);
});

test("a system that does not name the actor starts with a URL of keys", () => {
  assert.equal(read("ci=jenkins").keys, "url");
});

test("a private key is in no link", () => {
  const keyText = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc";
  assert.equal(writeChoices({ ...defaults, keys: "text", keyText }), "keys=text");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { readFromAgent, readToAgent, readToClient } from "../../../src/io/protocol/messages.ts";
import { isRendezvousId, versionOf } from "../../../src/io/protocol/wire.ts";

for (const [text, want] of [
  ["a", true],
  ["Build_4711.retry-2", true],
  ["x".repeat(128), true],
  ["x".repeat(129), false],
  ["", false],
  [".", false],
  ["..", false],
  ["...", true],
  ["a b", false],
  ["a/b", false],
  ["ä", false],
  ["a\n", false],
] as const)
  test(`${JSON.stringify(text)} is ${want ? "an" : "no"} id`, () =>
    assert.equal(isRendezvousId(text), want));

const facts = {
  host: "h",
  user: "u",
  os: "o",
  arch: "a",
  shell: "s",
  version: "v",
  fingerprint: "f",
};

test("what comes from outside loses its control characters at the door", () => {
  const agent = { ...facts, host: "\u001b]0;evil\u0007host\u202e" };
  const read = readToClient(JSON.stringify({ type: "found", agent, leftMs: null }));
  assert.deepEqual(read, {
    message: { type: "found", agent: { ...facts, host: "]0;evilhost" }, leftMs: null, can: [] },
  });
});

for (const [name, read, text, want] of [
  ["not JSON", readFromAgent, "{", "not JSON"],
  ["an array", readFromAgent, "[]", "not an object with a type"],
  ["no type", readFromAgent, "{}", "not an object with a type"],
  [
    "a wrong field",
    readToAgent,
    '{"type":"registered","id":"a b","clientUrl":"x"}',
    "id: not a rendez-vous id",
  ],
  ["a missing field", readToClient, '{"type":"waiting"}', 'forMs: Invalid key: Expected "forMs"'],
] as const)
  test(`${name} is malformed`, () => assert.deepEqual(read(text), { malformed: want }));

for (const [said, want] of [
  [undefined, []],
  [["resume1"], ["resume1"]],
  ["resume1", []],
  [null, []],
  [["Resume", "a b", "", 7, "ok", "x".repeat(21)], ["ok"]],
  [Array.from({ length: 20 }, (_, n) => `w${n}`), Array.from({ length: 8 }, (_, n) => `w${n}`)],
] as const)
  test(`what somebody can do, said as ${JSON.stringify(said)?.slice(0, 40)}`, () => {
    const about = { type: "found", agent: facts, leftMs: null, can: said };
    assert.deepEqual(readToClient(JSON.stringify(about)), { message: { ...about, can: want } });
  });

test("a message of a later release is ignored", () => {
  assert.deepEqual(readToAgent('{"type":"sing"}'), { message: null });
});

for (const [name, want] of [
  ["converge.agent.v1", "1"],
  ["converge.agent.v27", "27"],
  ["other", "none"],
  ["", "none"],
  [undefined, "none"],
] as const)
  test(`the version in ${name}`, () => assert.equal(versionOf(name), want));

for (const url of [
  'https://h/client/x" ; touch /tmp/pwned ; echo "',
  "https://h/client/$(id)",
  "https://h/client/%h",
  "https://h/client/a b",
  "https://user:word@h/client/x",
  "file:///client/x",
  "https://h/client/x?y",
])
  test(`a relay cannot make the job's log show ${url}`, () => {
    const read = readToAgent(JSON.stringify({ type: "registered", id: "x", clientUrl: url }));
    assert.deepEqual(read, { malformed: "clientUrl: not a plain URL" });
  });

for (const url of [
  "https://relay.example.com/a/b/client/lusab-babad",
  "http://[::1]:8000/client/x",
])
  test(`${url} is a client URL`, () => {
    const message = { type: "registered", id: "x", clientUrl: url };
    const read = { message: { ...message, spreadMs: 0 } };
    assert.deepEqual(readToAgent(JSON.stringify(message)), read);
  });

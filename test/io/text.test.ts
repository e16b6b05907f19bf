/** Text from outside: what nobody would see is not there, and what somebody would see is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { readFromAgent } from "../../src/io/protocol/messages.ts";
import { plainText } from "../../src/io/text.ts";
import { facts } from "../support/stranger.ts";

const unseen: [string, number, number?][] = [
  ["C0 controls", 0x00, 0x1f],
  ["delete and C1 controls", 0x7f, 0x9f],
  ["soft hyphen", 0xad],
  ["combining grapheme joiner", 0x34f],
  ["Arabic letter mark", 0x61c],
  ["Hangul fillers", 0x115f, 0x1160],
  ["Khmer vowels that are not shown", 0x17b4, 0x17b5],
  ["Mongolian variation selectors and vowel separator", 0x180b, 0x180f],
  ["zero-width space, joiners and direction marks", 0x200b, 0x200f],
  ["line and paragraph separator, embeddings and overrides", 0x2028, 0x202e],
  ["word joiner, invisible operators, isolates, deprecated format", 0x2060, 0x206f],
  ["Hangul filler", 0x3164],
  ["halves of characters", 0xd800, 0xdfff],
  ["variation selectors", 0xfe00, 0xfe0f],
  ["byte order mark", 0xfeff],
  ["halfwidth Hangul filler", 0xffa0],
  ["what will be ignorable, and interlinear annotation", 0xfff0, 0xfffb],
  ["shorthand format controls", 0x1bca0, 0x1bca3],
  ["musical format controls", 0x1d173, 0x1d17a],
  ["tags, and variation selectors of the supplement", 0xe0000, 0xe0fff],
];
for (const [what, first, last = first] of unseen)
  test(`not seen, and so not kept: ${what}`, () => {
    for (let code = first; code <= last; code += 1)
      assert.equal(plainText(`build${String.fromCodePoint(code)}-1`), "build-1", code.toString(16));
  });

test("what is seen stays, in every script", () => {
  for (const text of ["build-1", "Baurechner №7", "сборка", "ビルド", "빌드", "é", "🛠", "a b"])
    assert.equal(plainText(text), text);
});

test("two hosts that look the same are the same to the relay", () => {
  const hostOf = (host: string): unknown => {
    const { key } = newIdentity();
    const signature = Buffer.alloc(64).toString("base64");
    const message = {
      type: "register",
      id: "x",
      host: "r",
      key,
      signature,
      facts: { ...facts, host },
    };
    const read = readFromAgent(JSON.stringify(message));
    return "message" in read && read.message?.type === "register" && read.message.facts.host;
  };
  for (const host of [
    "run\u200bner",
    "\ufeffrunner",
    "runner\u2060",
    "run\u{e0041}ner",
    "runne\u3164r",
  ])
    assert.equal(hostOf(host), "runner");
});

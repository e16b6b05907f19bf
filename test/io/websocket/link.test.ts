import assert from "node:assert/strict";
import { test } from "node:test";
import { closeReason } from "../../../src/io/websocket/link.ts";

for (const [name, text, want] of [
  ["a short reason", "done", "done"],
  ["123 bytes", "x".repeat(123), "x".repeat(123)],
  ["124 bytes", "x".repeat(124), "x".repeat(123)],
  ["characters of three bytes", "日".repeat(100), "日".repeat(41)],
  ["a character that would be cut in two", `${"x".repeat(122)}é`, "x".repeat(122)],
] as const)
  test(`${name} fits into a close frame`, () => assert.equal(closeReason(text), want));

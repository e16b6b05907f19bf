/** Fingerprint: which texts are one, as the pin takes it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isFingerprint } from "../../../src/io/protocol/wire.ts";
import { pinned } from "../../support/server-bytes.ts";

describe("a fingerprint", () => {
  for (const [text, want] of [
    [pinned, true],
    [`SHA256:${"A".repeat(43)}`, true],
    [`SHA256:${"A".repeat(42)}`, false],
    [`SHA256:${"A".repeat(43)}=`, false],
    [`sha256:${"A".repeat(43)}`, false],
    [`MD5:${"A".repeat(43)}`, false],
    [`SHA256:${"A".repeat(42)}_`, false],
    [`${pinned}\n`, false],
    ["", false],
  ] as const) {
    test(`${JSON.stringify(text)} is ${want ? "one" : "none"}`, () =>
      assert.equal(isFingerprint(text), want));
  }
});

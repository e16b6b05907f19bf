/** Poly1305: what RFC 8439 says comes out, and what ssh2's own says, whatever the length. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";
import { authenticate } from "../../../src/io/wasm/poly1305.ts";

function tagOf(key: Buffer, message: Buffer, headBytes = 0): string {
  const result = Buffer.alloc(16);
  authenticate(result, message.subarray(0, headBytes), message.subarray(headBytes), key);
  return result.toString("hex");
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const ietf =
  'Any submission to the IETF intended by the Contributor for publication as all or part of an IETF Internet-Draft or RFC and any statement made within the context of an IETF activity is considered an "IETF Contribution". Such statements include oral statements in IETF sessions, as well as written and electronic communications made at any time or place, which are addressed to';
const zeros = (bytes: number): string => "00".repeat(bytes);
const nearly = `e33594d7505e43b9${zeros(8)}3394d7505e4379cd01${zeros(7)}`;
const ones = "ff".repeat(16);

/** RFC 8439 2.5.2 and A.3: key, message, tag. The last are where a sum just reaches 2^130 - 5, or 2^128. */
const vectors = [
  [
    "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
    Buffer.from("Cryptographic Forum Research Group"),
    "a8061dc1305136c6c22b8baf0c0127a9",
  ],
  [zeros(32), Buffer.alloc(64), zeros(16)],
  [
    `${zeros(16)}36e5f6b5c5e06070f0efca96227a863e`,
    Buffer.from(ietf),
    "36e5f6b5c5e06070f0efca96227a863e",
  ],
  [
    `36e5f6b5c5e06070f0efca96227a863e${zeros(16)}`,
    Buffer.from(ietf),
    "f3477e7cd95417af89a6b8794c310cf0",
  ],
  [`02${zeros(31)}`, hex(ones), `03${zeros(15)}`],
  [`02${zeros(15)}${ones}`, hex(`02${zeros(15)}`), `03${zeros(15)}`],
  [`01${zeros(31)}`, hex(`${ones}f0${"ff".repeat(15)}11${zeros(15)}`), `05${zeros(15)}`],
  [`01${zeros(31)}`, hex(`${ones}fb${"fe".repeat(15)}${"01".repeat(16)}`), zeros(16)],
  [`02${zeros(31)}`, hex(`fd${"ff".repeat(15)}`), `fa${"ff".repeat(15)}`],
  [
    `01${zeros(7)}04${zeros(23)}`,
    hex(`${nearly}${zeros(16)}01${zeros(15)}`),
    `14${zeros(7)}55${zeros(7)}`,
  ],
  [`01${zeros(7)}04${zeros(23)}`, hex(`${nearly}${zeros(16)}`), `13${zeros(15)}`],
] as const;

test("the vectors of RFC 8439", () => {
  for (const [key, message, tag] of vectors) {
    assert.equal(tagOf(hex(key), message), tag);
    for (const headBytes of [1, 4, 15, 16]) assert.equal(tagOf(hex(key), message, headBytes), tag);
  }
});

test("what ssh2's own says, for packets of any length", async () => {
  const theirs = await createRequire(import.meta.url)("ssh2/lib/protocol/crypto/poly1305.js")();
  const result = theirs._malloc(16);
  const bytes = "array";
  const types = ["number", bytes, "number", bytes, "number", bytes];
  const run = theirs.cwrap("poly1305_auth", null, types);
  const lengths = [...Array(70).keys(), 32_763, 32_764, 32_765, 35_000, 65_532, 65_536, 200_000];
  for (const length of lengths)
    for (const fill of [randomBytes(length), Buffer.alloc(length, 255)]) {
      const key = length % 3 ? randomBytes(32) : Buffer.alloc(32, 255);
      const head = randomBytes(4);
      run(result, head, 4, fill, length, key);
      const tag = Buffer.from(theirs.HEAPU8.slice(result, result + 16)).toString("hex");
      assert.equal(tagOf(key, Buffer.concat([head, fill]), 4), tag, `${length} bytes`);
    }
});

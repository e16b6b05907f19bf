/** Host key pin: a server whose bytes lead to the right key, or do not end yet, in whatever chunks they come. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pinHostKey } from "../../../src/io/client/host-key-pin.ts";
import {
  curve,
  hello,
  ignored,
  kexes,
  newKeys,
  offer,
  packet,
  pinned,
  type Row,
  reply,
  rightKey,
  secrets,
  testRows,
  wrongKey,
} from "../../support/server-bytes.ts";

const rows: readonly Row[] = [
  ["the right key", [hello, curve, reply(rightKey), newKeys, secrets], [], "matched"],
  ...kexes.map(
    (kex): Row => [
      `the right key after an offer of ${kex}`,
      [hello, offer(kex), reply(rightKey), secrets],
      [],
      "matched",
    ],
  ),
  [
    "the right key where compression is offered, which begins only after NEWKEYS",
    [
      hello,
      offer("curve25519-sha256", { compression: "zlib@openssh.com,zlib,none" }),
      reply(rightKey),
      secrets,
    ],
    [],
    "matched",
  ],
  [
    "lines before the identification",
    [Buffer.from("hello\r\nyou\n\n"), hello, curve, reply(rightKey)],
    [],
    "matched",
  ],
  [
    "an identification that ends in a bare newline",
    [Buffer.from("SSH-2.0-x\n"), curve, reply(rightKey)],
    [],
    "matched",
  ],
  ["an old server's 1.99", [Buffer.from("SSH-1.99-x\r\n"), curve, reply(rightKey)], [], "matched"],
  [
    "ignorable packets before the key",
    [hello, curve, ...ignored, reply(rightKey), newKeys],
    [],
    "matched",
  ],
  ["nothing yet", [], [], "pending"],
  ["half an identification", [], [hello.subarray(0, 9)], "pending"],
  ["half a reply", [hello, curve], [reply(rightKey).subarray(0, -1)], "pending"],
  [
    "a goodbye instead of an offer",
    [hello, packet(1, Buffer.alloc(12))],
    [curve, reply(wrongKey)],
    "pending",
  ],
  [
    "a goodbye instead of a key",
    [hello, curve, packet(1, Buffer.alloc(12))],
    [reply(rightKey)],
    "pending",
  ],
];

describe("bytes from a server", () => {
  testRows(rows);

  test("the reply is held back until its last byte is there", () => {
    const pin = pinHostKey(pinned);
    const whole = reply(rightKey);
    pin.pass(Buffer.concat([hello, curve]));
    assert.deepEqual(pin.pass(whole.subarray(0, -1)), []);
    assert.equal(pin.verdict, "pending");
    assert.deepEqual(Buffer.concat(pin.pass(whole.subarray(-1))), whole);
  });

  test("after the match a chunk comes back as the very same object", () => {
    const pin = pinHostKey(pinned);
    pin.pass(Buffer.concat([hello, curve, reply(rightKey)]));
    const [same] = pin.pass(secrets);
    assert.equal(same, secrets);
  });
});

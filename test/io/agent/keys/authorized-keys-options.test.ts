/** Authorized keys: who may log in with a line, and from where and until when. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  admits,
  findKey,
  fingerprintOf,
  parseAuthorizedKeys,
} from "../../../../src/io/agent/keys/authorized-keys.ts";
import { anywhere, base64, line, now, only, pairs } from "../../../support/key-lines.ts";

describe("who may log in", () => {
  for (const [from, address, want] of [
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["10.0.0.0/8", "::ffff:10.0.0.1", true],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["::/0", "203.0.113.9", false],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.128/25", "192.0.2.128", true],
    ["192.0.2.7/32", "192.0.2.7", true],
    ["2001:db8::/33", "2001:db8:7fff::1", true],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["2001:DB8::1", "2001:db8:0:0:0:0:0:1", true],
    ["fe80::1", "fe80::1%eth0", true],
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "192.0.2.10", false],
    ["192.0.2.*", "192.0.2.77", true],
    ["192.0.2.?", "192.0.2.77", false],
    ["192.0.2.??", "192.0.2.77", true],
    ["192.*.2*", "192.0.2.21", true],
    ["2001:DB8:*", "2001:db8::5", true],
    ["*", "192.0.2.1", true],
    ["*,!192.0.2.1", "192.0.2.1", false],
    ["!192.0.2.1,*", "192.0.2.1", false],
    ["!192.0.2.1,*", "192.0.2.2", true],
    ["!192.0.2.1", "192.0.2.2", false],
    ["!10.0.0.0/8,10.1.0.0/16", "10.1.0.1", false],
    ["*.example.com", "192.0.2.1", false],
    ["*.example.com,192.0.2.1", "192.0.2.1", true],
    ["*", "not an address", false],
  ] as const) {
    test(`from="${from}" ${want ? "admits" : "shuts out"} ${address}`, () => {
      const key = only(`from="${from}" ${line}`);
      assert.equal(
        admits(key, { address, wallMs: now }),
        want || `the key ${key.fingerprint} may not be used from ${address}`,
      );
    });
  }

  test("an unknown address is refused by any from list, and by nothing else", () => {
    const bound = only(`from="*" ${line}`);
    assert.equal(
      admits(bound, { address: null, wallMs: now }),
      `the key ${bound.fingerprint} is bound to addresses, and the client's is not known`,
    );
    assert.equal(admits(only(line), { address: null, wallMs: now }), true);
  });

  test("a key is good up to its expiry-time and not after", () => {
    const key = only(`expiry-time="20260501Z" ${line}`);
    assert.equal(admits(key, anywhere), true);
    assert.equal(
      admits(key, { ...anywhere, wallMs: now + 1 }),
      `the key ${key.fingerprint} expired at 2026-05-01T00:00:00.000Z`,
    );
  });

  test("of several lines with one key, the first that admits decides", () => {
    const { keys } = parseAuthorizedKeys(
      [
        pairs.other.public,
        `expiry-time="20200101Z",command="old" ${line}`,
        `from="10.0.0.0/8",command="inside" ${line}`,
        `command="anywhere" ${line}`,
      ].join("\n"),
    );
    const blob = Buffer.from(base64, "base64");
    const command = (address: string): string | null => {
      const found = findKey(keys, blob, { address, wallMs: now });
      return "key" in found ? found.key.options.command : null;
    };
    assert.deepEqual([command("10.0.0.1"), command("192.0.2.1")], ["inside", "anywhere"]);
  });

  test("a key without an admitting line is told why", () => {
    const blob = Buffer.from(base64, "base64");
    const { keys } = parseAuthorizedKeys(`from="10.0.0.0/8" ${line}\n${pairs.other.public}`);
    assert.deepEqual(findKey(keys, blob, anywhere), {
      reason: `the key ${fingerprintOf(blob)} may not be used from 192.0.2.1`,
    });
    assert.deepEqual(findKey([], blob, anywhere), {
      reason: `the key ${fingerprintOf(blob)} is not authorized`,
    });
  });
});

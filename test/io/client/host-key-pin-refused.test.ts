/** Host key pin: every way in which a server is refused, in whatever chunks its bytes come. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fingerprintOf } from "../../../src/io/agent/keys/authorized-keys.ts";
import { pinHostKey } from "../../../src/io/client/host-key-pin.ts";
import {
  curve,
  damaged,
  hello,
  newKeys,
  offer,
  packet,
  pinned,
  type Row,
  reply,
  rightKey,
  secrets,
  sized,
  str,
  strict,
  testRows,
  unchecked,
  wrongKey,
} from "../../support/server-bytes.ts";

const rows: readonly Row[] = [
  [
    "the wrong key",
    [hello, curve],
    [reply(wrongKey), newKeys, secrets],
    { refused: `The server's host key is ${fingerprintOf(wrongKey)}, but ${pinned} was expected.` },
  ],
  [
    "the wrong key, and the right one after it",
    [hello, curve],
    [reply(wrongKey), reply(rightKey)],
    { refused: `The server's host key is ${fingerprintOf(wrongKey)}, but ${pinned} was expected.` },
  ],
  [
    "a group exchange, where 31 could carry the right key as a number",
    [hello],
    [offer("diffie-hellman-group-exchange-sha256,curve25519-sha256"), reply(rightKey)],
    unchecked(
      'It offers the key exchange "diffie-hellman-group-exchange-sha256", which cannot be checked.',
    ),
  ],
  [
    "a group exchange at the end of the list",
    [hello],
    [offer(`curve25519-sha256,diffie-hellman-group-exchange-sha1,${strict}`), reply(rightKey)],
    unchecked(
      'It offers the key exchange "diffie-hellman-group-exchange-sha1", which cannot be checked.',
    ),
  ],
  [
    "an unknown exchange with control characters",
    [hello],
    [offer("a\x1b[2J"), reply(rightKey)],
    unchecked('It offers the key exchange "a?[2J", which cannot be checked.'),
  ],
  [
    "no exchange at all",
    [hello],
    [offer(""), reply(rightKey)],
    unchecked('It offers the key exchange "", which cannot be checked.'),
  ],
  [
    "a guessed packet, which ssh would skip while the pin believed it",
    [hello],
    [offer("ecdh-sha2-nistp521", { guesses: 1 }), reply(rightKey), reply(wrongKey)],
    unchecked("It guesses a key exchange, which cannot be checked."),
  ],
  [
    "any true value for a guess",
    [hello],
    [offer("curve25519-sha256", { guesses: 0x80 })],
    unchecked("It guesses a key exchange, which cannot be checked."),
  ],
  [
    "an offer that goes on too long",
    [hello],
    [offer("curve25519-sha256", { tail: Buffer.alloc(5) })],
    unchecked("Its key exchange offer is malformed."),
  ],
  [
    "an offer cut short",
    [hello],
    [packet(20, Buffer.alloc(16), str("curve25519-sha256"))],
    unchecked("Its key exchange offer is malformed."),
  ],
  [
    "an offer whose list runs out of the packet",
    [hello],
    [packet(20, Buffer.alloc(16), Buffer.alloc(4, 0xff))],
    unchecked("Its key exchange offer is malformed."),
  ],
  [
    "a key before the offer",
    [hello],
    [reply(rightKey), curve],
    unchecked("Its first packet is no key exchange offer."),
  ],
  [
    "an ignorable packet before the offer",
    [hello],
    [packet(2, str("")), curve],
    unchecked("Its first packet is no key exchange offer."),
  ],
  [
    "an ignorable packet in a strict exchange",
    [hello, offer(`curve25519-sha256,${strict}`)],
    [packet(2, str("")), reply(rightKey)],
    unchecked("It sent a packet that strict key exchange forbids."),
  ],
  [
    "NEWKEYS before the key",
    [hello, curve],
    [newKeys, reply(rightKey)],
    unchecked("It went on without showing a host key."),
  ],
  [
    "a second offer",
    [hello, curve],
    [curve, reply(rightKey)],
    unchecked("It sent message 20 in the middle of the key exchange."),
  ],
  [
    "a reply of another kind",
    [hello, curve],
    [packet(33, str(rightKey)), reply(rightKey)],
    unchecked("It sent message 33 in the middle of the key exchange."),
  ],
  [
    "a login without any exchange",
    [hello, curve],
    [packet(52)],
    unchecked("It sent message 52 in the middle of the key exchange."),
  ],
  [
    "a reply whose key runs out of the packet",
    [hello, curve],
    [packet(31, Buffer.alloc(4, 0x7f), rightKey)],
    unchecked("Its key exchange reply is malformed."),
  ],
  [
    "a reply that is empty",
    [hello, curve],
    [packet(31)],
    unchecked("Its key exchange reply is malformed."),
  ],
  [
    "a packet that is too long",
    [hello],
    [sized(35_008)],
    unchecked("It sent a packet of 35008 bytes."),
  ],
  [
    "a packet of four gigabytes",
    [hello],
    [Buffer.alloc(4, 0xff)],
    unchecked("It sent a packet of 4294967299 bytes."),
  ],
  ["a packet of nothing", [hello], [Buffer.alloc(16)], unchecked("It sent a malformed packet.")],
  [
    "a packet that is no multiple of eight",
    [hello],
    [sized(20)],
    unchecked("It sent a malformed packet."),
  ],
  [
    "a packet with too little padding",
    [hello],
    [damaged((whole) => whole.writeUInt8(3, 4))],
    unchecked("It sent a malformed packet."),
  ],
  [
    "a packet of padding only",
    [hello],
    [
      damaged((whole) => whole.writeUInt8(255, 4))
        .fill(0, 0, 4)
        .fill(12, 3, 4),
    ],
    unchecked("It sent a malformed packet."),
  ],
  [
    "too much before the key",
    [hello, curve, ...Array<Buffer>(7).fill(sized(34_992))],
    [sized(34_992), reply(rightKey)],
    unchecked(`It sent ${hello.length + curve.length + 8 * 34_992} bytes and no host key.`),
  ],
  [
    "a web page",
    [Buffer.from("HTTP/1.1 400 Bad Request\r\n")],
    [Buffer.from("a\0b\n")],
    unchecked("Its first lines are not those of an ssh server."),
  ],
  [
    "a line that ends twice",
    [],
    [Buffer.from("x\rSSH-2.0-y\r\n")],
    unchecked("Its first lines are not those of an ssh server."),
  ],
  [
    "an old protocol",
    [],
    [Buffer.from("SSH-1.5-x\r\n")],
    unchecked("Its ssh identification is malformed."),
  ],
  [
    "an identification that is empty",
    [],
    [Buffer.from("SSH-\n"), hello],
    unchecked("Its ssh identification is malformed."),
  ],
  [
    "an identification of 256 bytes",
    [],
    [Buffer.from(`SSH-2.0-${"x".repeat(246)}\r\n`)],
    unchecked("Its ssh identification is malformed."),
  ],
  ["no end of a line", [], [Buffer.alloc(8193, "x")], unchecked("It sent no ssh identification.")],
  [
    "no identification among many lines",
    Array<Buffer>(81).fill(Buffer.from(`${"x".repeat(99)}\n`)),
    [Buffer.from(`${"x".repeat(99)}\n`)],
    unchecked("It sent no ssh identification."),
  ],
];

describe("bytes from a server", () => {
  testRows(rows);

  test("after a refusal nothing ever comes out", () => {
    const pin = pinHostKey(pinned);
    pin.pass(Buffer.concat([hello, curve, reply(wrongKey)]));
    assert.deepEqual(pin.pass(Buffer.concat([reply(rightKey), secrets])), []);
  });
});

/**
 * Host key pin: every way the server's bytes may go as a row, in whatever chunks they come.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fingerprintOf } from "../../../src/io/agent/keys/authorized-keys.ts";
import { pinHostKey, type Verdict } from "../../../src/io/client/host-key-pin.ts";
import { isFingerprint } from "../../../src/io/protocol/wire.ts";

const strict = "kex-strict-s-v00@openssh.com";
const rightKey = Buffer.from("0000000b7373682d65643235353139", "hex");
const wrongKey = Buffer.concat([rightKey, Buffer.from("x")]);
const pinned = fingerprintOf(rightKey);

function str(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function packet(type: number, ...fields: Buffer[]): Buffer {
  const payload = Buffer.concat([Buffer.of(type), ...fields]);
  const padding = 4 + ((8 - ((payload.length + 9) % 8)) % 8);
  const whole = Buffer.alloc(5 + payload.length + padding);
  whole.writeUInt32BE(whole.length - 4);
  whole.writeUInt8(padding, 4);
  payload.copy(whole, 5);
  return whole;
}

function offer(
  kex: string,
  { guesses = 0, compression = "none", tail = Buffer.alloc(4) } = {},
): Buffer {
  const lists = [kex, "ssh-ed25519", "c", "c", "m", "m", compression, compression, "", ""];
  return packet(20, Buffer.alloc(16, 7), ...lists.map(str), Buffer.of(guesses), tail);
}

function reply(key: Buffer): Buffer {
  return packet(31, str(key), str(Buffer.alloc(32, 1)), str(Buffer.alloc(83, 2)));
}

const hello = Buffer.from("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
const curve = offer("curve25519-sha256");
const newKeys = packet(21);
const secrets = Buffer.alloc(5000, 0xff);
const ignored = [
  packet(2, str("x")),
  packet(4, Buffer.of(0), str("d"), str("")),
  packet(3, Buffer.alloc(4)),
];
const unchecked = (what: string): Verdict => ({
  refused: `The server's host key could not be checked: ${what}`,
});
const kexes = [
  "curve25519-sha256,curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521",
  "diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512",
  "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com",
  "mlkem768x25519-sha256,mlkem768nistp256-sha256,mlkem1024nistp384-sha384",
  `curve25519-sha256,ext-info-s,${strict}`,
];
/** A packet of that many bytes in all, with a true length field. */
function sized(size: number): Buffer {
  const whole = Buffer.alloc(size);
  whole.writeUInt32BE(size - 4);
  whole[4] = 4;
  whole[5] = 2;
  return whole;
}
const damaged = (change: (whole: Buffer) => void): Buffer => {
  const whole = Buffer.from(curve);
  change(whole);
  return whole;
};

/** Name, what may be handed on, what must not (and all that follows it), the verdict. */
type Row = readonly [name: string, harmless: Buffer[], rest: Buffer[], verdict: Verdict];

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

/** Hands the bytes over in pieces of that size and returns all that comes out. */
function passedOn(bytes: Buffer, size: number): { out: Buffer; verdict: Verdict } {
  const pin = pinHostKey(pinned);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    out.push(...pin.pass(bytes.subarray(at, at + size)));
  }
  return { out: Buffer.concat(out), verdict: pin.verdict };
}

describe("bytes from a server", () => {
  for (const [name, harmless, rest, verdict] of rows) {
    for (const size of [Number.MAX_SAFE_INTEGER, 1, 7]) {
      const how = size === 1 ? "byte by byte" : size === 7 ? "in sevens" : "at once";
      test(`${name}, ${how}`, () => {
        const got = passedOn(Buffer.concat([...harmless, ...rest]), size);
        assert.deepEqual(got.verdict, verdict);
        assert.ok(got.out.equals(Buffer.concat(harmless)), `${got.out.length} bytes came out`);
      });
    }
  }

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

  test("after a refusal nothing ever comes out", () => {
    const pin = pinHostKey(pinned);
    pin.pass(Buffer.concat([hello, curve, reply(wrongKey)]));
    assert.deepEqual(pin.pass(Buffer.concat([reply(rightKey), secrets])), []);
  });
});

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

/**
 * Host key pin: every way the server's bytes may go as a row, then real ssh clients through a proxy
 * that asks the pin, to an ssh2 server and to OpenSSH's own sshd.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { after, describe, test } from "node:test";
import ssh2 from "ssh2";
import { fingerprintOf } from "../../src/io/authorized-keys.ts";
import { pinHostKey, type Verdict } from "../../src/io/host-key-pin.ts";
import { isFingerprint } from "../../src/io/wire.ts";
import { ed25519Pair } from "../support/ed25519-pair.ts";

const { Server } = ssh2;

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

interface Far {
  readonly from: Readable;
  readonly to: Writable;
  close(): void;
}

/** Runs ssh to a port behind which stands the far end, with the pin between them. */
async function sshThrough(
  fingerprint: string,
  far: () => Far,
  args: readonly string[],
): Promise<{ status: number; said: string; verdict: Verdict }> {
  const pin = pinHostKey(fingerprint);
  const proxy = createServer((near) => {
    const { from, to, close } = far();
    near.on("error", () => undefined).on("close", close);
    to.on("error", () => undefined);
    near.pipe(to);
    from.on("error", () => undefined).on("end", () => near.end());
    from.on("data", (chunk: Buffer) => {
      for (const bytes of pin.pass(chunk)) near.write(bytes);
      if (typeof pin.verdict === "object") near.destroy();
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
  const ssh = spawn(
    "ssh",
    [
      "-F",
      "none",
      ...options.flatMap((o) => ["-o", o]),
      "-p",
      `${port}`,
      ...args,
      "me@127.0.0.1",
      "x",
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  ssh.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  ssh.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = await once(ssh, "close");
  proxy.close();
  return { status: Number(status), said, verdict: pin.verdict };
}

function fingerprintOfText(publicKey: string): string {
  return fingerprintOf(Buffer.from(publicKey.split(" ")[1] ?? "", "base64"));
}

describe("a real ssh", () => {
  const folder = mkdtempSync(join(tmpdir(), "converge-pin-"));
  // sshd as root wants /run/sshd; as nobody it does not, but must be able to read its files.
  chmodSync(folder, 0o755);
  after(() => rmSync(folder, { recursive: true, force: true }));
  const other = fingerprintOfText(ed25519Pair().public);

  for (const kex of [
    "curve25519-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
  ] as const) {
    for (const isRight of [true, false]) {
      test(`with ${kex} ${isRight ? "gets through to" : "never talks to"} an ssh2 server with ${isRight ? "the pinned" : "another"} key`, async () => {
        const host = ed25519Pair();
        let asked = 0;
        const server = new Server(
          { hostKeys: [host.private], algorithms: { kex: [kex] } },
          (client) => {
            client.on("error", () => undefined);
            client.on("authentication", (auth) => {
              asked++;
              auth.accept();
            });
            client.on("session", (accept) => {
              accept().on("exec", (take) => {
                const channel = take();
                channel.write("here");
                channel.exit(0);
                channel.end();
              });
            });
          },
        );
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        const { port } = server.address() as AddressInfo;
        const shown = fingerprintOfText(host.public);
        const far = (): Far => {
          const socket = connect(port, "127.0.0.1");
          return { from: socket, to: socket, close: () => socket.destroy() };
        };
        const got = await sshThrough(isRight ? shown : other, far, ["-o", "LogLevel=ERROR"]);
        server.close();
        if (isRight) {
          assert.deepEqual(got, { status: 0, said: "here", verdict: "matched" });
        } else {
          const refused = `The server's host key is ${shown}, but ${other} was expected.`;
          assert.deepEqual([got.status, got.verdict, asked], [255, { refused }, 0]);
        }
      });
    }
  }

  const hostKey = join(folder, "host");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", hostKey]);
  const hostFingerprint = fingerprintOfText(readFileSync(`${hostKey}.pub`, "utf8"));
  const asNobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if ("uid" in asNobody) chmodSync(hostKey, 0o644);

  /** One sshd for one connection, on its stdin and stdout. */
  function sshd(...lines: string[]): () => Far {
    const config = join(folder, `sshd-${lines.length}`);
    writeFileSync(config, ["UsePAM no", "AuthorizedKeysFile none", ...lines, ""].join("\n"));
    return () => {
      const child = spawn("/usr/sbin/sshd", ["-i", "-e", "-f", config, "-h", hostKey], {
        stdio: ["pipe", "pipe", "ignore"],
        ...asNobody,
      });
      return { from: child.stdout, to: child.stdin, close: () => void child.kill() };
    };
  }

  for (const [kex, kexName] of [
    ["curve25519-sha256", "curve25519-sha256"],
    ["sntrup761x25519-sha512@openssh.com", "sntrup761x25519-sha512@openssh.com"],
    ["ecdh-sha2-nistp384,diffie-hellman-group18-sha512", "ecdh-sha2-nistp384"],
  ] as const) {
    test(`reaches OpenSSH's sshd by ${kexName} as far as its login, with the pinned key`, async () => {
      const far = sshd(`KexAlgorithms ${kex}`);
      const got = await sshThrough(hostFingerprint, far, ["-v"]);
      assert.equal(got.verdict, "matched");
      assert.match(got.said, new RegExp(`kex: algorithm: ${kexName}`));
      assert.match(got.said, /Permission denied \(/);
    });
  }

  test("never sees the key of OpenSSH's sshd when another is pinned", async () => {
    const got = await sshThrough(other, sshd("KexAlgorithms curve25519-sha256"), ["-v"]);
    const refused = `The server's host key is ${hostFingerprint}, but ${other} was expected.`;
    assert.deepEqual([got.status, got.verdict], [255, { refused }]);
    assert.doesNotMatch(got.said, /Server host key|Permission denied/);
  });

  test("is refused by OpenSSH's sshd as it comes, since that offers a group exchange", async () => {
    const got = await sshThrough(hostFingerprint, sshd(), ["-v"]);
    assert.deepEqual(
      got.verdict,
      unchecked(
        'It offers the key exchange "diffie-hellman-group-exchange-sha256", which cannot be checked.',
      ),
    );
    assert.doesNotMatch(got.said, /Server host key|Permission denied/);
  });
});

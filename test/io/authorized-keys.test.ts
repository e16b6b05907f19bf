/**
 * Authorized keys: every rule of the file as a row, then real ssh clients whose signatures are judged.
 * ssh-keygen says what a fingerprint is, so that this is not checked against itself.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import ssh2, { type AuthContext } from "ssh2";
import {
  type AuthorizedKey,
  admits,
  findKey,
  fingerprintOf,
  type KeyOptions,
  parseAuthorizedKeys,
  verifies,
} from "../../src/io/authorized-keys.ts";
import { ed25519Pair } from "../support/ed25519-pair.ts";

const { Server, utils } = ssh2;

const pairs = {
  ed25519: ed25519Pair(),
  other: ed25519Pair(),
  p256: utils.generateKeyPairSync("ecdsa", { bits: 256 }),
  p384: utils.generateKeyPairSync("ecdsa", { bits: 384 }),
  p521: utils.generateKeyPairSync("ecdsa", { bits: 521 }),
  rsa: utils.generateKeyPairSync("rsa", { bits: 2048 }),
  rsa1024: utils.generateKeyPairSync("rsa", { bits: 1024 }),
};
const line = pairs.ed25519.public.trim();
const [, base64 = ""] = line.split(" ");
const now = Date.UTC(2026, 4, 1);
const anywhere = { address: "192.0.2.1", wallMs: now };

function str(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function sha256(data: Buffer | string): Buffer {
  return createHash("sha256").update(data).digest();
}

function only(text: string): AuthorizedKey {
  const { keys, refused } = parseAuthorizedKeys(text);
  assert.deepEqual(refused, []);
  const [key] = keys;
  assert.ok(key !== undefined && keys.length === 1);
  return key;
}

/** A security key in software: its wire form, and what it answers, PROTOCOL.u2f. */
interface SecurityKey {
  readonly type: string;
  readonly blob: Buffer;
  signature(data: Buffer, flags: number): Buffer;
}

function securityKeys(): SecurityKey[] {
  const ed = generateKeyPairSync("ed25519");
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const part = (key: KeyObject, name: "x" | "y"): Buffer =>
    Buffer.from(String(key.export({ format: "jwk" })[name]), "base64url");
  const edType = "sk-ssh-ed25519@openssh.com";
  const ecType = "sk-ecdsa-sha2-nistp256@openssh.com";
  const tailed = (data: Buffer, flags: number, prove: (message: Buffer) => Buffer): Buffer => {
    const tail = Buffer.from([flags, 0, 0, 0, 7]);
    return Buffer.concat([str(prove(Buffer.concat([sha256("ssh:"), tail, sha256(data)]))), tail]);
  };
  const mpint = (n: Buffer): Buffer => {
    const bare = n.subarray(n.findIndex((byte) => byte !== 0));
    return str((bare[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.alloc(1), bare]) : bare);
  };
  return [
    {
      type: edType,
      blob: Buffer.concat([str(edType), str(part(ed.publicKey, "x")), str("ssh:")]),
      signature: (data, flags) =>
        Buffer.concat([
          str(edType),
          tailed(data, flags, (message) => sign(null, message, ed.privateKey)),
        ]),
    },
    {
      type: ecType,
      blob: Buffer.concat([
        str(ecType),
        str("nistp256"),
        str(Buffer.concat([Buffer.from([4]), part(ec.publicKey, "x"), part(ec.publicKey, "y")])),
        str("ssh:"),
      ]),
      signature: (data, flags) =>
        Buffer.concat([
          str(ecType),
          tailed(data, flags, (message) => {
            const rs = sign("sha256", message, {
              key: ec.privateKey,
              dsaEncoding: "ieee-p1363",
            });
            return Buffer.concat([mpint(rs.subarray(0, 32)), mpint(rs.subarray(32))]);
          }),
        ]),
    },
  ];
}

describe("what a line says", () => {
  const open: KeyOptions = {
    pty: true,
    portForwarding: true,
    agentForwarding: true,
    command: null,
    from: null,
    expiresAt: null,
    environment: [],
  };
  const closed = { pty: false, portForwarding: false, agentForwarding: false };
  for (const [options, want] of [
    ["", {}],
    ["no-pty", { pty: false }],
    ["No-PTY", { pty: false }],
    ["no-port-forwarding", { portForwarding: false }],
    ["no-agent-forwarding", { agentForwarding: false }],
    ["no-X11-forwarding,X11-forwarding,no-user-rc,user-rc", {}],
    ["restrict", closed],
    ["restrict,pty", { ...closed, pty: true }],
    ["restrict,port-forwarding,agent-forwarding", { pty: false }],
    ["pty,restrict", closed],
    ["no-pty,pty", {}],
    ["restrict,X11-forwarding,user-rc", closed],
    ['command="uptime"', { command: "uptime" }],
    ['command=""', { command: "" }],
    ['COMMAND="echo \\"a, b\\" #c\\d"', { command: 'echo "a, b" #c\\d' }],
    ['from="10.0.0.0/8,!10.1.*,2001:db8::/32"', { from: "10.0.0.0/8,!10.1.*,2001:db8::/32" }],
    ['from="*.example.com,192.0.2.?"', { from: "*.example.com,192.0.2.?" }],
    ['expiry-time="20260501Z"', { expiresAt: Date.UTC(2026, 4, 1) }],
    ['expiry-time="202605011230z"', { expiresAt: Date.UTC(2026, 4, 1, 12, 30) }],
    ['expiry-time="20260501123045Z"', { expiresAt: Date.UTC(2026, 4, 1, 12, 30, 45) }],
    ['expiry-time="20260501"', { expiresAt: new Date(2026, 4, 1).getTime() }],
    ['expiry-time="202605011230"', { expiresAt: new Date(2026, 4, 1, 12, 30).getTime() }],
    ['expiry-time="20270101Z",expiry-time="20260501Z"', { expiresAt: Date.UTC(2026, 4, 1) }],
    [
      'environment="A=1",environment="B_2=x = y"',
      {
        environment: [
          ["A", "1"],
          ["B_2", "x = y"],
        ],
      },
    ],
    ['environment="A=1",environment="A=2"', { environment: [["A", "1"]] }],
    ['environment="A="', { environment: [["A", ""]] }],
  ] as const) {
    test(`options ${options || "(none)"} are honoured`, () => {
      assert.deepEqual(only(`${options} ${line}`).options, { ...open, ...want });
    });
  }

  for (const [name, text] of [
    ["spaces and tabs around", `  \t${line}\t a@b `],
    ["a UTF-8 byte order mark before it", `\uFEFF${line} a@b`],
    ["CRLF at its end", `# x\r\n\r\n${line} a@b\r\n`],
    ["comments and blank lines about it", `\n# ${line}\n   # y\n${line} a@b\n\n`],
    ["options after a tab", `\trestrict,pty\t${line}  a@b`],
  ] as const) {
    test(`a line may have ${name}`, () => {
      const key = only(text);
      assert.deepEqual([key.type, key.comment], ["ssh-ed25519", "a@b"]);
      assert.deepEqual(key.blob, Buffer.from(base64, "base64"));
    });
  }

  for (const [name, comment, want] of [
    ["keeps its words", "me at home # desk", "me at home # desk"],
    ["loses control characters", "a\x1b[31mb\x07\u009b\u202ec", "a[31mbc"],
    ["is cut after 200 characters", "x".repeat(300), "x".repeat(200)],
  ] as const) {
    test(`a comment ${name}`, () => assert.equal(only(`${line} ${comment}`).comment, want));
  }
});

describe("lines that are refused", () => {
  const [, rsa1024 = ""] = pairs.rsa1024.public.split(" ");
  const cert = "ssh-ed25519-cert-v01@openssh.com";
  const p256 = Buffer.from(pairs.p256.public.split(" ")[1] ?? "", "base64");
  const wrongCurve = Buffer.from(
    p256.toString("latin1").replace("\bnistp256", "\bnistp384"),
    "latin1",
  );
  const [securityKey] = securityKeys();
  assert.ok(securityKey !== undefined);
  const longKey = Buffer.concat([securityKey.blob, str("more")]);
  const offCurve = Buffer.concat([
    str("ecdsa-sha2-nistp256"),
    str("nistp256"),
    str(Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)])),
  ]);
  const trailing = Buffer.concat([Buffer.from(base64, "base64"), str("more")]);
  for (const [text, reason] of [
    [`permitopen="host:1" ${line}`, 'its option "permitopen" is not supported'],
    [`permitlisten="1" ${line}`, 'its option "permitlisten" is not supported'],
    [`principals="me" ${line}`, 'its option "principals" is not supported'],
    [`cert-authority ${line}`, 'its option "cert-authority" is not supported'],
    [`tunnel="0" ${line}`, 'its option "tunnel" is not supported'],
    [`no-touch-required ${line}`, 'its option "no-touch-required" is not supported'],
    [`restrict,verify-required ${line}`, 'its option "verify-required" is not supported'],
    [`no-restrict ${line}`, 'its option "no-restrict" is not supported'],
    [`constructor ${line}`, 'its option "constructor" is not supported'],
    [`a\x1b[2Jb ${line}`, 'its option "a[2Jb" is not supported'],
    [`pty="yes" ${line}`, 'its option "pty" takes no value'],
    [`restrict= ${line}`, 'its option "restrict" takes no value'],
    [`command ${line}`, 'its option "command" needs a value in double quotes'],
    [`command=ls ${line}`, 'its option "command" needs a value in double quotes'],
    [`command="a",command="b" ${line}`, "it has more than one command"],
    [`from="*",from="*" ${line}`, "it has more than one from list"],
    [`restrict, ${line}`, "its options are malformed"],
    [`,pty ${line}`, "its options are malformed"],
    [`pty,,pty ${line}`, "its options are malformed"],
    [`command="a"b ${line}`, "its options are malformed"],
    [`command="a"xpty ${line}`, "its options are malformed"],
    [
      `environment="A=1",${Array.from({ length: 100 }, (_, n) => `environment="A${n}=",`).join("")}pty ${line}`,
      "it has more than 100 environment values",
    ],
    [`${securityKey.type} ${longKey.toString("base64")}`, "its key is damaged"],
    [`command="a ${line}`, "its options have no closing quote"],
    [`command="a\\" ${line}`, "its options have no closing quote"],
    ["restrict", "it has options but no key"],
    [`environment="A" ${line}`, 'its environment "A" is not NAME=value'],
    [`environment="A-B=1" ${line}`, 'its environment "A-B=1" is not NAME=value'],
    [`expiry-time="2026" ${line}`, 'its expiry-time "2026" is not YYYYMMDD[HHMM[SS]][Z]'],
    [`expiry-time="20260231Z" ${line}`, 'its expiry-time "20260231Z" is not YYYYMMDD[HHMM[SS]][Z]'],
    [
      `expiry-time="202605012460" ${line}`,
      'its expiry-time "202605012460" is not YYYYMMDD[HHMM[SS]][Z]',
    ],
    [
      `from="10.0.0.1/8" ${line}`,
      'its from list cannot be used: "10.0.0.1/8" has address bits beyond its mask',
    ],
    [
      `from="2001:db8::1/64" ${line}`,
      'its from list cannot be used: "2001:db8::1/64" has address bits beyond its mask',
    ],
    [`from="10.0.0.0/33" ${line}`, 'its from list cannot be used: "10.0.0.0/33" is no network'],
    [`from="10.*/8" ${line}`, 'its from list cannot be used: "10.*/8" is no network'],
    [`from="10.0.0.1," ${line}`, "its from list cannot be used: it has an empty item"],
    [`from="" ${line}`, "its from list cannot be used: it has an empty item"],
    [
      `from="10.0.0.1, 10.0.0.2" ${line}`,
      'its from list cannot be used: " 10.0.0.2" is no address or pattern',
    ],
    [
      `from="*,!bad.example" ${line}`,
      'its from list cannot be used: "!bad.example" is a host name, and host names are not looked up',
    ],
    ["ssh-ed25519", "its key is not base64"],
    ["ssh-ed25519 !!!!", "its key is not base64"],
    [`ssh-ed25519 ${base64.slice(0, -1)}`, "its key is not base64"],
    [`ssh-ed25519 ${base64.slice(0, -4)}`, "its key is damaged"],
    [`ssh-ed25519 ${trailing.toString("base64")}`, "its key is damaged"],
    [`ssh-ed25519 ${Buffer.from("AAAA").toString("base64")}`, "its key is damaged"],
    [`ecdsa-sha2-nistp256 ${wrongCurve.toString("base64")}`, "its key is damaged"],
    [`ecdsa-sha2-nistp256 ${offCurve.toString("base64")}`, "its key is damaged"],
    [`ssh-rsa ${base64}`, "it says ssh-rsa, but the key itself is of another type"],
    [`ssh-rsa ${rsa1024}`, "its RSA key has 1024 bits, and fewer than 2048 are too weak"],
    [`ssh-dss ${base64}`, "DSA keys are too weak; make an Ed25519 key"],
    [
      `${cert} ${base64}`,
      "it is a certificate, and certificates are not supported; put the plain public key there",
    ],
    [`ssh-future ${base64}`, 'its key type "ssh-future" is not supported'],
    [`restrict ssh-future ${base64}`, 'its key type "ssh-future" is not supported'],
    [line.split("").join("\0"), "it holds NUL bytes; save the file as UTF-8, not UTF-16"],
  ] as const) {
    test(`${JSON.stringify(text.slice(0, 40))} is refused: ${reason}`, () => {
      assert.deepEqual(parseAuthorizedKeys(text), { keys: [], refused: [{ line: 1, reason }] });
    });
  }

  test("a bad line is refused by its number and the others apply", () => {
    const { keys, refused } = parseAuthorizedKeys(
      `# mine\r\n${line} a\r\nrubbish\r\n\r\ntunnel="1" ${line}\r\n${pairs.other.public}`,
    );
    assert.deepEqual(
      keys.map((key) => key.fingerprint),
      [fingerprintOf(Buffer.from(base64, "base64")), only(pairs.other.public).fingerprint],
    );
    assert.deepEqual(refused, [
      { line: 3, reason: 'its option "rubbish" is not supported' },
      { line: 5, reason: 'its option "tunnel" is not supported' },
    ]);
  });

  test("no text, however broken, makes the parser throw", () => {
    const whole = `restrict,from="10.0.0.0/8",command="a\\"b" ${line} c`;
    for (let cutAt = 0; cutAt < whole.length; cutAt++) {
      parseAuthorizedKeys(whole.slice(cutAt));
      parseAuthorizedKeys(whole.slice(0, cutAt));
      parseAuthorizedKeys(`${whole.slice(0, cutAt)}"${whole.slice(cutAt + 1)}`);
    }
    parseAuthorizedKeys('"\\'.repeat(50_000));
  });
});

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

describe("signatures", () => {
  test("a fingerprint is what ssh-keygen says", () => {
    for (const pair of Object.values(pairs)) {
      const said = execFileSync("ssh-keygen", ["-lf", "-"], {
        input: pair.public,
        encoding: "utf8",
      });
      const [, blob = ""] = pair.public.split(" ");
      assert.equal(fingerprintOf(Buffer.from(blob, "base64")), said.split(" ")[1]);
    }
  });

  for (const [name, hash] of [
    ["ed25519", undefined],
    ["p256", undefined],
    ["p384", undefined],
    ["p521", undefined],
    ["rsa", "sha256"],
    ["rsa", "sha512"],
  ] as const) {
    test(`${name} ${hash ?? ""} verifies its own signature and no other`, () => {
      const key = only(pairs[name].public);
      const secret = utils.parseKey(pairs[name].private);
      assert.ok(!(secret instanceof Error));
      const blob = Buffer.from("what is signed");
      const signature = secret.sign(blob, hash);
      const signed = { algo: key.type, hashAlgo: hash, signature, blob };
      assert.equal(verifies(key, signed), true);
      assert.equal(verifies(key, { ...signed, blob: Buffer.from("what is not") }), false);
      assert.equal(verifies(key, { ...signed, signature: signature.subarray(1) }), false);
      assert.equal(verifies(key, { ...signed, signature: Buffer.alloc(0) }), false);
      assert.equal(verifies(key, { ...signed, algo: "ssh-dss" }), false);
      assert.equal(verifies(only(pairs.other.public), { ...signed, algo: "ssh-ed25519" }), false);
    });
  }

  test("an RSA signature with SHA-1, or of no named hash, is none", () => {
    const key = only(pairs.rsa.public);
    const secret = utils.parseKey(pairs.rsa.private);
    assert.ok(!(secret instanceof Error));
    const blob = Buffer.from("x");
    for (const hashAlgo of ["sha1", undefined]) {
      const signature = secret.sign(blob, "sha1");
      assert.equal(verifies(key, { algo: "ssh-rsa", hashAlgo, signature, blob }), false);
    }
  });

  for (const security of securityKeys()) {
    test(`${security.type} verifies only what was signed by touch`, () => {
      const key = only(`restrict,pty ${security.type} ${security.blob.toString("base64")} stick`);
      const blob = Buffer.from("what is signed");
      // What ssh2's server leaves of a signature: without the algorithm and the inner length.
      const bare = (flags: number): Buffer =>
        security.signature(blob, flags).subarray(4 + security.type.length + 4);
      const signed = { algo: key.type, hashAlgo: undefined, signature: bare(1), blob };
      assert.equal(verifies(key, signed), true);
      assert.equal(verifies(key, { ...signed, signature: bare(5) }), true);
      assert.equal(verifies(key, { ...signed, signature: bare(0) }), false);
      assert.equal(
        verifies(key, { ...signed, signature: Buffer.concat([bare(1), Buffer.of(1)]) }),
        false,
      );
      assert.equal(
        verifies(key, {
          ...signed,
          signature: Buffer.concat([bare(1).subarray(0, -1), Buffer.of(9)]),
        }),
        false,
      );
      assert.equal(verifies(key, { ...signed, blob: Buffer.from("x") }), false);
      for (const n of [0, 3, 5, 20]) {
        assert.equal(verifies(key, { ...signed, signature: bare(1).subarray(0, n) }), false);
      }
    });
  }
});

describe("a real ssh", () => {
  const folder = mkdtempSync(join(tmpdir(), "converge-keys-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Whether ssh with these arguments logs in at a server that knows this file. */
  async function logsIn(file: string, args: string[]): Promise<boolean> {
    const { keys } = parseAuthorizedKeys(file);
    const hostKeys = [ed25519Pair().private];
    const server = new Server({ hostKeys }, (client) => {
      client.on("error", () => undefined);
      client.on("authentication", (auth: AuthContext) => {
        if (auth.method !== "publickey") return auth.reject(["publickey"]);
        const found = findKey(keys, auth.key.data, anywhere);
        if (!("key" in found)) return auth.reject(["publickey"]);
        const { signature, blob, hashAlgo } = auth;
        if (signature === undefined || blob === undefined) return auth.accept();
        const signed = { algo: auth.key.algo, hashAlgo, signature, blob };
        return verifies(found.key, signed) ? auth.accept() : auth.reject(["publickey"]);
      });
      client.on("session", (accept) => {
        accept().on("exec", (take) => {
          const channel = take();
          channel.exit(0);
          channel.end();
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const common = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
    const ssh = spawn(
      "ssh",
      [
        "-F",
        "none",
        ...common.flatMap((o) => ["-o", o]),
        "-p",
        `${port}`,
        ...args,
        "me@127.0.0.1",
        "x",
      ],
      { stdio: "ignore" },
    );
    const [status] = await once(ssh, "exit");
    server.close();
    return status === 0;
  }

  function keyFile(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  // Not rsa-sha2-512 alone: ssh2 1.17 lacks a comma before it in the server-sig-algs it announces.
  for (const [name, extra] of [
    ["ed25519", []],
    ["p256", []],
    ["p384", []],
    ["p521", []],
    ["rsa", ["-o", "PubkeyAcceptedAlgorithms=rsa-sha2-256"]],
    ["rsa", []],
  ] as const) {
    test(`logs in with ${name} ${extra.join(" ")}, and not when another key is listed`, async () => {
      const path = keyFile(`${name}${extra.length}`, pairs[name].private);
      const args = ["-i", path, "-o", "IdentitiesOnly=yes", ...extra];
      assert.equal(await logsIn(pairs[name].public, args), true);
      assert.equal(await logsIn(pairs.other.public, args), false);
    });
  }

  for (const [n, security] of securityKeys().entries()) {
    for (const [touched, flags] of [
      ["a touched", 1],
      ["an untouched", 0],
    ] as const) {
      test(`with ${touched} ${security.type} in its agent ${flags ? "logs in" : "is refused"}`, async () => {
        const path = join(folder, `agent${n}${flags}`);
        const agent = createServer((socket) => answerAsAgent(socket, security, flags));
        agent.listen(path);
        await once(agent, "listening");
        const file = `${security.type} ${security.blob.toString("base64")} stick`;
        assert.equal(await logsIn(file, ["-o", `IdentityAgent=${path}`]), flags === 1);
        agent.close();
      });
    }
  }
});

/** Just enough of an ssh agent (draft-ietf-sshm-ssh-agent): lists one key and signs with it. */
function answerAsAgent(socket: Socket, security: SecurityKey, flags: number): void {
  let held = Buffer.alloc(0);
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const asked = held.subarray(4, 4 + held.readUInt32BE(0));
      held = held.subarray(4 + asked.length);
      if (asked[0] === 11) {
        const list = Buffer.concat([
          Buffer.from([12, 0, 0, 0, 1]),
          str(security.blob),
          str("stick"),
        ]);
        socket.write(str(list));
      } else if (asked[0] === 13) {
        const at = 1 + 4 + asked.readUInt32BE(1);
        const data = asked.subarray(at + 4, at + 4 + asked.readUInt32BE(at));
        socket.write(str(Buffer.concat([Buffer.from([14]), str(security.signature(data, flags))])));
      } else {
        socket.write(str(Buffer.from([5])));
      }
    }
  });
}

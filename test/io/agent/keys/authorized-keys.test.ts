/**
 * Authorized keys: every rule of the file as a row.
 * ssh-keygen says what a fingerprint is, so that this is not checked against itself.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  fingerprintOf,
  type KeyOptions,
  parseAuthorizedKeys,
} from "../../../../src/io/agent/keys/authorized-keys.ts";
import { base64, line, only, pairs, securityKeys, str } from "../../../support/key-lines.ts";

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

/** Key lines: keys of every type, security keys too, and what is asked of a line that holds one. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import ssh2 from "ssh2";
import {
  type AuthorizedKey,
  parseAuthorizedKeys,
} from "../../src/io/agent/keys/authorized-keys.ts";
import { ed25519Pair } from "./ed25519-pair.ts";

export const { Server, utils } = ssh2;

export const pairs = {
  ed25519: ed25519Pair(),
  other: ed25519Pair(),
  p256: utils.generateKeyPairSync("ecdsa", { bits: 256 }),
  p384: utils.generateKeyPairSync("ecdsa", { bits: 384 }),
  p521: utils.generateKeyPairSync("ecdsa", { bits: 521 }),
  rsa: utils.generateKeyPairSync("rsa", { bits: 2048 }),
  rsa1024: utils.generateKeyPairSync("rsa", { bits: 1024 }),
};
export const line = pairs.ed25519.public.trim();
export const [, base64 = ""] = line.split(" ");
export const now = Date.UTC(2026, 4, 1);
export const anywhere = { address: "192.0.2.1", wallMs: now };

export function str(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function sha256(data: Buffer | string): Buffer {
  return createHash("sha256").update(data).digest();
}

export function only(text: string): AuthorizedKey {
  const { keys, refused } = parseAuthorizedKeys(text);
  assert.deepEqual(refused, []);
  const [key] = keys;
  assert.ok(key !== undefined && keys.length === 1);
  return key;
}

/** A security key in software: its wire form, and what it answers, PROTOCOL.u2f. */
export interface SecurityKey {
  readonly type: string;
  readonly blob: Buffer;
  signature(data: Buffer, flags: number): Buffer;
}

export function securityKeys(): SecurityKey[] {
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

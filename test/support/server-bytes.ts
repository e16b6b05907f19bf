/**
 * Server bytes: the packets of an ssh server up to its host key (RFC 4253), and the tests that hand
 * such bytes to the pin in pieces of each size.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprintOf } from "../../src/io/agent/keys/authorized-keys.ts";
import { pinHostKey, type Verdict } from "../../src/io/client/host-key-pin.ts";

export const strict = "kex-strict-s-v00@openssh.com";
export const rightKey = Buffer.from("0000000b7373682d65643235353139", "hex");
export const wrongKey = Buffer.concat([rightKey, Buffer.from("x")]);
export const pinned = fingerprintOf(rightKey);

export function str(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function packet(type: number, ...fields: Buffer[]): Buffer {
  const payload = Buffer.concat([Buffer.of(type), ...fields]);
  const padding = 4 + ((8 - ((payload.length + 9) % 8)) % 8);
  const whole = Buffer.alloc(5 + payload.length + padding);
  whole.writeUInt32BE(whole.length - 4);
  whole.writeUInt8(padding, 4);
  payload.copy(whole, 5);
  return whole;
}

export function offer(
  kex: string,
  { guesses = 0, compression = "none", tail = Buffer.alloc(4) } = {},
): Buffer {
  const lists = [kex, "ssh-ed25519", "c", "c", "m", "m", compression, compression, "", ""];
  return packet(20, Buffer.alloc(16, 7), ...lists.map(str), Buffer.of(guesses), tail);
}

export function reply(key: Buffer): Buffer {
  return packet(31, str(key), str(Buffer.alloc(32, 1)), str(Buffer.alloc(83, 2)));
}

export const hello = Buffer.from("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
export const curve = offer("curve25519-sha256");
export const newKeys = packet(21);
export const secrets = Buffer.alloc(5000, 0xff);
export const ignored = [
  packet(2, str("x")),
  packet(4, Buffer.of(0), str("d"), str("")),
  packet(3, Buffer.alloc(4)),
];
export const unchecked = (what: string): Verdict => ({
  refused: `The server's host key could not be checked: ${what}`,
});
export const kexes = [
  "curve25519-sha256,curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521",
  "diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512",
  "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com",
  "mlkem768x25519-sha256,mlkem768nistp256-sha256,mlkem1024nistp384-sha384",
  `curve25519-sha256,ext-info-s,${strict}`,
];
/** A packet of that many bytes in all, with a true length field. */
export function sized(size: number): Buffer {
  const whole = Buffer.alloc(size);
  whole.writeUInt32BE(size - 4);
  whole[4] = 4;
  whole[5] = 2;
  return whole;
}
export const damaged = (change: (whole: Buffer) => void): Buffer => {
  const whole = Buffer.from(curve);
  change(whole);
  return whole;
};

/** Name, what may be handed on, what must not (and all that follows it), the verdict. */
export type Row = readonly [name: string, harmless: Buffer[], rest: Buffer[], verdict: Verdict];

/** Hands the bytes over in pieces of that size and returns all that comes out. */
function passedOn(bytes: Buffer, size: number): { out: Buffer; verdict: Verdict } {
  const pin = pinHostKey(pinned);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    out.push(...pin.pass(bytes.subarray(at, at + size)));
  }
  return { out: Buffer.concat(out), verdict: pin.verdict };
}

/** Each row at once, byte by byte, and in sevens. */
export function testRows(rows: readonly Row[]): void {
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
}

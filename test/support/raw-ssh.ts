/**
 * Raw ssh: the first packets of the protocol made and read by hand, before there is encryption
 * (RFC 4253 6 and 7). It knows no keys.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Stranger } from "./stranger.ts";
import { until } from "./until.ts";

/** Reads the frames of a raw link as one stream of bytes. */
export function reader(link: Stranger): (enough: (all: Buffer) => number) => Promise<Buffer> {
  let at = 0;
  return async (enough) => {
    const all = () => Buffer.concat(link.heard.filter((part) => typeof part !== "string"));
    const length = await until("enough bytes", () => enough(all().subarray(at)) || link.closed());
    assert.ok(typeof length === "number", JSON.stringify(link.closed()));
    at += length;
    return all().subarray(at - length, at);
  };
}

export const string = (data: Uint8Array | string): Buffer => {
  const text = Buffer.from(data);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
};

/** An unencrypted packet, RFC 4253 6. */
export function packet(payload: Buffer): Buffer {
  const padding = 8 - ((payload.length + 5) % 8) + 8;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + padding + 1);
  head[4] = padding;
  return Buffer.concat([head, payload, randomBytes(padding)]);
}

export const strings = (data: Buffer): Buffer[] => {
  const found: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 4 + data.readUInt32BE(at);
    found.push(data.subarray(at + 4, end));
    at = end;
  }
  return found;
};

/** A KEXINIT that offers these key exchanges and one of everything else. */
export function kexInit(kex: string): Buffer {
  const lists = [
    kex,
    "ssh-ed25519",
    "aes128-ctr",
    "aes128-ctr",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "none",
    "none",
    "",
    "",
  ];
  return Buffer.concat([Buffer.of(20), randomBytes(16), ...lists.map(string), Buffer.alloc(5)]);
}

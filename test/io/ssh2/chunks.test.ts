/**
 * What ssh2 keeps of the chunks it is given: nothing, so that all of them may lie in the same memory,
 * one after the other, wherever the packets are cut.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";
import { useFastPoly1305 } from "../../../src/io/ssh2/gaps.ts";

// What ssh2 exports beside what its types know.
const { CIPHER_INFO, MAC_INFO, createCipher, createDecipher } = createRequire(import.meta.url)(
  "ssh2/lib/protocol/crypto.js",
);
await useFastPoly1305();

const suites: [cipher: string, mac: string | null][] = [
  ["chacha20-poly1305@openssh.com", null],
  ["aes128-gcm@openssh.com", null],
  ["aes256-ctr", "hmac-sha2-256-etm@openssh.com"],
  ["aes256-ctr", "hmac-sha2-256"],
];

for (const [cipher, mac] of suites)
  test(`${cipher}${mac ? ` with ${mac}` : ""}: packets cut anywhere, all pieces in one place`, () => {
    const info = CIPHER_INFO[cipher];
    const macInfo = mac && MAC_INFO[mac];
    const [key, iv, macKey] = [info.keyLen, info.ivLen, macInfo?.len ?? 0].map((n) =>
      randomBytes(n),
    );
    const wire: Buffer[] = [];
    const outbound = {
      seqno: 0,
      onWrite: (data: Buffer) => wire.push(Buffer.from(data)),
      ...{ cipherInfo: info, cipherKey: key, cipherIV: Buffer.from(iv ?? []), macInfo, macKey },
    };
    const out = createCipher({ outbound });
    const sent = [0, 1, 15, 40, 200].map((length) => randomBytes(length));
    for (const payload of sent) {
      const packet = out.allocPacket(payload.length);
      packet.set(payload, 5);
      out.encrypt(packet);
    }
    const bytes = Buffer.concat(wire);
    for (let first = 1; first < bytes.length; first += 1) {
      const got: Buffer[] = [];
      const inbound = {
        seqno: 0,
        onPayload: (data: Buffer) => void got.push(Buffer.from(data)),
        ...{
          decipherInfo: info,
          decipherKey: key,
          decipherIV: Buffer.from(iv ?? []),
          macInfo,
          macKey,
        },
      };
      const into = createDecipher({ inbound });
      const room = Buffer.alloc(bytes.length);
      for (const piece of [bytes.subarray(0, first), bytes.subarray(first)]) {
        room.fill(0);
        piece.copy(room);
        into.decrypt(room.subarray(0, piece.length), 0, piece.length);
      }
      assert.deepEqual(got, sent, `cut after ${first} bytes`);
    }
  });

/**
 * Patch of ssh2, in two of its installed files, each only if it is the very file that the edits were
 * written for. With any other nothing is changed in it, and all works without what it brings:
 * kex.js gets a door for key exchanges that ssh2 does not have (else curve25519 alone is offered),
 * crypto.js takes the padding of packets from a pool of random bytes (else each asks the system),
 * puts packets together in the same memory again and again, makes key objects once, and one cipher of
 * chacha20 for a packet and its key, keeps nothing of the chunks that it reads (else each needs memory
 * of its own), and has a door for another Poly1305.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
const unsupported = "      throw new Error(`Unsupported key exchange algorithm: ${kexType}`);\n";

/** Hashes are those of ssh2 1.17.0, as published and as patched. */
const patches = [
  {
    file: "kex.js",
    brings: "post-quantum key exchange",
    published: "054ba4b81801596350f0e2e939746d2966297cffd4303b342c25b2fd5d295755",
    patched: "3b895a74a8724b31af34901ae65d45d59a3b6a80b6f591f7308a8d1399f7324c",
    edits: [
      [
        unsupported,
        `      const extra = module.exports.extraKex.get(kexType);
      if (extra)
        return extra(Curve25519Exchange, args);
${unsupported}`,
      ],
      [
        "module.exports = {\n  KexInit,\n",
        "module.exports = {\n  extraKex: new Map(),\n  KexInit,\n",
      ],
    ],
  },
  {
    file: "crypto.js",
    brings: "speed",
    published: "a729d2064e787e2a4589c25a284444fe54a58b7434a4e6e5e8e9c73c6d91e28e",
    patched: "dd66a5e0bbbaba8ff5c23dad9c288049c7efb94aa602ddd34ca35155c1179959",
    edits: [
      [
        "createHmac, randomFillSync, timingSafeEqual\n} = require('crypto');\n",
        `createHmac, createSecretKey, randomFillSync: fillAll, timingSafeEqual
} = require('crypto');

// Each byte is given out once; RFC 4253 6 wants at most 255 of them for a packet.
const pool = Buffer.allocUnsafe(16384);
let used = pool.length;
function randomFillSync(packet, at, length) {
  if (used + length > pool.length) {
    fillAll(pool);
    used = 0;
  }
  pool.copy(packet, at, used, used += length);
}

// A packet is encrypted before the next one is begun, and what is encrypted lies elsewhere.
const room = Buffer.allocUnsafeSlow(65536);
const packetOf = (length) => length > room.length ? Buffer.allocUnsafe(length) : room.subarray(0, length);
// The first block of chacha20's stream, whose first half is the key of Poly1305; the body follows.
const firstBlock = Buffer.alloc(64);
`,
      ],
      // Node makes one of each key that is bytes, for each cipher: 24.21 takes 10 µs for it.
      ...[
        ["    this._encKeyMain = ", "enc.cipherKey.slice(0, 32)"],
        ["    this._encKeyPktLen = ", "enc.cipherKey.slice(32)"],
        ["    this._decKeyMain = ", "dec.decipherKey.slice(0, 32)"],
        ["    this._decKeyPktLen = ", "dec.decipherKey.slice(32)"],
        ["    this._encSSLName = enc.cipherInfo.sslName;\n    this._encKey = ", "enc.cipherKey"],
        [
          "    this._decipherSSLName = dec.decipherInfo.sslName;\n    this._decipherKey = ",
          "dec.decipherKey",
        ],
      ].map(([before, key]) => [`${before}${key};\n`, `${before}createSecretKey(${key});\n`]),
      ...[8, 16].map((block) => {
        const before = `    let padLen = ${block} - ((pktLen - 4) & (${block} - 1));
    if (padLen < 4)
      padLen += ${block};
    pktLen += padLen;

    const packet = `;
        return [`${before}Buffer.allocUnsafe(pktLen);\n`, `${before}packetOf(pktLen);\n`];
      }),
      [
        "    const lenData = packet.slice(0, 4);\n",
        "    const lenData = Buffer.from(packet.subarray(0, 4));\n",
      ],
      [
        `    const polyKey =
      createCipheriv('chacha20', this._encKeyMain, POLY1305_OUT_COMPUTE)
      .update(POLY1305_ZEROS);
`,
        `    const main =
      createCipheriv('chacha20', this._encKeyMain, POLY1305_OUT_COMPUTE);
    const polyKey = main.update(firstBlock).subarray(0, 32);
`,
      ],
      [
        `    POLY1305_OUT_COMPUTE[0] = 1; // Set counter to 1 (little endian)
    const payloadEnc =
      createCipheriv('chacha20', this._encKeyMain, POLY1305_OUT_COMPUTE)
      .update(packet.slice(4));
`,
        "    const payloadEnc = main.update(packet.slice(4));\n",
      ],
      [
        `      const polyKey =
        createCipheriv('chacha20', this._decKeyMain, POLY1305_OUT_COMPUTE)
        .update(POLY1305_ZEROS);
`,
        `      const main =
        createCipheriv('chacha20', this._decKeyMain, POLY1305_OUT_COMPUTE);
      const polyKey = main.update(firstBlock).subarray(0, 32);
`,
      ],
      [
        `      POLY1305_OUT_COMPUTE[0] = 1; // Set counter to 1 (little endian)
      const packet =
        createDecipheriv('chacha20', this._decKeyMain, POLY1305_OUT_COMPUTE)
        .update(this._packet);
`,
        "      const packet = main.update(this._packet);\n",
      ],
      // The first of its like is chacha20's. Another packet's may lie there when the MAC comes.
      [
        "        if (nb === this._len) {\n          this._packet = encrypted;\n",
        "        if (nb === this._len && p + nb + 16 <= dataLen) {\n          this._packet = encrypted;\n",
      ],
      [
        "  bindingAvailable: !!binding,\n",
        `  bindingAvailable: !!binding,
  keepsNothing: true,
  setPoly1305: (authenticate) => {
    const heap = new Uint8Array(16);
    POLY1305_WASM_MODULE = { HEAPU8: heap };
    POLY1305_RESULT_MALLOC = 0;
    poly1305_auth = (_, head, headLength, data, length, key) =>
      authenticate(heap, head, data, key);
  },
`,
      ],
    ],
  },
];

const hashOf = (text) => createHash("sha256").update(text).digest("hex");

/** Patches the installed ssh2; running it again does nothing. */
export function patchSsh2() {
  for (const { file, brings, published, patched, edits } of patches) {
    const path = join(root, "node_modules/ssh2/lib/protocol", file);
    const text = readFileSync(path, "utf8");
    if (hashOf(text) === patched) continue;
    const made = edits.reduce((all, [from, to]) => all.replace(from, () => to), text);
    if (hashOf(text) === published && hashOf(made) === patched) writeFileSync(path, made);
    else
      console.error(
        `ssh2 is not what its patch was written for: ${brings} is left out. "npm ci" installs it anew.`,
      );
  }
}

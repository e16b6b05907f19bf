/**
 * Patch of ssh2: a door for key exchanges that ssh2 does not have. Two lines in the installed
 * kex.js, put there only if it is the very file that they were written for; with any other file
 * nothing is changed, and Converge offers curve25519 alone.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

/** kex.js of ssh2 1.17.0, as published and as patched. */
const published = "054ba4b81801596350f0e2e939746d2966297cffd4303b342c25b2fd5d295755";
const patched = "3b895a74a8724b31af34901ae65d45d59a3b6a80b6f591f7308a8d1399f7324c";

const hashOf = (text) => createHash("sha256").update(text).digest("hex");

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
const unsupported = "      throw new Error(`Unsupported key exchange algorithm: ${kexType}`);\n";
const edits = [
  [
    unsupported,
    `      const extra = module.exports.extraKex.get(kexType);
      if (extra)
        return extra(Curve25519Exchange, args);
${unsupported}`,
  ],
  ["module.exports = {\n  KexInit,\n", "module.exports = {\n  extraKex: new Map(),\n  KexInit,\n"],
];

/** The patched text of the published one. */
const edit = (text) => edits.reduce((all, [from, to]) => all.replace(from, () => to), text);

/** Patches the installed ssh2; whether it is patched now. Running it again does nothing. */
export function patchSsh2() {
  const file = join(root, "node_modules/ssh2/lib/protocol/kex.js");
  const text = readFileSync(file, "utf8");
  if (hashOf(text) === patched) return true;
  const made = edit(text);
  if (hashOf(text) !== published || hashOf(made) !== patched) {
    console.error("ssh2 is another version than its patch: post-quantum key exchange is left out.");
    return false;
  }
  writeFileSync(file, made);
  return true;
}

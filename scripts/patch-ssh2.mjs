/**
 * Patch of ssh2: `ssh2.patch`, beside this file, says what is changed and why. It is applied to
 * the very release that it was written for, and a build of any other stops: bounds that nobody may
 * do without are in it.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { applyPatch, parsePatch } from "diff";

/** SHA-256 of the files of ssh2 1.17.0 that the patch is for, as published. */
const published = {
  "lib/Channel.js": "53e92988a025009b192b72be110bd240b5653f88dbdec93e515e3e401e7f94aa",
  "lib/client.js": "edd3484daa9d942bc5a6412edc9cf11f85df40b2db10b07877bbfe694beac7f4",
  "lib/server.js": "128b58ee54cf97a5ae17e18836ff4472de4a5e4e591f2862a5c9ec7f148befe5",
  "lib/utils.js": "bbae8286bc64b049499ce353e8dc4eefbbedefca8f50591432c1057276097aee",
  "lib/protocol/Protocol.js": "c1104b49087de7a91cd3ffaac8807c05eebf49f61effd084d0b0caf29fde6af4",
  "lib/protocol/constants.js": "a3894fdd8e294109b55f06fbda69e467741f15a250801b744b6b0487bbf32529",
  "lib/protocol/crypto.js": "a729d2064e787e2a4589c25a284444fe54a58b7434a4e6e5e8e9c73c6d91e28e",
  "lib/protocol/handlers.misc.js":
    "8927c504c3c338187f36f0304a3452d6396ec9fc907af3db2be46a5f175c36a1",
  "lib/protocol/kex.js": "054ba4b81801596350f0e2e939746d2966297cffd4303b342c25b2fd5d295755",
  "lib/protocol/utils.js": "402b39e75ede9e3dc99af5e8af008602546f35aa1472bd4232c06f606987f053",
};
const patchFile = join(import.meta.dirname, "ssh2.patch");

/**
 * Patches the ssh2 that is installed below `root`; running it again does nothing, and after a change of the patch it
 * starts from the published files, which are kept beside the patched ones. Throws an Error, a full
 * sentence, when what is installed is not what was published.
 */
export function patchSsh2(root) {
  const made = parsePatch(readFileSync(patchFile, "utf8")).map((patch) => {
    const name = patch.newFileName ?? "";
    const file = join(root, "node_modules/ssh2", name);
    const kept = `${file}.published`;
    const source = readFileSync(existsSync(kept) ? kept : file, "utf8");
    const isIt = createHash("sha256").update(source).digest("hex") === published[name];
    const patched = isIt && applyPatch(source, patch);
    if (!patched)
      throw new Error(`${name} of ssh2 is not what its patch was written for: run "npm ci" again.`);
    return { file, kept, source, patched };
  });
  // All of them or none: a half of it would be another library.
  for (const { file, kept, source, patched } of made) {
    if (readFileSync(file, "utf8") === patched) continue;
    writeFileSync(kept, source);
    writeFileSync(file, patched);
  }
}

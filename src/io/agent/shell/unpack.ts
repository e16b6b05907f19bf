/**
 * Unpack: embedded files on disk for as long as they are needed. Temp folders may be read-only or
 * forbid programs, so several are tried. It knows nothing of what the files are.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { reasonOf } from "../../../actors/errors.ts";

function places(): string[] {
  if (process.platform === "win32") return [tmpdir(), process.cwd()];
  const { TMPDIR, XDG_CACHE_HOME } = process.env;
  const found = [TMPDIR ?? tmpdir(), tmpdir(), "/var/tmp", process.cwd(), "/dev/shm"];
  try {
    found.push(XDG_CACHE_HOME ?? join(homedir(), ".cache"));
  } catch {
    // a user that is a number only has no home
  }
  return [...new Set(found)];
}

/**
 * Writes the files into a folder of their own (mode 0700) and gives its path to `use`; where that
 * throws, the next place is tried. The folder goes at once, or with the process if `keep` is set.
 * Throws an Error with every place's reason when none would do.
 */
export function unpacked<T>(
  files: Readonly<Record<string, string>>,
  keep: boolean,
  use: (folder: string) => T,
): T {
  const reasons: string[] = [];
  for (const place of places()) {
    let folder = "";
    const clear = (): void => {
      try {
        if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
      } catch {
        // Windows deletes no file that is loaded, and the end is not to fail for that.
      }
    };
    try {
      folder = mkdtempSync(join(place, "converge-"));
      for (const [name, content] of Object.entries(files)) {
        const path = join(folder, name);
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        const bytes = brotliDecompressSync(Buffer.from(content, "base64"));
        writeFileSync(path, bytes, { flag: "wx", mode: 0o700 });
      }
      const used = use(folder);
      if (keep) process.once("exit", clear);
      else clear();
      return used;
    } catch (error) {
      reasons.push(`${place}: ${reasonOf(error)}`);
      clear();
    }
  }
  throw new Error(reasons.join("; "));
}

/**
 * Downloads: the files of one folder with their sizes and checksums. A file that is replaced while
 * the relay runs is read anew; it knows nothing of what the files are.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

export interface DownloadFile {
  readonly name: string;
  readonly bytes: number;
  /** How many of them go over the wire to who takes them packed, as browsers and our scripts do. */
  readonly wireBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Names that need no quoting anywhere; pre-compressed copies are not files of their own. */
export const isServed = (name: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) &&
  (!/\.(?:gz|br)$/.test(name) || name.endsWith(".tar.gz"));

/** Short names for what most machines want: the executable is agent and wsproxy in one. */
export const aliases: Readonly<Record<string, string>> = {
  agent: "agent-linux-x64",
  wsproxy: "agent-linux-x64",
  "agent.exe": "agent-win-x64.exe",
  "wsproxy.exe": "agent-win-x64.exe",
};

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/**
 * A function that lists the folder now, by name; a folder that is not there has no files. However
 * many ask, a file is read once.
 */
export function downloadsIn(folder: string): () => Promise<DownloadFile[]> {
  const known = new Map<string, { mtimeMs: number; size: number; sha256: Promise<string> }>();
  const read = async (name: string): Promise<DownloadFile[]> => {
    const path = join(folder, name);
    // A link that leads nowhere and a file that goes meanwhile are no files.
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) return [];
    const { mtimeMs, size } = found;
    const former = known.get(name);
    const isSame = former?.mtimeMs === mtimeMs && former.size === size;
    const now = isSame ? former : { mtimeMs, size, sha256: hashOf(path) };
    known.set(name, now);
    try {
      const packed = await stat(`${path}.gz`).catch(() => null);
      return [{ name, bytes: size, wireBytes: packed?.size ?? size, sha256: await now.sha256 }];
    } catch {
      if (known.get(name) === now) known.delete(name);
      return [];
    }
  };
  return async () => {
    const names = await readdir(folder).catch((): string[] => []);
    const files = (await Promise.all(names.filter(isServed).map(read))).flat();
    const others = Object.entries(aliases).flatMap(([name, target]) => {
      const file = names.includes(name) ? undefined : files.find((one) => one.name === target);
      return file ? { ...file, name } : [];
    });
    return [...files, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
  };
}

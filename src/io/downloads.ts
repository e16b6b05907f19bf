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

/** A function that lists the folder now, by name; a folder that is not there has no files. */
export function downloadsIn(folder: string): () => Promise<DownloadFile[]> {
  const known = new Map<string, { mtimeMs: number; file: DownloadFile }>();
  const read = async (name: string): Promise<DownloadFile[]> => {
    const path = join(folder, name);
    // A link that leads nowhere and a file that goes meanwhile are no files.
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) return [];
    const { mtimeMs, size } = found;
    const cached = known.get(name);
    if (cached?.mtimeMs === mtimeMs && cached.file.bytes === size) return [cached.file];
    const hash = createHash("sha256");
    try {
      await pipeline(createReadStream(path), hash);
    } catch {
      return [];
    }
    const file = { name, bytes: size, sha256: hash.digest("hex") };
    known.set(name, { mtimeMs, file });
    return [file];
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

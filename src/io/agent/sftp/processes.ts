/**
 * Processes: what sftp keeps its hands off, everything below `/proc/PID`. There stand the agent's
 * environment and memory, with secrets of the job that a key for sftp alone was not given.
 *
 * Knows paths and open files, not requests. Linux only: elsewhere there is nothing to keep off.
 * A path is judged before it is used, each link on the way too; what was opened is judged again,
 * since links can be changed in between. Between looking and listing they still can, and that
 * shows names, no contents.
 */
import { type FileHandle, readlink, realpath, statfs } from "node:fs/promises";
import { posix } from "node:path";
import { codes, SftpError } from "./wire.ts";

/** Whether a request follows the last name of its path, where that is a link. */
export type Last = "followed" | "kept";

/** PROC_SUPER_MAGIC of linux/magic.h, as statfs(2) has it. */
const procfs = 0x9fa0;
/** As the kernel: more links than these are ELOOP (path_resolution(7)). */
const linksMost = 40;
const belowProc = /^\/proc(?:\/|$)/;
/** `kcore` is the memory of all of them; `net` and `mounts` are links into `self`. */
const ofProcess = /^\/proc\/(?:\d+|self|thread-self|kcore)(?:\/|$)/;

function refused(): SftpError {
  return new SftpError(codes.PERMISSION_DENIED, "what belongs to a process is not for sftp");
}

/** Latin-1 keeps every byte, so the text functions serve for paths that are no text. */
const bytes = (path: string): Buffer => Buffer.from(path, "latin1");

/** A procfs in another place is refused as a whole: a part of one may be mounted under any name. */
async function isForeignProc(path: string): Promise<boolean> {
  return !belowProc.test(path) && (await isProc(path));
}

async function isProc(path: string): Promise<boolean> {
  const found = await statfs(bytes(path)).catch(() => null);
  return found?.type === procfs;
}

/** Null for what is no link, is not there or cannot be looked at: the request itself finds out. */
async function linkAt(path: string): Promise<string | null> {
  const target = await readlink(bytes(path), { encoding: "buffer" }).catch(() => null);
  return target?.toString("latin1") ?? null;
}

/** Follows the names after `start`, which has no links in it, as the kernel would. */
async function leadsToProcess(start: string, names: string[], last: Last): Promise<boolean> {
  let at = start;
  let links = 0;
  for (;;) {
    if (ofProcess.test(at)) return true;
    const name = names.shift();
    if (name === undefined) break;
    const next = posix.resolve(at, name);
    if (ofProcess.test(next)) return true;
    const isKept = last === "kept" && names.length === 0;
    const target = isKept || name === ".." || name === "." ? null : await linkAt(next);
    if (target === null) {
      at = next;
      continue;
    }
    links += 1;
    if (links > linksMost) return false;
    // A process's `cwd`, `root` and `fd` are such links, wherever they lead.
    if (await isForeignProc(at)) return true;
    names.unshift(...namesIn(target));
    if (target.startsWith("/")) at = "/";
  }
  return isForeignProc(last === "kept" ? posix.dirname(at) : at);
}

const namesIn = (path: string): string[] => path.split("/").filter((name) => name !== "");

/**
 * Rejects with PERMISSION_DENIED for a path that is below a process's folder, or leads there or
 * through there by links (`/dev/fd`, `/proc/PID/cwd`). `path` is absolute.
 */
export async function assertNoProcess(path: Buffer | string, last: Last): Promise<void> {
  if (process.platform !== "linux" || typeof path === "string") return;
  const text = path.toString("latin1");
  // A slash at the end has the system follow the last name, whatever the call.
  const manner = text.endsWith("/") ? "followed" : last;
  const parent = posix.dirname(text);
  const real = await realpath(bytes(parent), { encoding: "buffer" }).catch(() => null);
  // Most paths have no links in their folder, and are judged without looking at each name of it.
  const isPlain = real?.toString("latin1") === parent;
  const found = isPlain
    ? await leadsToProcess(parent, namesIn(posix.basename(text)), manner)
    : await leadsToProcess("/", namesIn(text), manner);
  if (found) throw refused();
}

/**
 * Rejects with PERMISSION_DENIED for a file that is a process's, or that only a process's
 * descriptor could lead to: a pipe without a name, a file that was removed. Leaves it open.
 */
export async function assertNotOfProcess(file: FileHandle): Promise<void> {
  if (process.platform !== "linux") return;
  const self = `/proc/self/fd/${file.fd}`;
  const [name, isOnProc] = await Promise.all([linkAt(self), isProc(self)]);
  // Without a /proc there is none of a process either.
  if (name === null) return;
  if (ofProcess.test(name) || !name.startsWith("/")) throw refused();
  if (name.endsWith(" (deleted)") && (await file.stat()).nlink === 0) throw refused();
  if (isOnProc && !belowProc.test(name)) throw refused();
}

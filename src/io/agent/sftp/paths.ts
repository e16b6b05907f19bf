/**
 * Paths: what a client calls a file, and what this machine calls it.
 *
 * On POSIX a path is bytes, whatever they mean, and stays bytes. On Windows `/C:/dir` is `C:\dir`.
 * Guards nothing but processes: a client may name whatever else the agent may reach.
 */
import { readFile, realpath } from "node:fs/promises";
import { posix, win32 } from "node:path";
import { assertNoProcess } from "./processes.ts";
import { codes, SftpError } from "./wire.ts";

/** A path as `node:fs` takes it: bytes on POSIX, text on Windows. */
export type LocalPath = Buffer | string;

/**
 * `/C:/dir`, `C:/dir` and `C:\dir` → `C:\dir`; `//server/share` → `\\server\share`; any other
 * path is resolved against `home`, one that begins with `/` against the root of home's drive. A client
 * that takes `D:/x` for relative puts its folder before it, and means the drive all the same.
 */
export function windowsPath(wire: string, home: string): string {
  return win32.resolve(
    home,
    wire.replace(/^(?:.*[/\\])?(?=[A-Za-z]:(?:[/\\]|$))/s, "").replace(/^[A-Za-z]:$/, "$&\\"),
  );
}

/** Names of devices, with whatever ending ("Naming Files, Paths, and Namespaces" of Windows). */
const device =
  /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9\u00b9\u00b2\u00b3]) *(?:\.|$)/i;
/** What no name has, and what is lost at the end of one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are among them
const unfit = /[<>:"|?*\x00-\x1f]|[. ]$/;

/**
 * Whether all names of a path are such as Windows' own programs can name. Node could make others,
 * which nobody could open or delete, and `a:b` is a hidden stream of `a`.
 */
export function isNameable(local: string): boolean {
  const names = local.slice(win32.parse(local).root.length).split("\\");
  return !names.some((name) => device.test(name) || unfit.test(name));
}

/** `C:\dir` → `/C:/dir`; `\\server\share` → `//server/share`; `\\?\` before either is dropped. */
export function wireFromWindows(local: string): string {
  const plain = local
    .replace(/^\\\\\?\\UNC\\/i, "\\\\")
    .replace(/^\\\\\?\\/, "")
    .replaceAll("\\", "/");
  return /^[A-Za-z]:/.test(plain) ? `/${plain}` : plain;
}

/**
 * What a client's path means here; relative ones, and the empty one, are below `home`. Throws FAILURE
 * for a name that cannot be on Windows.
 */
export function localPath(wire: Buffer, home: string, platform: NodeJS.Platform): LocalPath {
  if (platform === "win32") {
    const local = windowsPath(wire.toString(), home);
    if (!isNameable(local)) throw new SftpError(codes.FAILURE, "Windows has no such names");
    return local;
  }
  if (wire[0] === 0x2f) return wire;
  return Buffer.concat([Buffer.from(`${home}/`), wire]);
}

/** What a client is told a path is called. */
export function wirePath(local: LocalPath, platform: NodeJS.Platform): Buffer {
  const isWindows = platform === "win32";
  return Buffer.from(isWindows ? wireFromWindows(local.toString()) : local);
}

/** The path of an entry in a directory. */
export function entryPath(dir: LocalPath, name: Buffer | string): LocalPath {
  if (typeof dir === "string") return win32.join(dir, name.toString());
  const isRoot = dir.length === 1 && dir[0] === 0x2f;
  return Buffer.concat([dir, Buffer.from(isRoot ? "" : "/"), Buffer.from(name)]);
}

/** Latin-1 keeps every byte, so the text functions serve for paths that are no text. */
function plain(path: LocalPath): LocalPath {
  if (typeof path === "string") return win32.resolve(path);
  return Buffer.from(posix.resolve("/", path.toString("latin1")), "latin1");
}

function parted(path: LocalPath): { parent: LocalPath; name: Buffer | string } {
  if (typeof path === "string") return { parent: win32.dirname(path), name: win32.basename(path) };
  const text = path.toString("latin1");
  return {
    parent: Buffer.from(posix.dirname(text), "latin1"),
    name: Buffer.from(posix.basename(text), "latin1"),
  };
}

/**
 * The path without links and dots. What does not exist is kept below the deepest directory that
 * does. Rejects with the system's error for what can't be looked at, PERMISSION_DENIED for what is
 * a process's.
 */
export async function realPath(path: LocalPath): Promise<LocalPath> {
  await assertNoProcess(path, "followed");
  try {
    if (typeof path === "string") return await realpath(path);
    return await realpath(path, { encoding: "buffer" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const tidy = plain(path);
  if (tidy.toString("latin1") !== path.toString("latin1")) return realPath(tidy);
  const { parent, name } = parted(tidy);
  if (parent.toString("latin1") === tidy.toString("latin1")) return tidy;
  return entryPath(await realPath(parent), name);
}

/** One line of `/etc/passwd` or `/etc/group`, as far as it is wanted here. */
export interface Account {
  readonly name: string;
  readonly id: number;
  /** Empty for a group. */
  readonly home: string;
}

/** Who is who according to `file`; nobody where there is no such file. Never rejects. */
export async function accountsIn(file: string): Promise<readonly Account[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [name, , id, , , home] = line.split(":");
    return name && id ? [{ name, id: Number(id), home: home ?? "" }] : [];
  });
}

/**
 * The home directory of `user`; the empty name is the process's own, which is `own`.
 * Rejects with NO_SUCH_FILE for an unknown name.
 */
export async function homeOf(user: string, own: string): Promise<string> {
  if (user === "") return own;
  const account = (await accountsIn("/etc/passwd")).find(({ name }) => name === user);
  if (!account?.home) throw new SftpError(codes.NO_SUCH_FILE, `there is no user ${user}`);
  return account.home;
}

/** Replaces a leading `~` or `~user`. Rejects with NO_SUCH_FILE for an unknown name. */
export async function withoutTilde(wire: Buffer, own: string, platform: NodeJS.Platform) {
  if (wire[0] !== 0x7e) return wire;
  const slash = wire.indexOf("/");
  const end = slash < 0 ? wire.length : slash;
  const home = await homeOf(wire.subarray(1, end).toString(), own);
  return Buffer.concat([wirePath(home, platform), wire.subarray(end)]);
}

/**
 * Changes of the file system that need more than one call, or a call with conditions.
 *
 * Rejects with the system's errors or an SftpError; knows nothing of packets or handles.
 */
import { constants } from "node:fs";
import {
  chmod,
  chown,
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  rename,
  truncate,
  unlink,
  utimes,
} from "node:fs/promises";
import type { Attrs } from "./attrs.ts";
import type { LocalPath } from "./paths.ts";
import { codes, openFlags, SftpError } from "./wire.ts";

/** Does open(2)'s part of OPEN's flags; neither READ nor WRITE counts as READ, as in OpenSSH. */
export function systemFlags(flags: number): number {
  const isRead = (flags & openFlags.READ) !== 0;
  const isWrite = (flags & openFlags.WRITE) !== 0;
  const access = isWrite ? (isRead ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  return (
    access |
    (flags & openFlags.APPEND ? constants.O_APPEND : 0) |
    (flags & openFlags.CREAT ? constants.O_CREAT : 0) |
    (flags & openFlags.TRUNC ? constants.O_TRUNC : 0) |
    (flags & openFlags.EXCL ? constants.O_EXCL : 0) |
    // A pipe without its other end would hold one of Node's few threads for ever; Windows has none.
    (constants.O_NONBLOCK ?? 0) |
    (constants.O_NOCTTY ?? 0)
  );
}

/** True when a session that may only read may open a file with these flags. */
export function onlyReads(flags: number): boolean {
  return (flags & ~(openFlags.READ | openFlags.EXCL)) === 0;
}

function sizeOf(attrs: Attrs): number | undefined {
  if (attrs.size !== undefined && !Number.isSafeInteger(attrs.size)) {
    throw new SftpError(codes.FAILURE, "the size is too great");
  }
  return attrs.size;
}

/** What can be set, and on what: by path, through a handle, or on a link itself. */
interface Setters {
  readonly size: (bytes: number) => Promise<void>;
  readonly owner: (uid: number, gid: number) => Promise<void>;
  readonly mode: (mode: number) => Promise<void>;
  readonly times: (atime: number, mtime: number) => Promise<void>;
}

/**
 * Everything asked for is tried, and the first failure told. The owner goes before the mode,
 * because chown takes the set-id bits away, and the times last, because the rest moves them.
 */
async function setAll(attrs: Attrs, to: Setters): Promise<void> {
  const { owner, permissions, times } = attrs;
  const size = sizeOf(attrs);
  const steps = [
    size !== undefined && (() => to.size(size)),
    owner && (() => to.owner(owner.uid, owner.gid)),
    permissions !== undefined && (() => to.mode(permissions & 0o7777)),
    times && (() => to.times(times.atime, times.mtime)),
  ];
  const failures: unknown[] = [];
  for (const step of steps) {
    if (step) await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

export function setByPath(path: LocalPath, attrs: Attrs): Promise<void> {
  return setAll(attrs, {
    size: (bytes) => truncate(path, bytes),
    owner: (uid, gid) => chown(path, uid, gid),
    mode: (mode) => chmod(path, mode),
    times: (atime, mtime) => utimes(path, atime, mtime),
  });
}

export function setByHandle(file: FileHandle, attrs: Attrs): Promise<void> {
  return setAll(attrs, {
    size: (bytes) => file.truncate(bytes),
    owner: (uid, gid) => file.chown(uid, gid),
    mode: (mode) => file.chmod(mode),
    times: (atime, mtime) => file.utimes(atime, mtime),
  });
}

/** As `setByPath`, but on a link itself, which has neither a size nor, on Linux, a mode. */
export function setOnLink(path: LocalPath, attrs: Attrs): Promise<void> {
  return setAll(attrs, {
    size: () => Promise.reject(new SftpError(codes.BAD_MESSAGE, "a link has no size to set")),
    owner: (uid, gid) => lchown(path, uid, gid),
    mode: async (mode) => {
      if ((await lstat(path)).isSymbolicLink()) {
        throw new SftpError(codes.OP_UNSUPPORTED, "a link has no mode to set");
      }
      await chmod(path, mode);
    },
    times: (atime, mtime) => lutimes(path, atime, mtime),
  });
}

/**
 * Renames, but never over something (draft-02, section 6.5). A file gets its new name before it
 * loses the old one, so that nobody can step in between; what cannot have two names is looked at.
 */
export async function renameToNew(from: LocalPath, to: LocalPath): Promise<void> {
  const taken = new SftpError(codes.FAILURE, "there is already something of that name");
  if ((await lstat(from)).isFile()) {
    const error = await link(from, to).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error === undefined) return unlink(from);
    if (error instanceof Error && "code" in error && error.code === "EEXIST") throw taken;
  }
  const isFree = await lstat(to).then(
    () => false,
    () => true,
  );
  if (!isFree) throw taken;
  await rename(from, to);
}

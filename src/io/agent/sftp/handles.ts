/**
 * Open files and directories: the table of handles, and what is done through one.
 *
 * Knows nothing of packets or turns; that requests for one handle come in order is seen to
 * in `server.ts`. Rejects with the system's errors, or an SftpError.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, lstat, opendir } from "node:fs/promises";
import { type Reading, startReading } from "./listing.ts";
import type { LocalPath } from "./paths.ts";
import { takeReplyBuffer } from "./reply-buffers.ts";
import { makeTurns, type Turns } from "./turns.ts";
import { codes, dataHeader, maxTransfer, SftpError, sealData } from "./wire.ts";

/** Open at once in one session; announced, and enough for any client that was met. */
export const maxHandles = 1024;

interface Held {
  readonly name: Buffer;
  readonly path: LocalPath;
  readonly turns: Turns;
  isClosed: boolean;
}

/** A write that waits for the one before it; `done` says how it went. */
interface Write {
  readonly slices: readonly Buffer[];
  readonly offset: number;
  readonly length: number;
  readonly done: (error?: unknown) => void;
}

export interface OpenFile extends Held {
  readonly kind: "file";
  readonly file: FileHandle;
  readonly appends: boolean;
  readonly writes: Write[];
  isWriting: boolean;
}

export interface OpenDirectory extends Held {
  readonly kind: "directory";
  readonly reading: Reading;
}

export type Handle = OpenFile | OpenDirectory;
export type Handles = Map<string, Handle>;

/** Throws FAILURE when as many are open as there may be. */
export function assertRoom(handles: Handles): void {
  if (handles.size >= maxHandles) throw new SftpError(codes.FAILURE, "too many open handles");
}

function hold<T extends Handle>(handles: Handles, handle: T): T {
  handles.set(handle.name.toString("latin1"), handle);
  return handle;
}

/** Random, so that a handle means nothing in any other session. */
function held(path: LocalPath): Held {
  // A copy: the path may be a few bytes of a chunk that would be kept for as long.
  const own = typeof path === "string" ? path : Buffer.from(path);
  return { name: randomBytes(12), path: own, turns: makeTurns(), isClosed: false };
}

export function holdFile(handles: Handles, file: FileHandle, path: LocalPath, appends: boolean) {
  const own = { file, appends, writes: [], isWriting: false };
  return hold<OpenFile>(handles, { ...held(path), kind: "file", ...own });
}

export async function holdDirectory(handles: Handles, path: LocalPath): Promise<OpenDirectory> {
  // On POSIX names are bytes; Node takes "buffer" here, its type leaves it out.
  const encoding = (typeof path === "string" ? "utf8" : "buffer") as BufferEncoding;
  const text = typeof path === "string" ? path : (path as unknown as string);
  const dir = await opendir(text, { encoding, bufferSize: 128 });
  return hold(handles, { ...held(path), kind: "directory", reading: startReading(dir, path) });
}

/** Throws FAILURE for a handle that is unknown, was closed, or is of another session. */
export function handleOf(handles: Handles, name: Buffer): Handle {
  const handle = handles.get(name.toString("latin1"));
  if (!handle) throw new SftpError(codes.FAILURE, "no such handle");
  return handle;
}

export function fileOf(handles: Handles, name: Buffer): OpenFile {
  const handle = handleOf(handles, name);
  if (handle.kind !== "file") throw new SftpError(codes.FAILURE, "not the handle of a file");
  return handle;
}

export function directoryOf(handles: Handles, name: Buffer): OpenDirectory {
  const handle = handleOf(handles, name);
  if (handle.kind !== "directory") {
    throw new SftpError(codes.FAILURE, "not the handle of a directory");
  }
  return handle;
}

/** The handle is gone even when closing fails, as with close(2). */
export async function closeHandle(handles: Handles, handle: Handle): Promise<void> {
  handle.isClosed = true;
  handles.delete(handle.name.toString("latin1"));
  await (handle.kind === "file" ? handle.file.close() : handle.reading.dir.close());
}

/** Attributes through the handle; a directory's are those at its path. */
export function statHandle(handle: Handle) {
  return handle.kind === "file" ? handle.file.stat() : lstat(handle.path);
}

/**
 * A whole DATA reply with up to `length` bytes from `offset`, but never more than `maxTransfer`.
 * Rejects with EOF at and beyond the end.
 */
export async function readFrom(file: OpenFile, id: number, offset: number, length: number) {
  const wanted = Math.min(length, maxTransfer);
  // Node takes no greater number here, and would read from anywhere else.
  const isFar = !Number.isSafeInteger(offset + wanted);
  const buffer = takeReplyBuffer(dataHeader + (isFar ? 0 : wanted));
  const { bytesRead } = isFar
    ? { bytesRead: 0 }
    : await file.file.read(buffer, dataHeader, wanted, offset);
  if (bytesRead === 0 && wanted > 0) throw new SftpError(codes.EOF, "end of file");
  return sealData(buffer, id, bytesRead);
}

/** What one call may be given: the system takes 1024 pieces at a time, and this is plenty. */
const maxPieces = 512;

/** Writes that wait, as far as each goes on where the one before it ends. */
function following(file: OpenFile): Write[] {
  let end = file.writes[0]?.offset;
  let pieces = 0;
  const count = file.writes.findIndex((write) => {
    const fits = (file.appends || write.offset === end) && pieces <= maxPieces;
    end = write.offset + write.length;
    pieces += write.slices.length;
    return !fits;
  });
  return file.writes.splice(0, count < 0 ? file.writes.length : count);
}

async function writeAll(file: OpenFile, slices: readonly Buffer[], offset: number): Promise<void> {
  let left = slices.filter((slice) => slice.length > 0);
  let position = offset;
  while (left.length > 0) {
    const { bytesWritten } = await file.file.writev(left, file.appends ? undefined : position);
    if (bytesWritten === 0) throw new SftpError(codes.FAILURE, "nothing could be written");
    position += bytesWritten;
    left = without(left, bytesWritten);
  }
}

/** The slices without their first `n` bytes. */
function without(slices: readonly Buffer[], n: number): Buffer[] {
  let skip = n;
  return slices.flatMap((slice) => {
    const rest = slice.subarray(Math.min(skip, slice.length));
    skip -= slice.length - rest.length;
    return rest.length > 0 ? [rest] : [];
  });
}

async function writeWaiting(file: OpenFile): Promise<void> {
  file.isWriting = true;
  while (file.writes.length > 0) {
    const writes = following(file);
    const error = await writeAll(
      file,
      writes.flatMap((write) => write.slices),
      writes[0]?.offset ?? 0,
    ).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    for (const write of writes) write.done(error);
  }
  file.isWriting = false;
}

/**
 * Writes the slices, uncopied. Those that arrive while one is being written are gathered, and
 * written in the order in which they came; all that were gathered share the outcome.
 */
export async function writeTo(file: OpenFile, offset: number, slices: readonly Buffer[]) {
  const length = slices.reduce((sum, slice) => sum + slice.length, 0);
  if (!Number.isSafeInteger(offset + length)) {
    throw new SftpError(codes.FAILURE, "the offset is too great");
  }
  await new Promise<void>((resolve, reject) => {
    const done = (error?: unknown): void => (error === undefined ? resolve() : reject(error));
    file.writes.push({ slices, offset, length, done });
    if (!file.isWriting) void writeWaiting(file);
  });
}

/**
 * Copies `length` bytes, or to the end for 0, from file to file; `goesOn` is asked between
 * pieces. Rejects with FAILURE for a file into itself.
 */
export async function copyData(
  from: { readonly file: OpenFile; readonly offset: number },
  to: { readonly file: OpenFile; readonly offset: number },
  length: number,
  goesOn: () => boolean,
): Promise<void> {
  const [a, b] = await Promise.all([from.file.file.stat(), to.file.file.stat()]);
  // It would grow in front of its own reader.
  if (a.dev === b.dev && a.ino === b.ino) {
    throw new SftpError(codes.FAILURE, "cannot copy a file into itself");
  }
  const total = length === 0 ? Number.MAX_SAFE_INTEGER - from.offset : length;
  if (!Number.isSafeInteger(from.offset + total)) {
    throw new SftpError(codes.FAILURE, "the range is too great");
  }
  const buffer = Buffer.allocUnsafe(maxTransfer);
  for (let copied = 0; copied < total && goesOn(); ) {
    const wanted = Math.min(buffer.length, total - copied);
    const { bytesRead } = await from.file.file.read(buffer, 0, wanted, from.offset + copied);
    if (bytesRead === 0) return;
    await writeTo(to.file, to.offset + copied, [buffer.subarray(0, bytesRead)]);
    copied += bytesRead;
  }
}

/**
 * Tasks: requests that were understood, and the words of which the tables of requests are made.
 *
 * Only reads the packet at once; the work is for `server.ts` to start in its turn. Reading throws
 * an SftpError, work rejects with that or with the system's error.
 */
import type { Stats } from "node:fs";
import { attributes, names } from "./attrs.ts";
import * as files from "./handles.ts";
import { attrsOf, type Legend } from "./listing.ts";
import { type LocalPath, localPath, realPath, wirePath } from "./paths.ts";
import { assertNoProcess, type Last } from "./processes.ts";
import type { Manner } from "./turns.ts";
import * as wire from "./wire.ts";
import { codes, type Pieces, SftpError, types } from "./wire.ts";

/** What requests of one session share. */
export interface Session {
  readonly home: string;
  readonly userHome: string;
  readonly readOnly: boolean;
  readonly platform: NodeJS.Platform;
  /** SYMLINK comes with the link before its target. */
  readonly linkFirst: boolean;
  readonly nowMs: () => number;
  readonly handles: files.Handles;
  /** False when the peer is gone, and long work is for nobody. */
  readonly goesOn: () => boolean;
  legend: Promise<Legend> | undefined;
}

/** A request that was understood. Without a handle it goes alone. */
export interface Task {
  readonly handle?: files.Handle;
  readonly manner: Manner;
  /** Bytes of reply that may be kept for it. */
  readonly cost: number;
  readonly work: () => Promise<Buffer>;
}

export const smallReply = 512;
export const listReply = 65_536;

export interface Request {
  readonly id: number;
  readonly body: Pieces;
  readonly session: Session;
  /** The paths it was found to have, which are judged before it does anything. */
  readonly paths: { readonly path: LocalPath; readonly last: Last }[];
}
export type Understand = (request: Request) => Task;

export function alone(work: () => Promise<Buffer>): Task {
  return { manner: "alone", cost: smallReply, work };
}

export function through(handle: files.Handle, work: () => Promise<Buffer>): Task {
  return { handle, ...alone(work) };
}

/** A request that leaves no answer but that it was done. */
export async function done(id: number, work: Promise<unknown>): Promise<Buffer> {
  await work;
  return wire.status(id, codes.OK, "done");
}

export function attrsReply(id: number, stats: Stats): Buffer {
  return wire.packet(types.ATTRS, wire.u32(id), attributes(attrsOf(stats)));
}

export function nameReply(id: number, name: Buffer): Buffer {
  return names(id, [{ name, longname: name, attrs: {} }]);
}

export function handleReply(id: number, handle: files.Handle): Buffer {
  return wire.packet(types.HANDLE, wire.u32(id), wire.string(handle.name));
}

/** The next path; `last` says whether what is done with it follows a link at its end. */
export function takePath({ body, session, paths }: Request, last: Last): LocalPath {
  const path = localPath(wire.takeString(body), session.home, session.platform);
  paths.push({ path, last });
  return path;
}

/** The task, once none of the request's paths leads to a process. */
export function guarded(task: Task, { paths }: Request): Task {
  if (paths.length === 0) return task;
  const work = async (): Promise<Buffer> => {
    await Promise.all(paths.map(({ path, last }) => assertNoProcess(path, last)));
    return task.work();
  };
  return { ...task, work };
}

export function takeHandle({ body, session }: Request): files.Handle {
  return files.handleOf(session.handles, wire.takeString(body));
}

export function takeFile({ body, session }: Request): files.OpenFile {
  return files.fileOf(session.handles, wire.takeString(body));
}

/** A request with one path and perhaps attributes, answered with a status. */
export function changing(
  last: Last,
  change: (path: LocalPath, body: Pieces) => () => Promise<unknown>,
): Understand {
  return (request) => {
    const act = change(takePath(request, last), request.body);
    return alone(() => done(request.id, act()));
  };
}

/** A request with two paths, whose links it moves as they are; answered with a status. */
export function moving(move: (from: LocalPath, to: LocalPath) => Promise<unknown>): Understand {
  return (request) => {
    const from = takePath(request, "kept");
    const to = takePath(request, "kept");
    return alone(() => done(request.id, move(from, to)));
  };
}

/** The path without links and dots, after what `before` makes of it. */
export function resolving(
  before: (path: Buffer, session: Session) => Promise<Buffer> | Buffer,
): Understand {
  return ({ id, body, session }) => {
    const path = wire.takeString(body);
    const { home, platform } = session;
    return alone(async () => {
      const real = await realPath(localPath(await before(path, session), home, platform));
      return nameReply(id, wirePath(real, platform));
    });
  };
}

export function denied(): SftpError {
  return new SftpError(codes.PERMISSION_DENIED, "this session may only read");
}

/** For a handle that was closed by a request before this one. */
export function closed(): SftpError {
  return new SftpError(codes.FAILURE, "the handle was closed");
}

const codeOf: Readonly<Record<string, wire.StatusCode>> = {
  ENOENT: codes.NO_SUCH_FILE,
  ENOTDIR: codes.NO_SUCH_FILE,
  ELOOP: codes.NO_SUCH_FILE,
  EACCES: codes.PERMISSION_DENIED,
  EPERM: codes.PERMISSION_DENIED,
  ENOSYS: codes.OP_UNSUPPORTED,
  ERR_INVALID_ARG_VALUE: codes.BAD_MESSAGE,
};

/** What a client is told of a failure; the system's own words, without the path. */
export function failureReply(id: number, error: unknown): Buffer {
  if (error instanceof SftpError) return wire.status(id, error.code, error.message);
  if (!(error instanceof Error)) return wire.status(id, codes.FAILURE, "failed");
  const code = "code" in error && typeof error.code === "string" ? codeOf[error.code] : undefined;
  const sentence = /^[A-Z0-9]+: ([^,]+), /.exec(error.message)?.[1] ?? "the request makes no sense";
  return wire.status(id, code ?? codes.FAILURE, sentence);
}

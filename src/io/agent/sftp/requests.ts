/**
 * Requests: from a packet to what is to be done, and to the reply. A table for version 3 and one
 * for the extensions of OpenSSH's PROTOCOL file.
 *
 * Only reads the packet at once; the work is for `server.ts` to start in its turn. Reading throws
 * an SftpError, work rejects with that or with the system's error.
 */
import type { Stats } from "node:fs";
import { lstat, mkdir, open, readlink, rmdir, stat, symlink, unlink } from "node:fs/promises";
import { win32 } from "node:path";
import { names, takeAttrs } from "./attrs.ts";
import { onlyReads, renameToNew, setByHandle, setByPath, systemFlags } from "./changes.ts";
import { extensions } from "./extensions.ts";
import * as files from "./handles.ts";
import { legendAt, nextEntries } from "./listing.ts";
import { type LocalPath, windowsPath, wirePath } from "./paths.ts";
import { assertNotOfProcess, type Last } from "./processes.ts";
import {
  alone,
  attrsReply,
  changing,
  denied,
  done,
  guarded,
  handleReply,
  listReply,
  moving,
  nameReply,
  type Request,
  resolving,
  type Session,
  smallReply,
  type Task,
  takeFile,
  takeHandle,
  takePath,
  through,
  type Understand,
} from "./tasks.ts";
import * as wire from "./wire.ts";
import { codes, openFlags, type Pieces, SftpError, types } from "./wire.ts";

const openFile: Understand = (request) => {
  const { id, session } = request;
  const path = takePath(request, "followed");
  const flags = wire.takeU32(request.body);
  const { permissions } = takeAttrs(request.body);
  if (session.readOnly && !onlyReads(flags)) throw denied();
  return alone(async () => {
    files.assertRoom(session.handles);
    const mode = permissions === undefined ? 0o666 : permissions & 0o7777;
    const file = await open(path, systemFlags(flags), mode);
    await assertNotOfProcess(file).catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    const appends = (flags & openFlags.APPEND) !== 0;
    return handleReply(id, files.holdFile(session.handles, file, path, appends));
  });
};

const openDirectory: Understand = (request) => {
  const path = takePath(request, "followed");
  return alone(async () => {
    files.assertRoom(request.session.handles);
    return handleReply(request.id, await files.holdDirectory(request.session.handles, path));
  });
};

const readDirectory: Understand = ({ id, body, session }) => {
  const handle = files.directoryOf(session.handles, wire.takeString(body));
  const work = async (): Promise<Buffer> => {
    session.legend ??= legendAt(session.nowMs());
    return names(id, await nextEntries(handle.reading, await session.legend));
  };
  return { handle, manner: "alone", cost: listReply, work };
};

const readData: Understand = (request) => {
  const { id, body } = request;
  const handle = takeFile(request);
  const offset = wire.takeU64(body);
  const length = wire.takeU32(body);
  const work = (): Promise<Buffer> => files.readFrom(handle, id, offset, length);
  return { handle, manner: "reading", cost: Math.min(length, wire.maxTransfer), work };
};

const writeData: Understand = (request) => {
  const { id, body } = request;
  const handle = takeFile(request);
  const offset = wire.takeU64(body);
  const slices = wire.takeData(body);
  const work = (): Promise<Buffer> => done(id, files.writeTo(handle, offset, slices));
  return { handle, manner: "writing", cost: smallReply, work };
};

/** Which path comes first is told in `symlinks.ts`. The target is kept as it was written. */
const makeLink: Understand = (request) => {
  const { id, body, session } = request;
  const first = session.linkFirst ? takePath(request, "kept") : null;
  const target = wire.takeString(body);
  const path = first ?? takePath(request, "kept");
  const text = target.toString();
  const isMapped = session.platform === "win32" && win32.isAbsolute(text);
  return alone(() => done(id, symlink(isMapped ? windowsPath(text, session.home) : target, path)));
};

const setOnHandle: Understand = (request) => {
  const handle = takeHandle(request);
  const attrs = takeAttrs(request.body);
  const { kind, path } = handle;
  const set = () => (kind === "file" ? setByHandle(handle.file, attrs) : setByPath(path, attrs));
  return through(handle, () => done(request.id, set()));
};

const closeHandle: Understand = (request) => {
  const handle = takeHandle(request);
  const work = () => done(request.id, files.closeHandle(request.session.handles, handle));
  return through(handle, work);
};

const statHandle: Understand = (request) => {
  const handle = takeHandle(request);
  return through(handle, async () => attrsReply(request.id, await files.statHandle(handle)));
};

/** A request with one path, answered with attributes. */
function looking(last: Last, look: (path: LocalPath) => Promise<Stats>): Understand {
  return (request) => {
    const path = takePath(request, last);
    return alone(async () => attrsReply(request.id, await look(path)));
  };
}

const understood: Readonly<Record<number, Understand>> = {
  [types.OPEN]: openFile,
  [types.CLOSE]: closeHandle,
  [types.READ]: readData,
  [types.WRITE]: writeData,
  [types.LSTAT]: looking("kept", (path) => lstat(path)),
  [types.STAT]: looking("followed", (path) => stat(path)),
  [types.FSTAT]: statHandle,
  [types.SETSTAT]: changing("followed", (path, body) => {
    const attrs = takeAttrs(body);
    return () => setByPath(path, attrs);
  }),
  [types.FSETSTAT]: setOnHandle,
  [types.OPENDIR]: openDirectory,
  [types.READDIR]: readDirectory,
  [types.REMOVE]: changing("kept", (path) => () => unlink(path)),
  [types.MKDIR]: changing("kept", (path, body) => {
    const { permissions } = takeAttrs(body);
    return () => mkdir(path, permissions === undefined ? 0o777 : permissions & 0o7777);
  }),
  [types.RMDIR]: changing("kept", (path) => () => rmdir(path)),
  [types.REALPATH]: resolving((path) => path),
  [types.RENAME]: moving(renameToNew),
  [types.READLINK]: (request) => {
    const path = takePath(request, "kept");
    const { id, session } = request;
    return alone(async () => {
      const target = await readlink(path, { encoding: "buffer" });
      return nameReply(id, session.platform === "win32" ? wirePath(target, "win32") : target);
    });
  },
  [types.SYMLINK]: makeLink,
};

/** Packet types and extensions that change something; fsync too, as in OpenSSH. */
const changes: ReadonlySet<number | string> = new Set<number | string>([
  types.WRITE,
  types.SETSTAT,
  types.FSETSTAT,
  types.REMOVE,
  types.MKDIR,
  types.RMDIR,
  types.RENAME,
  types.SYMLINK,
  "posix-rename@openssh.com",
  "hardlink@openssh.com",
  "fsync@openssh.com",
  "lsetstat@openssh.com",
  "copy-data",
]);

/** The answer to INIT: version 3, and the extensions. */
export function versionReply(): Buffer {
  const offered = Object.entries(extensions).flatMap(([name, { version }]) => [name, version]);
  return wire.packet(types.VERSION, wire.u32(3), ...offered.map(wire.string));
}

/**
 * Reads a request after its id. Throws BAD_MESSAGE for one cut short, FAILURE for an unknown
 * handle, PERMISSION_DENIED for a change that is not allowed, OP_UNSUPPORTED for anything else.
 */
export function understand(type: number, id: number, body: Pieces, session: Session): Task {
  const isExtended = type === types.EXTENDED;
  const kind = isExtended ? wire.takeString(body).toString() : type;
  const found = isExtended
    ? Object.hasOwn(extensions, kind) && extensions[kind]?.understand
    : understood[type];
  if (!found) throw new SftpError(codes.OP_UNSUPPORTED, "not supported");
  if (session.readOnly && changes.has(kind)) throw denied();
  const request: Request = { id, body, session, paths: [] };
  return guarded(found(request), request);
}

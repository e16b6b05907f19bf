/**
 * The extensions: what OpenSSH's PROTOCOL file adds to version 3, and two of
 * draft-ietf-secsh-filexfer-extensions-00 that OpenSSH has as well.
 */
import { link, rename, statfs } from "node:fs/promises";
import { takeAttrs } from "./attrs.ts";
import { setOnLink } from "./changes.ts";
import * as files from "./handles.ts";
import { homeOf, type LocalPath, wirePath, withoutTilde } from "./paths.ts";
import {
  alone,
  changing,
  closed,
  done,
  moving,
  nameReply,
  type Request,
  resolving,
  takeFile,
  takeHandle,
  takePath,
  through,
  type Understand,
} from "./tasks.ts";
import * as wire from "./wire.ts";
import { types } from "./wire.ts";

async function spaceReply({ id, session }: Request, path: LocalPath): Promise<Buffer> {
  const space = await statfs(path, { bigint: true });
  const isReadOnly = session.readOnly ? 1 : 0;
  const { bsize, blocks, bfree, bavail, files: nodes, ffree } = space;
  // Node tells neither the fragment size, nor an id, nor the flags, nor the longest name.
  const fields = [bsize, bsize, blocks, bfree, bavail, nodes, ffree, ffree, 0, isReadOnly, 255];
  return wire.packet(types.EXTENDED_REPLY, wire.u32(id), ...fields.map(wire.u64));
}

export interface Extension {
  readonly version: string;
  readonly understand: Understand;
}

export const extensions: Readonly<Record<string, Extension>> = {
  "posix-rename@openssh.com": { version: "1", understand: moving(rename) },
  "statvfs@openssh.com": {
    version: "2",
    understand: (request) => {
      const path = takePath(request, "followed");
      return alone(() => spaceReply(request, path));
    },
  },
  "fstatvfs@openssh.com": {
    version: "2",
    understand: (request) => {
      const handle = takeHandle(request);
      return through(handle, () => spaceReply(request, handle.path));
    },
  },
  "hardlink@openssh.com": { version: "1", understand: moving(link) },
  "fsync@openssh.com": {
    version: "1",
    understand: (request) => {
      const handle = takeFile(request);
      return through(handle, () => done(request.id, handle.file.sync()));
    },
  },
  "lsetstat@openssh.com": {
    version: "1",
    understand: changing("kept", (path, body) => {
      const attrs = takeAttrs(body);
      return () => setOnLink(path, attrs);
    }),
  },
  "limits@openssh.com": {
    version: "1",
    understand: ({ id }) =>
      alone(() => {
        const { maxPacket, maxTransfer } = wire;
        const limits = [maxPacket, maxTransfer, maxTransfer, files.maxHandles].map(wire.u64);
        return Promise.resolve(wire.packet(types.EXTENDED_REPLY, wire.u32(id), ...limits));
      }),
  },
  "expand-path@openssh.com": {
    version: "1",
    understand: resolving((path, { userHome, platform }) => withoutTilde(path, userHome, platform)),
  },
  "copy-data": {
    version: "1",
    understand: (request) => {
      const { id, body, session } = request;
      const from = { file: takeFile(request), offset: wire.takeU64(body) };
      const length = wire.takeU64(body);
      const to = { file: takeFile(request), offset: wire.takeU64(body) };
      return alone(() => {
        if (from.file.isClosed || to.file.isClosed) throw closed();
        return done(id, files.copyData(from, to, length, session.goesOn));
      });
    },
  },
  "home-directory": {
    version: "1",
    understand: ({ id, body, session }) => {
      const user = wire.takeString(body).toString();
      const { userHome, platform } = session;
      return alone(async () =>
        nameReply(id, wirePath(Buffer.from(await homeOf(user, userHome)), platform)),
      );
    },
  },
};

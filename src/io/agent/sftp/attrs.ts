/**
 * Attributes of files on the wire, and names with them (draft-ietf-secsh-filexfer-02, section 5).
 *
 * Knows the layout only; where they come from is in `listing.ts`.
 */
import { type Pieces, packet, string, takeU32, takeU64, types, u32, u64 } from "./wire.ts";

/** File attributes (draft-02, section 5): sizes in bytes, times in seconds since 1970. */
export interface Attrs {
  readonly size?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Mode bits as in `st_mode`; the file type's among them when a server says them. */
  readonly permissions?: number;
  readonly times?: { readonly atime: number; readonly mtime: number };
}

const has = { SIZE: 1, OWNER: 2, PERMISSIONS: 4, TIMES: 8, EXTENDED: 0x8000_0000 } as const;

/** Reads attributes; vendors' extended ones are after them and are not looked at. */
export function takeAttrs(from: Pieces): Attrs {
  const flags = takeU32(from);
  return {
    ...(flags & has.SIZE && { size: takeU64(from) }),
    ...(flags & has.OWNER && { owner: { uid: takeU32(from), gid: takeU32(from) } }),
    ...(flags & has.PERMISSIONS && { permissions: takeU32(from) }),
    ...(flags & has.TIMES && { times: { atime: takeU32(from), mtime: takeU32(from) } }),
  };
}

export function attributes({ size, owner, permissions, times }: Attrs): Buffer {
  const flags =
    (size === undefined ? 0 : has.SIZE) |
    (owner ? has.OWNER : 0) |
    (permissions === undefined ? 0 : has.PERMISSIONS) |
    (times ? has.TIMES : 0);
  return Buffer.concat([
    u32(flags),
    ...(size === undefined ? [] : [u64(size)]),
    ...(owner ? [u32(owner.uid), u32(owner.gid)] : []),
    ...(permissions === undefined ? [] : [u32(permissions)]),
    ...(times ? [u32(times.atime), u32(times.mtime)] : []),
  ]);
}

export interface Name {
  readonly name: Buffer;
  /** The line `ls -l` would print; clients show it, and should not parse it. */
  readonly longname: Buffer;
  readonly attrs: Attrs;
}

export function names(id: number, entries: readonly Name[]): Buffer {
  const parts = entries.flatMap((e) => [string(e.name), string(e.longname), attributes(e.attrs)]);
  return packet(types.NAME, u32(id), u32(entries.length), ...parts);
}

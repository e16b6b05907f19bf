/**
 * The words of SFTP version 3: packets in, packets out. Numbers and layouts are those of
 * draft-ietf-secsh-filexfer-02; the extensions' are in OpenSSH's PROTOCOL file.
 *
 * Knows bytes and bounds; does not know files, handles or the channel.
 */

/** Packet types (draft-02, section 3). */
export const types = {
  INIT: 1,
  VERSION: 2,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 200,
  EXTENDED_REPLY: 201,
} as const;

/** Status codes (draft-02, section 7). */
export const codes = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  OP_UNSUPPORTED: 8,
} as const;
export type StatusCode = (typeof codes)[keyof typeof codes];

/** What OPEN asks for (draft-02, section 6.3). */
export const openFlags = { READ: 1, WRITE: 2, APPEND: 4, CREAT: 8, TRUNC: 16, EXCL: 32 } as const;

/** The longest packet announced, in bytes without its length word; OpenSSH's own figure. */
export const maxPacket = 256 * 1024;
/** The most data in one READ or WRITE: what fits beside a WRITE's other fields. */
export const maxTransfer = maxPacket - 1024;
/** Some clients count the data alone against the announced length; they are forgiven this much. */
const overhead = 1024;

/** A refusal that a client is told: a status code and a sentence. */
export class SftpError extends Error {
  override readonly name = "SftpError";
  readonly code: StatusCode;
  constructor(code: StatusCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes not yet read, in the pieces in which they came. */
export interface Pieces {
  length: number;
  readonly slices: Buffer[];
}

/** Takes the next `n` bytes, uncopied. Throws BAD_MESSAGE when there are fewer. */
export function take(from: Pieces, n: number): Buffer[] {
  if (n > from.length) throw new SftpError(codes.BAD_MESSAGE, "the packet is too short");
  from.length -= n;
  const taken: Buffer[] = [];
  for (let left = n; left > 0; ) {
    const slice = from.slices[0] ?? Buffer.alloc(0);
    if (slice.length > left) {
      taken.push(slice.subarray(0, left));
      from.slices[0] = slice.subarray(left);
      break;
    }
    taken.push(slice);
    from.slices.shift();
    left -= slice.length;
  }
  return taken;
}

function takeWhole(from: Pieces, n: number): Buffer {
  const taken = take(from, n);
  const [only] = taken;
  return taken.length === 1 && only ? only : Buffer.concat(taken);
}

export function takeU32(from: Pieces): number {
  return takeWhole(from, 4).readUInt32BE();
}

/** As a number: above 2^53 it is no longer exact, nor `Number.isSafeInteger`. */
export function takeU64(from: Pieces): number {
  return Number(takeWhole(from, 8).readBigUInt64BE());
}

export function takeString(from: Pieces): Buffer {
  return takeWhole(from, takeU32(from));
}

/** A string's bytes as they came: a WRITE's data is never copied together. */
export function takeData(from: Pieces): Buffer[] {
  return take(from, takeU32(from));
}

/** What a packet is: its type, and the bytes after that. `length` counts the type too. */
export interface Packet {
  readonly type: number;
  readonly length: number;
  readonly body: Pieces;
}

/** Cuts a stream of chunks into packets; at most one packet and one chunk are kept. */
export interface PacketReader {
  push(chunk: Buffer): void;
  /** The next whole packet. Throws BAD_MESSAGE, for good, for a length that is out of bounds. */
  next(): Packet | undefined;
}

/** Smaller chunks are copied together, or a WRITE in one-byte chunks would cost a hundredfold. */
const smallChunk = 2_048;
const blockLength = 16_384;

export function packetReader(): PacketReader {
  const kept: Pieces = { length: 0, slices: [] };
  let awaited: number | undefined;
  let block = Buffer.alloc(0);
  let filled = 0;
  /** True while the last slice ends where `block` is filled to, so that it can grow in place. */
  let isOpen = false;

  const pushSmall = (chunk: Buffer): void => {
    if (filled + chunk.length > block.length) {
      block = Buffer.allocUnsafeSlow(blockLength);
      filled = 0;
      isOpen = false;
    }
    chunk.copy(block, filled);
    filled += chunk.length;
    const last = isOpen ? kept.slices.pop() : undefined;
    kept.slices.push(block.subarray(filled - chunk.length - (last?.length ?? 0), filled));
    isOpen = true;
  };

  return {
    push(chunk) {
      if (chunk.length === 0) return;
      kept.length += chunk.length;
      if (chunk.length < smallChunk) return pushSmall(chunk);
      kept.slices.push(chunk);
      isOpen = false;
    },
    next() {
      if (awaited === undefined) {
        if (kept.length < 4) return undefined;
        awaited = takeU32(kept);
        if (awaited < 5 || awaited > maxPacket + overhead) {
          throw new SftpError(codes.BAD_MESSAGE, `a packet of ${awaited} bytes is out of bounds`);
        }
      }
      if (kept.length < awaited) return undefined;
      const length = awaited;
      awaited = undefined;
      const type = takeWhole(kept, 1).readUInt8();
      return { type, length, body: { length: length - 1, slices: take(kept, length - 1) } };
    },
  };
}

export function u32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32BE(value);
  return out;
}

export function u64(value: number | bigint): Buffer {
  const out = Buffer.allocUnsafe(8);
  out.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
  return out;
}

/** A length word and the bytes; text goes out as UTF-8. */
export function string(value: Buffer | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([u32(bytes.length), bytes]);
}

/** A whole packet: length, type, and the parts; a reply's first part is the request's id. */
export function packet(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.of(type), ...parts]);
  return Buffer.concat([u32(body.length), body]);
}

/** A STATUS reply; `message` is for people and in English. */
export function status(id: number, code: StatusCode, message: string): Buffer {
  return packet(types.STATUS, u32(id), u32(code), string(message), string("en"));
}

/** Room before the data of a DATA reply, so that a file is read straight behind its header. */
export const dataHeader = 13;

/** Makes a DATA reply of a buffer that has `length` bytes of data after room for the header. */
export function sealData(buffer: Buffer, id: number, length: number): Buffer {
  buffer.writeUInt32BE(9 + length, 0);
  buffer.writeUInt8(types.DATA, 4);
  buffer.writeUInt32BE(id, 5);
  buffer.writeUInt32BE(length, 9);
  return buffer.subarray(0, dataHeader + length);
}

/**
 * SFTP packet by packet: what OpenSSH's client never sends. The peer here is a few lines of its
 * own, on a pair of streams in memory.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { constants } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { serveSftp } from "../../src/io/sftp.ts";
import { type Attrs, attributes, takeAttrs } from "../../src/io/sftp-attrs.ts";
import { systemFlags } from "../../src/io/sftp-changes.ts";
import { dateText, modeText } from "../../src/io/sftp-listing.ts";
import { localPath, windowsPath, wireFromWindows } from "../../src/io/sftp-paths.ts";
import {
  codes,
  maxTransfer,
  type Packet,
  type Pieces,
  packet,
  packetReader,
  SftpError,
  string,
  take,
  takeString,
  takeU32,
  types,
  u32,
  u64,
} from "../../src/io/sftp-wire.ts";

const R = 1;
const W = 2;
const RW = 3;
const APPEND = 4;
const CREAT = 8;
const TRUNC = 16;
const EXCL = 32;
const noAttrs = u32(0);

/** Two streams, each reading what the other writes, with back-pressure. */
function pair(highWaterMark: number): [Duplex, Duplex] {
  const taken: (() => void)[][] = [[], []];
  const make = (own: number): Duplex =>
    new Duplex({
      highWaterMark,
      read() {
        for (const go of taken[own]?.splice(0) ?? []) go();
      },
      write(chunk, _encoding, done) {
        const other = ends[1 - own];
        if (other?.push(Buffer.from(chunk)) === false) taken[1 - own]?.push(done);
        else done();
      },
      final(done) {
        ends[1 - own]?.push(null);
        done();
      },
    });
  const ends: [Duplex, Duplex] = [make(0), make(1)];
  return ends;
}

interface Answer {
  readonly type: number;
  readonly id: number;
  readonly body: Pieces;
}

interface Peer {
  readonly home: string;
  readonly stream: Duplex;
  readonly served: Promise<void>;
  /** Bytes of all replies, as `onReply` told them. */
  replied(): number;
  send(type: number, id: number, ...parts: Buffer[]): void;
  /** The next packet, whoever it answers; undefined when the server has ended the stream. */
  next(): Promise<Answer | undefined>;
  /** Sends one request and gives its answer. */
  ask(type: number, ...parts: Buffer[]): Promise<Answer>;
  /** The status code of the answer. */
  status(type: number, ...parts: Buffer[]): Promise<number>;
  /** Opens and gives the handle, ready to be a part. */
  open(name: string | Buffer, flags: number): Promise<Buffer>;
}

interface Setting {
  readonly readOnly?: boolean;
  readonly greet?: boolean;
  readonly home?: string;
  readonly highWaterMark?: number;
}

async function meet(t: TestContext, setting: Setting = {}): Promise<Peer> {
  const home = setting.home ?? (await realpath(await mkdtemp(join(tmpdir(), "converge-sftp-"))));
  const [stream, channel] = pair(setting.highWaterMark ?? 65_536);
  let replied = 0;
  const served = serveSftp(channel, {
    home,
    userHome: "/the/users/home",
    readOnly: setting.readOnly ?? false,
    onReply: (bytes) => {
      replied += bytes;
    },
  });
  t.after(async () => {
    stream.destroy();
    channel.destroy();
    await served;
    await rm(home, { recursive: true, force: true });
  });
  const reader = packetReader();
  const chunks = stream.iterator({ destroyOnReturn: false });
  let ids = 0;
  const next = async (): Promise<Answer | undefined> => {
    for (;;) {
      const found = reader.next();
      if (found) return { type: found.type, id: takeU32(found.body), body: found.body };
      const chunk = await chunks.next();
      if (chunk.done) return undefined;
      reader.push(chunk.value);
    }
  };
  const send = (type: number, id: number, ...parts: Buffer[]): void => {
    stream.write(packet(type, u32(id), ...parts));
  };
  const ask = async (type: number, ...parts: Buffer[]): Promise<Answer> => {
    ids += 1;
    send(type, ids, ...parts);
    const answer = await next();
    assert.ok(answer, "the server has ended the session");
    assert.equal(answer.id, ids);
    return answer;
  };
  const status = async (type: number, ...parts: Buffer[]): Promise<number> => {
    const answer = await ask(type, ...parts);
    assert.equal(answer.type, types.STATUS);
    return takeU32(answer.body);
  };
  const openHandle = async (name: string | Buffer, flags: number): Promise<Buffer> => {
    const answer = await ask(types.OPEN, string(name), u32(flags), noAttrs);
    assert.equal(answer.type, types.HANDLE, `${name} was not opened`);
    return string(takeString(answer.body));
  };
  if (setting.greet !== false) {
    stream.write(packet(types.INIT, u32(3)));
    const version = await next();
    assert.equal(version?.type, types.VERSION);
    assert.equal(version?.id, 3);
  }
  return {
    ...{ home, stream, served, replied: () => replied },
    ...{ send, next, ask, status, open: openHandle },
  };
}

function nameIn({ type, body }: Answer): string {
  assert.equal(type, types.NAME);
  assert.equal(takeU32(body), 1);
  return takeString(body).toString();
}

function attrsIn({ type, body }: Answer): Attrs {
  assert.equal(type, types.ATTRS);
  return takeAttrs(body);
}

async function entriesIn(peer: Peer, path: string): Promise<Map<string, string>> {
  const opened = await peer.ask(types.OPENDIR, string(path));
  assert.equal(opened.type, types.HANDLE);
  const handle = string(takeString(opened.body));
  const found = new Map<string, string>();
  for (;;) {
    const { type, body } = await peer.ask(types.READDIR, handle);
    if (type === types.STATUS) {
      assert.equal(takeU32(body), codes.EOF);
      assert.equal(await peer.status(types.CLOSE, handle), codes.OK);
      return found;
    }
    for (let left = takeU32(body); left > 0; left -= 1) {
      const name = takeString(body).toString("latin1");
      found.set(name, takeString(body).toString("latin1"));
      takeAttrs(body);
    }
  }
}

function packetsOf(bytes: Buffer, chunk: number): Packet[] {
  const reader = packetReader();
  const found: Packet[] = [];
  for (let at = 0; at < bytes.length; at += chunk) {
    reader.push(bytes.subarray(at, at + chunk));
    for (let one = reader.next(); one; one = reader.next()) found.push(one);
  }
  return found;
}

test("packets are the same whatever chunks they come in", () => {
  const long = Buffer.alloc(70_000, "converge ");
  const bytes = Buffer.concat([
    packet(types.INIT, u32(3)),
    packet(types.WRITE, u32(1), string("handle"), u64(2 ** 40), string(long)),
    packet(types.CLOSE, u32(2), string("handle")),
  ]);
  for (const chunk of [1, 3, 2_047, 2_048, 30_000, bytes.length]) {
    const got = packetsOf(bytes, chunk).map(({ type, body }) => [
      type,
      Buffer.concat(take(body, body.length)).toString("latin1"),
    ]);
    const want = [
      [types.INIT, u32(3)],
      [types.WRITE, Buffer.concat([u32(1), string("handle"), u64(2 ** 40), string(long)])],
      [types.CLOSE, Buffer.concat([u32(2), string("handle")])],
    ] as const;
    const text = want.map(([type, body]) => [type, body.toString("latin1")]);
    assert.deepEqual(got, text, `chunks of ${chunk}`);
  }
});

test("a packet in one-byte chunks is kept in few pieces", () => {
  const [found] = packetsOf(packet(types.WRITE, Buffer.alloc(200_000)), 1);
  assert.ok(found && found.body.slices.length < 20, `${found?.body.slices.length} pieces`);
});

for (const length of [0, 4, 256 * 1024 + 1025, 0xffff_ffff]) {
  test(`a length of ${length} is out of bounds`, () => {
    const reader = packetReader();
    reader.push(u32(length));
    assert.throws(
      () => reader.next(),
      new SftpError(codes.BAD_MESSAGE, `a packet of ${length} bytes is out of bounds`),
    );
  });
}

test("attributes survive the way there and back", () => {
  const all: Attrs[] = [
    {},
    { size: 2 ** 52 },
    { owner: { uid: 1, gid: 0xffff_ffff } },
    { size: 0, permissions: 0o100644, times: { atime: 1, mtime: 0xffff_ffff } },
  ];
  for (const attrs of all) {
    const bytes = attributes(attrs);
    assert.deepEqual(takeAttrs({ length: bytes.length, slices: [bytes] }), attrs);
  }
});

test("a client's path on Windows", () => {
  const table: [string, string][] = [
    ["", "D:\\job"],
    [".", "D:\\job"],
    ["a/b", "D:\\job\\a\\b"],
    ["../x", "D:\\x"],
    ["/", "D:\\"],
    ["/a", "D:\\a"],
    ["/C:/dir/file", "C:\\dir\\file"],
    ["/C:", "C:\\"],
    ["/C:/", "C:\\"],
    ["C:/dir", "C:\\dir"],
    ["C:\\dir", "C:\\dir"],
    ["//server/share/x", "\\\\server\\share\\x"],
  ];
  for (const [wire, want] of table) assert.equal(windowsPath(wire, "D:\\job"), want, wire);
});

test("a Windows path as the client is told it", () => {
  const table: [string, string][] = [
    ["C:\\dir\\file", "/C:/dir/file"],
    ["C:\\", "/C:/"],
    ["\\\\?\\C:\\dir", "/C:/dir"],
    ["\\\\server\\share\\x", "//server/share/x"],
    ["\\\\?\\UNC\\server\\share", "//server/share"],
    ["..\\beside", "../beside"],
  ];
  for (const [local, want] of table) assert.equal(wireFromWindows(local), want, local);
});

test("a client's path on POSIX keeps every byte", () => {
  const odd = Buffer.from([0x66, 0xff, 0x0a]);
  assert.deepEqual(localPath(odd, "/job", "linux"), Buffer.concat([Buffer.from("/job/"), odd]));
  assert.deepEqual(localPath(Buffer.from("/a/../b"), "/job", "linux"), Buffer.from("/a/../b"));
});

test("modes as ls shows them", () => {
  const table: [number, string][] = [
    [0o100644, "-rw-r--r--"],
    [0o040755, "drwxr-xr-x"],
    [0o120777, "lrwxrwxrwx"],
    [0o041777, "drwxrwxrwt"],
    [0o104755, "-rwsr-xr-x"],
    [0o107644, "-rwSr-Sr-T"],
    [0o010600, "prw-------"],
    [0o140600, "srw-------"],
    [0o020620, "crw--w----"],
    [0o060660, "brw-rw----"],
    [0o000400, "?r--------"],
  ];
  for (const [mode, want] of table) assert.equal(modeText(mode), want);
});

test("dates as ls shows them", () => {
  const now = new Date(2024, 6, 1, 12, 0).getTime();
  const table: [Date, string][] = [
    [new Date(2024, 5, 9, 4, 5), "Jun  9 04:05"],
    [new Date(2024, 6, 1, 12, 1), "Jul  1 12:01"],
    [new Date(2024, 6, 2), "Jul  2  2024"],
    [new Date(2019, 11, 31), "Dec 31  2019"],
  ];
  for (const [date, want] of table) assert.equal(dateText(date.getTime(), now), want);
});

test("the flags of OPEN as open(2) has them", () => {
  const always = constants.O_NONBLOCK | constants.O_NOCTTY;
  const table: [number, number][] = [
    [0, constants.O_RDONLY],
    [R, constants.O_RDONLY],
    [W, constants.O_WRONLY],
    [RW, constants.O_RDWR],
    [W | APPEND, constants.O_WRONLY | constants.O_APPEND],
    [W | CREAT | TRUNC, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC],
    [RW | CREAT | EXCL, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL],
  ];
  for (const [flags, want] of table) assert.equal(systemFlags(flags), want | always);
});

test("VERSION offers the extensions", async (t) => {
  const peer = await meet(t, { greet: false });
  peer.stream.write(packet(types.INIT, u32(6)));
  const answer = await peer.next();
  assert.deepEqual([answer?.type, answer?.id], [types.VERSION, 3]);
  const offered: Record<string, string> = {};
  for (const body = answer?.body; body && body.length > 0; ) {
    offered[takeString(body).toString()] = takeString(body).toString();
  }
  assert.deepEqual(offered, {
    "posix-rename@openssh.com": "1",
    "statvfs@openssh.com": "2",
    "fstatvfs@openssh.com": "2",
    "hardlink@openssh.com": "1",
    "fsync@openssh.com": "1",
    "lsetstat@openssh.com": "1",
    "limits@openssh.com": "1",
    "expand-path@openssh.com": "1",
    "copy-data": "1",
    "home-directory": "1",
  });
});

const breaches: [string, Buffer[]][] = [
  ["a request before INIT", [packet(types.STAT, u32(1), string("."))]],
  ["a second INIT", [packet(types.INIT, u32(3)), packet(types.INIT, u32(3))]],
  ["an empty packet", [packet(types.INIT, u32(3)), u32(0)]],
  ["a packet without an id", [packet(types.INIT, u32(3)), u32(3), Buffer.alloc(3)]],
  ["a packet that is too long", [packet(types.INIT, u32(3)), u32(256 * 1024 + 1025)]],
  ["what is no SFTP", [Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
];
for (const [what, bytes] of breaches) {
  test(`${what} ends the session`, async (t) => {
    const peer = await meet(t, { greet: false });
    peer.stream.write(Buffer.concat(bytes));
    const seen: number[] = [];
    for (let one = await peer.next(); one; one = await peer.next()) seen.push(one.type);
    assert.deepEqual(seen, bytes.length > 1 ? [types.VERSION] : []);
    await peer.served;
  });
}

test("the greatest packet announced is taken, data and all", async (t) => {
  const peer = await meet(t);
  const handle = await peer.open("big", W | CREAT);
  const data = Buffer.alloc(256 * 1024, 7);
  assert.equal(await peer.status(types.WRITE, handle, u64(0), string(data)), codes.OK);
  assert.deepEqual(await readFile(join(peer.home, "big")), data);
});

test("a packet cut short is a bad message, and the session goes on", async (t) => {
  const peer = await meet(t);
  const table: [number, Buffer[]][] = [
    [types.OPEN, [string("x"), u32(R)]],
    [types.OPEN, [u32(900), Buffer.from("x")]],
    [types.STAT, []],
    [types.STAT, [u32(0xffff_ffff)]],
    [types.SETSTAT, [string("x"), u32(1), u32(0)]],
    [types.RENAME, [string("x")]],
    [types.EXTENDED, []],
    [types.EXTENDED, [string("posix-rename@openssh.com"), string("x")]],
  ];
  for (const [type, parts] of table) {
    assert.equal(await peer.status(type, ...parts), codes.BAD_MESSAGE);
  }
  const handle = await peer.open("x", RW | CREAT);
  assert.equal(await peer.status(types.READ, handle, u64(0)), codes.BAD_MESSAGE);
  assert.equal(
    await peer.status(types.WRITE, handle, u64(0), u32(5), Buffer.from("four")),
    codes.BAD_MESSAGE,
  );
  assert.equal(await peer.status(types.STAT, string("nul\0nul")), codes.BAD_MESSAGE);
  assert.equal((await stat(join(peer.home, "x"))).size, 0);
});

test("what is not known is not supported", async (t) => {
  const peer = await meet(t);
  for (const type of [0, 2, 21, 99, types.STATUS, types.VERSION, 255]) {
    assert.equal(await peer.status(type, string("x")), codes.OP_UNSUPPORTED);
  }
  for (const name of ["x@example.org", "", "toString", "__proto__"]) {
    assert.equal(await peer.status(types.EXTENDED, string(name)), codes.OP_UNSUPPORTED);
  }
});

test("a wrong handle fails, and so does one of another session", async (t) => {
  const peer = await meet(t);
  const other = await meet(t);
  await writeFile(join(other.home, "theirs"), "theirs");
  const theirs = await other.open("theirs", R);
  const closed = await peer.open("x", RW | CREAT);
  assert.equal(await peer.status(types.CLOSE, closed), codes.OK);
  for (const handle of [theirs, closed, string(""), string(Buffer.alloc(300))]) {
    const table: [number, Buffer[]][] = [
      [types.CLOSE, []],
      [types.READ, [u64(0), u32(1)]],
      [types.WRITE, [u64(0), string("x")]],
      [types.FSTAT, []],
      [types.FSETSTAT, [noAttrs]],
      [types.READDIR, []],
    ];
    for (const [type, parts] of table) {
      assert.equal(await peer.status(type, handle, ...parts), codes.FAILURE);
    }
    const sync = [string("fsync@openssh.com"), handle];
    assert.equal(await peer.status(types.EXTENDED, ...sync), codes.FAILURE);
  }
});

test("a handle is only good for what it is", async (t) => {
  const peer = await meet(t);
  const file = await peer.open("x", W | CREAT);
  const opened = await peer.ask(types.OPENDIR, string("."));
  const directory = string(takeString(opened.body));
  assert.equal(await peer.status(types.READDIR, file), codes.FAILURE);
  assert.equal(await peer.status(types.READ, directory, u64(0), u32(1)), codes.FAILURE);
  assert.equal(await peer.status(types.READ, file, u64(0), u32(1)), codes.FAILURE);
  const readable = await peer.open("x", R);
  assert.equal(await peer.status(types.WRITE, readable, u64(0), string("x")), codes.FAILURE);
  const attrs = attrsIn(await peer.ask(types.FSTAT, directory));
  assert.equal((attrs.permissions ?? 0) & 0o170000, 0o040000);
});

test("reads at and beyond the end, up to 2^64 - 1", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "ten"), "0123456789");
  const handle = await peer.open("ten", R);
  for (const offset of [
    10n,
    2n ** 31n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 63n - 1n,
    2n ** 64n - 1n,
  ]) {
    assert.equal(
      await peer.status(types.READ, handle, u64(offset), u32(9)),
      codes.EOF,
      `${offset}`,
    );
  }
  const table: [number, number, string][] = [
    [0, 4, "0123"],
    [8, 4, "89"],
    [9, 0xffff_ffff, "9"],
    [3, 0, ""],
  ];
  for (const [offset, length, want] of table) {
    const answer = await peer.ask(types.READ, handle, u64(offset), u32(length));
    assert.equal(answer.type, types.DATA);
    assert.equal(takeString(answer.body).toString(), want);
    assert.equal(answer.body.length, 0);
  }
});

test("writes beyond what can be addressed fail", async (t) => {
  const peer = await meet(t);
  const handle = await peer.open("x", W | CREAT);
  for (const offset of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    const write = await peer.status(types.WRITE, handle, u64(offset), string("x"));
    assert.equal(write, codes.FAILURE);
    const size = Buffer.concat([u32(1), u64(offset)]);
    assert.equal(await peer.status(types.SETSTAT, string("x"), size), codes.FAILURE);
    assert.equal(await peer.status(types.FSETSTAT, handle, size), codes.FAILURE);
  }
  assert.equal((await stat(join(peer.home, "x"))).size, 0);
});

test("a read gives no more than was announced", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "empty"), "");
  await truncate(join(peer.home, "empty"), 10 * maxTransfer);
  const handle = await peer.open("empty", R);
  const answer = await peer.ask(types.READ, handle, u64(0), u32(0xffff_ffff));
  assert.equal(takeString(answer.body).length, maxTransfer);
  const limits = await peer.ask(types.EXTENDED, string("limits@openssh.com"));
  const want = [256 * 1024, maxTransfer, maxTransfer, 1024].map(u64);
  assert.deepEqual(Buffer.concat(take(limits.body, 32)), Buffer.concat(want));
});

test("1024 handles and no more, and one closed makes room for one", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "x"), "");
  const handles: Buffer[] = [];
  while (handles.length < 1023) handles.push(await peer.open("x", R));
  const opened = await peer.ask(types.OPENDIR, string("."));
  assert.equal(opened.type, types.HANDLE);
  assert.equal(await peer.status(types.OPEN, string("x"), u32(R), noAttrs), codes.FAILURE);
  assert.equal(await peer.status(types.OPENDIR, string(".")), codes.FAILURE);
  assert.equal(await peer.status(types.CLOSE, handles[7] ?? noAttrs), codes.OK);
  await peer.open("x", R);
});

async function openFiles(): Promise<number> {
  return (await readdir("/proc/self/fd")).length;
}

for (const how of ["ends", "ends within a packet", "talks nonsense"]) {
  test(`nothing is left open when the peer ${how}`, async (t) => {
    const before = await openFiles();
    const peer = await meet(t);
    for (let i = 0; i < 20; i += 1) await peer.open(`f${i}`, W | CREAT);
    for (let i = 0; i < 20; i += 1) await peer.ask(types.OPENDIR, string("."));
    assert.equal(await openFiles(), before + 40);
    for (let i = 0; i < 20; i += 1) peer.send(types.OPEN, i, string("f0"), u32(R), noAttrs);
    if (how === "ends") peer.stream.end();
    if (how === "ends within a packet") peer.stream.end(u32(77));
    if (how === "talks nonsense") peer.stream.write(u32(1));
    await peer.served;
    assert.equal(await openFiles(), before);
  });
}

test("a channel that breaks ends the session, unread requests or not", async (t) => {
  const before = await openFiles();
  const home = await mkdtemp(join(tmpdir(), "converge-sftp-"));
  t.after(() => rm(home, { recursive: true }));
  await writeFile(join(home, "x"), Buffer.alloc(1_000_000));
  const [stream, channel] = pair(1_024);
  let replies = 0;
  let answered = (): void => {};
  const some = new Promise<void>((resolve) => {
    answered = resolve;
  });
  const served = serveSftp(channel, {
    home,
    readOnly: false,
    onReply: () => {
      replies += 1;
      if (replies === 2) answered();
    },
  });
  stream.write(packet(types.INIT, u32(3)));
  for (let i = 0; i < 300; i += 1) {
    stream.write(packet(types.OPEN, u32(i), string("x"), u32(R), noAttrs));
  }
  await some;
  channel.destroy(new Error("broken"));
  await served;
  assert.equal(await openFiles(), before);
});

test("memory stays flat while the peer reads nothing, and nothing is lost", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "x"), "");
  await truncate(join(peer.home, "x"), 2_000 * maxTransfer);
  const handle = await peer.open("x", R);
  const { arrayBuffers: before } = process.memoryUsage();
  const before0 = peer.replied();
  for (let i = 0; i < 1_000; i += 1) {
    peer.send(types.READ, i, handle, u64(i * maxTransfer), u32(maxTransfer));
  }
  // Longer than the server would need to read the lot, were it not held back.
  for (let i = 0; i < 3_000; i += 1) await stat(peer.home);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 16 * 1024 * 1024, `${grown} bytes are kept`);
  assert.ok(peer.replied() - before0 < 2 * maxTransfer, `${peer.replied()} bytes were sent`);
  const seen = new Set<number>();
  while (seen.size < 1_000) {
    const answer = await peer.next();
    assert.equal(answer?.type, types.DATA);
    seen.add(answer.id);
  }
});

test("each reply is told", async (t) => {
  const peer = await meet(t);
  const before = peer.replied();
  const answer = await peer.ask(types.REALPATH, string("."));
  assert.equal(peer.replied() - before, 4 + 1 + 4 + answer.body.length);
});

test("RENAME never goes over something, posix-rename does", async (t) => {
  const peer = await meet(t);
  const at = (name: string): string => join(peer.home, name);
  const rename = (from: string, to: string): Promise<number> =>
    peer.status(types.RENAME, string(from), string(to));
  await writeFile(at("a"), "a");
  await writeFile(at("b"), "b");
  await mkdir(at("dir"));
  await mkdir(at("empty"));
  await symlink("nowhere", at("dangling"));
  for (const [from, to] of [
    ["a", "b"],
    ["a", "dangling"],
    ["a", "empty"],
    ["dir", "empty"],
    ["dangling", "a"],
  ]) {
    assert.equal(await rename(from ?? "", to ?? ""), codes.FAILURE, `${from} to ${to}`);
  }
  assert.equal(await readFile(at("b"), "utf8"), "b");
  assert.equal(await rename("none", "c"), codes.NO_SUCH_FILE);
  assert.equal(await rename("a", "none/c"), codes.NO_SUCH_FILE);
  assert.equal(await rename("a", "c"), codes.OK);
  assert.equal(await rename("dir", "dir2"), codes.OK);
  assert.equal(await rename("dangling", "dangling2"), codes.OK);
  const over = [string("posix-rename@openssh.com"), string("c"), string("b")];
  assert.equal(await peer.status(types.EXTENDED, ...over), codes.OK);
  assert.equal(await readFile(at("b"), "utf8"), "a");
  assert.deepEqual((await readdir(peer.home)).sort(), ["b", "dangling2", "dir2", "empty"]);
});

test("names that are no text, and names with newlines, list, open and go", async (t) => {
  const peer = await meet(t);
  const odd = [
    Buffer.from([0x62, 0xff, 0xfe, 0x80]),
    Buffer.from("two\nlines"),
    Buffer.from("ü 😀"),
  ];
  for (const name of odd) {
    const handle = await peer.open(name, W | CREAT);
    assert.equal(await peer.status(types.WRITE, handle, u64(0), string(name)), codes.OK);
    assert.equal(await peer.status(types.CLOSE, handle), codes.OK);
  }
  const bytes = odd.map((name) => name.toString("latin1")).sort();
  const onDisk = (await readdir(peer.home, { encoding: "buffer" })).map((b) =>
    b.toString("latin1"),
  );
  assert.deepEqual(onDisk.sort(), bytes);
  const listed = await entriesIn(peer, ".");
  assert.deepEqual([...listed.keys()].sort(), [".", "..", ...bytes].sort());
  for (const name of odd) {
    assert.ok(listed.get(name.toString("latin1"))?.endsWith(` ${name.toString("latin1")}`));
    const handle = await peer.open(name, R);
    const answer = await peer.ask(types.READ, handle, u64(0), u32(100));
    assert.deepEqual(takeString(answer.body), name);
    const real = await peer.ask(types.REALPATH, string(name));
    takeU32(real.body);
    assert.deepEqual(takeString(real.body), Buffer.concat([Buffer.from(`${peer.home}/`), name]));
    const made = [string(name), string(Buffer.concat([name, Buffer.from("-link")]))];
    assert.equal(await peer.status(types.SYMLINK, ...made), codes.OK);
    const target = await peer.ask(types.READLINK, made[1] ?? noAttrs);
    takeU32(target.body);
    assert.deepEqual(takeString(target.body), name);
    assert.equal(await peer.status(types.REMOVE, string(name)), codes.OK);
  }
});

test("a large directory comes in batches, each name once", async (t) => {
  const peer = await meet(t);
  await mkdir(join(peer.home, "many"));
  const names = Array.from({ length: 1_000 }, (_, i) => `${i}`.padStart(250, "n"));
  for (const name of names) await writeFile(join(peer.home, "many", name), "");
  const listed = await entriesIn(peer, "many");
  assert.deepEqual([...listed.keys()].sort(), [".", "..", ...names].sort());
});

test("REALPATH, of what does not exist too", async (t) => {
  const peer = await meet(t);
  const { home } = peer;
  await mkdir(join(home, "dir", "sub"), { recursive: true });
  await symlink("dir/sub", join(home, "link"));
  await symlink("gone", join(home, "dangling"));
  const table: [string, string][] = [
    [".", home],
    ["", home],
    ["/", "/"],
    ["dir/./sub/..", `${home}/dir`],
    ["link", `${home}/dir/sub`],
    ["link/..", `${home}/dir`],
    ["none", `${home}/none`],
    ["none/../dir", `${home}/dir`],
    ["link/none/deeper", `${home}/dir/sub/none/deeper`],
    ["dangling", `${home}/dangling`],
    ["/../../none", "/none"],
  ];
  for (const [path, want] of table) {
    assert.equal(nameIn(await peer.ask(types.REALPATH, string(path))), want, path);
  }
  const expand = (path: string): Promise<Answer> =>
    peer.ask(types.EXTENDED, string("expand-path@openssh.com"), string(path));
  assert.equal(nameIn(await expand("~")), "/the/users/home");
  assert.equal(nameIn(await expand("~/x")), "/the/users/home/x");
  assert.equal(nameIn(await expand("~root/x")), "/root/x");
  assert.equal(nameIn(await expand("dir")), `${home}/dir`);
  const unknown = [string("expand-path@openssh.com"), string("~no.such.user/x")];
  assert.equal(await peer.status(types.EXTENDED, ...unknown), codes.NO_SUCH_FILE);
  const own = await peer.ask(types.EXTENDED, string("home-directory"), string(""));
  assert.equal(nameIn(own), "/the/users/home");
});

test("statuses for what goes wrong", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "file"), "");
  await mkdir(join(peer.home, "full", "sub"), { recursive: true });
  await symlink("loop", join(peer.home, "loop"));
  const table: [number, number, Buffer[]][] = [
    [codes.NO_SUCH_FILE, types.STAT, [string("none")]],
    [codes.NO_SUCH_FILE, types.STAT, [string("file/below")]],
    [codes.NO_SUCH_FILE, types.STAT, [string("loop")]],
    [codes.NO_SUCH_FILE, types.LSTAT, [string("none")]],
    [codes.NO_SUCH_FILE, types.OPEN, [string("none"), u32(R), noAttrs]],
    [codes.NO_SUCH_FILE, types.OPENDIR, [string("none")]],
    [codes.NO_SUCH_FILE, types.OPENDIR, [string("file")]],
    [codes.NO_SUCH_FILE, types.REMOVE, [string("none")]],
    [codes.NO_SUCH_FILE, types.SETSTAT, [string("none"), u32(4), u32(0o600)]],
    [codes.FAILURE, types.OPEN, [string("file"), u32(W | CREAT | EXCL), noAttrs]],
    [codes.FAILURE, types.OPEN, [string("full"), u32(W), noAttrs]],
    [codes.FAILURE, types.MKDIR, [string("full"), noAttrs]],
    [codes.FAILURE, types.RMDIR, [string("full")]],
    [codes.FAILURE, types.REMOVE, [string("full")]],
    [codes.FAILURE, types.READLINK, [string("file")]],
    [codes.FAILURE, types.STAT, [string("n".repeat(300))]],
    [codes.FAILURE, types.SYMLINK, [string("x"), string("file")]],
  ];
  for (const [want, type, parts] of table) assert.equal(await peer.status(type, ...parts), want);
  const { body } = await peer.ask(types.STAT, string("none"));
  takeU32(body);
  assert.equal(takeString(body).toString(), "no such file or directory");
  assert.equal(takeString(body).toString(), "en");
});

test("attributes are set by path, through a handle, and on a link itself", async (t) => {
  const peer = await meet(t);
  const at = (name: string): string => join(peer.home, name);
  await writeFile(at("x"), "0123456789");
  await symlink("x", at("link"));
  const { uid, gid } = await stat(at("x"));
  const times = { atime: 1_000_000_000, mtime: 1_100_000_000 };
  const owner = { uid, gid };
  const seen = async (name: string) => {
    const { size, mode, mtimeMs, atimeMs } = await lstat(at(name));
    return [size, mode & 0o7777, atimeMs, mtimeMs];
  };
  const first = attributes({ size: 4, owner, permissions: 0o4711, times });
  assert.equal(await peer.status(types.SETSTAT, string("x"), first), codes.OK);
  assert.deepEqual(await seen("x"), [4, 0o4711, 1e12, 1.1e12]);
  const handle = await peer.open("x", RW);
  const second = attributes({
    ...{ size: 6, owner, permissions: 0o600 },
    times: { atime: 0xffff_ffff, mtime: 5 },
  });
  assert.equal(await peer.status(types.FSETSTAT, handle, second), codes.OK);
  assert.deepEqual(await seen("x"), [6, 0o600, 4_294_967_295_000, 5_000]);
  const lset = (attrs: Attrs): Promise<number> =>
    peer.status(
      types.EXTENDED,
      ...[string("lsetstat@openssh.com"), string("link"), attributes(attrs)],
    );
  assert.equal(await lset({ owner, times }), codes.OK);
  assert.deepEqual((await seen("link")).slice(2), [1e12, 1.1e12]);
  assert.deepEqual(await seen("x"), [6, 0o600, 4_294_967_295_000, 5_000]);
  assert.equal(await lset({ permissions: 0o600 }), codes.OP_UNSUPPORTED);
  assert.equal(await lset({ size: 1 }), codes.BAD_MESSAGE);
  // A vendor's own attributes come after and are passed over.
  const extended = [u32(0x8000_0004), u32(0o640), u32(1), string("a@b"), string("c")];
  assert.equal(await peer.status(types.SETSTAT, string("x"), ...extended), codes.OK);
  assert.equal((await seen("x"))[1], 0o640);
  assert.equal(attrsIn(await peer.ask(types.FSTAT, handle)).permissions, 0o100640);
  assert.equal(attrsIn(await peer.ask(types.STAT, string("link"))).size, 6);
  assert.equal(attrsIn(await peer.ask(types.LSTAT, string("link"))).size, 1);
});

test("requests for one handle come about in the order in which they were sent", async (t) => {
  const peer = await meet(t);
  const handle = await peer.open("x", RW | CREAT);
  const want = Buffer.alloc(64_000);
  for (let i = 0; i < 400; i += 1) {
    // Ascending, descending and over one another; the last one wins everywhere.
    const at = i % 3 === 0 ? i * 150 : i % 3 === 1 ? 60_000 - i * 150 : 30_000;
    const data = Buffer.alloc(600, i + 1);
    data.copy(want, at);
    peer.send(types.WRITE, 1, handle, u64(at), string(data));
    if (i % 50 === 0) peer.send(types.READ, 2, handle, u64(at), u32(600));
    if (i % 100 === 0) peer.send(types.FSTAT, 3, handle);
  }
  peer.send(types.FSTAT, 4, handle);
  peer.send(types.CLOSE, 5, handle);
  peer.send(types.READ, 6, handle, u64(0), u32(1));
  peer.send(types.STAT, 7, string("x"));
  let reads = 0;
  for (let i = 0; i < 400 + 8 + 4 + 4; i += 1) {
    const answer = await peer.next();
    if (answer?.id === 2) {
      const data = takeString(answer.body);
      assert.deepEqual(data, Buffer.alloc(600, reads * 50 + 1));
      reads += 1;
    } else if (answer?.id === 4 || answer?.id === 7) {
      assert.equal(attrsIn(answer).size, 60_450);
    } else if (answer?.id !== 3) {
      const code = takeU32(answer?.body ?? { length: 0, slices: [] });
      assert.equal(code, answer?.id === 6 ? codes.FAILURE : codes.OK, `${answer?.id}`);
    }
  }
  assert.equal(reads, 8);
  assert.deepEqual(await readFile(join(peer.home, "x")), want.subarray(0, 60_450));
});

test("APPEND writes at the end, in order, whatever the offset", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "log"), "start ");
  const handle = await peer.open("log", W | APPEND);
  for (let i = 0; i < 100; i += 1) peer.send(types.WRITE, i, handle, u64(0), string(`${i} `));
  for (let i = 0; i < 100; i += 1) assert.equal((await peer.next())?.type, types.STATUS);
  const want = `start ${Array.from({ length: 100 }, (_, i) => `${i} `).join("")}`;
  assert.equal(await readFile(join(peer.home, "log"), "utf8"), want);
});

test("a pipe without its other end holds up nobody", { timeout: 20_000 }, async (t) => {
  const peer = await meet(t);
  assert.equal(spawnSync("mkfifo", [join(peer.home, "pipe")]).status, 0);
  for (let i = 0; i < 8; i += 1) await peer.open("pipe", R);
  const file = await open(join(peer.home, "free"), "w");
  await file.close();
});

test("copy-data copies a range, or to the end, but not into itself", async (t) => {
  const peer = await meet(t);
  const data = Buffer.from(Array.from({ length: 700_000 }, (_, i) => i % 251));
  await writeFile(join(peer.home, "from"), data);
  const from = await peer.open("from", RW);
  const to = await peer.open("to", RW | CREAT);
  const copy = (...parts: Buffer[]): Promise<number> =>
    peer.status(types.EXTENDED, string("copy-data"), ...parts);
  assert.equal(await copy(from, u64(1_000), u64(500_000), to, u64(7)), codes.OK);
  assert.deepEqual(
    await readFile(join(peer.home, "to")),
    Buffer.concat([Buffer.alloc(7), data.subarray(1_000, 501_000)]),
  );
  assert.equal(await copy(from, u64(0), u64(0), to, u64(0)), codes.OK);
  assert.deepEqual(await readFile(join(peer.home, "to")), data);
  assert.equal(await copy(from, u64(0), u64(0), from, u64(9)), codes.FAILURE);
  const again = await peer.open("from", RW);
  assert.equal(await copy(from, u64(0), u64(0), again, u64(9)), codes.FAILURE);
  assert.equal(await copy(from, u64(2n ** 63n), u64(1), to, u64(0)), codes.FAILURE);
});

test("fsync, statvfs, fstatvfs and hardlink", async (t) => {
  const peer = await meet(t);
  const handle = await peer.open("x", RW | CREAT);
  const ask = (name: string, ...parts: Buffer[]): Promise<Answer> =>
    peer.ask(types.EXTENDED, string(name), ...parts);
  assert.equal(takeU32((await ask("fsync@openssh.com", handle)).body), codes.OK);
  for (const [name, what] of [
    ["statvfs@openssh.com", string(".")],
    ["fstatvfs@openssh.com", handle],
  ] as const) {
    const space = await ask(name, what);
    assert.equal(space.type, types.EXTENDED_REPLY);
    assert.equal(space.body.length, 11 * 8);
  }
  const linked = await ask("hardlink@openssh.com", string("x"), string("y"));
  assert.equal(takeU32(linked.body), codes.OK);
  assert.equal((await stat(join(peer.home, "y"))).nlink, 2);
});

test("a session that may only read changes nothing", async (t) => {
  const peer = await meet(t, { readOnly: true });
  await writeFile(join(peer.home, "x"), "x");
  await chmod(join(peer.home, "x"), 0o644);
  const handle = await peer.open("x", R);
  const ext = (name: string): Buffer => string(name);
  const table: [number, Buffer[]][] = [
    [types.OPEN, [string("x"), u32(W), noAttrs]],
    [types.OPEN, [string("x"), u32(RW), noAttrs]],
    [types.OPEN, [string("y"), u32(R | CREAT), noAttrs]],
    [types.OPEN, [string("x"), u32(R | TRUNC), noAttrs]],
    [types.OPEN, [string("x"), u32(R | APPEND), noAttrs]],
    [types.OPEN, [string("x"), u32(TRUNC), noAttrs]],
    [types.WRITE, [handle, u64(0), string("y")]],
    [types.SETSTAT, [string("x"), u32(4), u32(0)]],
    [types.FSETSTAT, [handle, u32(4), u32(0)]],
    [types.REMOVE, [string("x")]],
    [types.MKDIR, [string("d"), noAttrs]],
    [types.RMDIR, [string(".")]],
    [types.RENAME, [string("x"), string("y")]],
    [types.SYMLINK, [string("x"), string("y")]],
    [types.EXTENDED, [ext("posix-rename@openssh.com"), string("x"), string("y")]],
    [types.EXTENDED, [ext("hardlink@openssh.com"), string("x"), string("y")]],
    [types.EXTENDED, [ext("lsetstat@openssh.com"), string("x"), u32(4), u32(0)]],
    [types.EXTENDED, [ext("fsync@openssh.com"), handle]],
    [types.EXTENDED, [ext("copy-data"), handle, u64(0), u64(0), handle, u64(0)]],
  ];
  for (const [type, parts] of table) {
    assert.equal(await peer.status(type, ...parts), codes.PERMISSION_DENIED, `type ${type}`);
  }
  const answer = await peer.ask(types.READ, handle, u64(0), u32(9));
  assert.equal(takeString(answer.body).toString(), "x");
  assert.deepEqual([...(await entriesIn(peer, ".")).keys()].sort(), [".", "..", "x"]);
  assert.equal((await stat(join(peer.home, "x"))).mode & 0o777, 0o644);
});

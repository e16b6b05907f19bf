/** The words of SFTP: packets in whatever chunks, attributes, paths, modes, dates and flags. */
import assert from "node:assert/strict";
import { constants } from "node:fs";
import { win32 } from "node:path";
import { test } from "node:test";
import { type Attrs, attributes, takeAttrs } from "../../../../src/io/agent/sftp/attrs.ts";
import { systemFlags } from "../../../../src/io/agent/sftp/changes.ts";
import { dateText, modeText } from "../../../../src/io/agent/sftp/listing.ts";
import {
  isNameable,
  localPath,
  windowsPath,
  wireFromWindows,
} from "../../../../src/io/agent/sftp/paths.ts";
import {
  codes,
  type Packet,
  packet,
  packetReader,
  SftpError,
  string,
  take,
  types,
  u32,
  u64,
} from "../../../../src/io/agent/sftp/wire.ts";
import { APPEND, CREAT, EXCL, R, RW, TRUNC, W } from "../../../support/sftp-peer.ts";

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
    ["/D:/job/C:/dir", "C:\\dir"],
    ["/D:/job/C:", "C:\\"],
    ["/D:/job/C:dir", "D:\\job\\C:dir"],
  ];
  for (const [wire, want] of table) assert.equal(windowsPath(wire, "D:\\job"), want, wire);
});

test("names that Windows' own programs cannot have are no paths there", () => {
  const good = ["console", "com0", "comx.txt", ".hold", "a.b c", "con-1", "h\u00e9", "..\\x"];
  const bad = [
    "CON",
    "aux.txt",
    "nul .txt",
    "Com1",
    "lpt\u00b2.log",
    "CONOUT$",
    "trail.",
    "trail ",
  ];
  const odd = ["ab:c", "q?", "a*", 'a"', "<a", "a|b", "line\n"];
  for (const name of good) assert.ok(isNameable(win32.resolve("D:\\job", name)), name);
  for (const name of [...bad, ...odd]) {
    assert.ok(!isNameable(`D:\\job\\${name}`), name);
    assert.ok(!isNameable(`\\\\server\\share\\${name}\\below`), name);
    assert.throws(() => localPath(Buffer.from(name), "D:\\job", "win32"), {
      message: "Windows has no such names",
    });
  }
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

/**
 * SFTP packet by packet: what OpenSSH's client never sends, from the first packet to handles and
 * their bounds.
 */
import assert from "node:assert/strict";
import { readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  codes,
  maxTransfer,
  packet,
  string,
  take,
  takeString,
  types,
  u32,
  u64,
} from "../../../../src/io/agent/sftp/wire.ts";
import { attrsIn, CREAT, meet, noAttrs, R, RW, W } from "../../../support/sftp-peer.ts";

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

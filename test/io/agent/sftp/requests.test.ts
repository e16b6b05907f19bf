/** SFTP on the wire: what each request does, and in which order those of one handle come about. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, lstat, open, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Attrs, attributes } from "../../../../src/io/agent/sftp/attrs.ts";
import {
  codes,
  string,
  takeString,
  takeU32,
  types,
  u32,
  u64,
} from "../../../../src/io/agent/sftp/wire.ts";
import {
  type Answer,
  APPEND,
  attrsIn,
  CREAT,
  entriesIn,
  meet,
  noAttrs,
  R,
  RW,
  TRUNC,
  W,
} from "../../../support/sftp-peer.ts";

test("each reply is told", async (t) => {
  const peer = await meet(t);
  const before = peer.replied();
  const answer = await peer.ask(types.REALPATH, string("."));
  assert.equal(peer.replied() - before, 4 + 1 + 4 + answer.body.length);
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

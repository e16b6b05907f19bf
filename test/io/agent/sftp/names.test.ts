/** SFTP on the wire: names, paths, listings, and the statuses of what goes wrong. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
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
  CREAT,
  EXCL,
  entriesIn,
  meet,
  nameIn,
  noAttrs,
  R,
  W,
} from "../../../support/sftp-peer.ts";

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

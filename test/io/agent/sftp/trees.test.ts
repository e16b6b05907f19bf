/** SFTP with the real clients: whole trees, links, modes and times, and scp. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fine, meet, went } from "../../../support/sftp-clients.ts";

test("chmod, mkdir, rm, rmdir, rename, ln and ln -s", async (t) => {
  const world = await meet(t);
  const far = (name: string): string => join(world.far, name);
  await writeFile(far("a"), "a");
  await writeFile(far("gone"), "");
  await writeFile(far("over"), "over");
  const run = await world.sftp(
    "mkdir dir",
    "chmod 4751 a",
    "rename a dir/b",
    "rename dir/b over",
    "ln over hard",
    "ln -s dir/../over soft",
    "rm gone",
    "mkdir dir/sub",
    "rmdir dir/sub",
  );
  assert.deepEqual(went(run), fine);
  assert.deepEqual((await readdir(world.far)).sort(), ["dir", "hard", "over", "soft"]);
  assert.deepEqual(await readdir(far("dir")), []);
  assert.equal((await stat(far("over"))).mode & 0o7777, 0o4751);
  assert.equal((await stat(far("over"))).nlink, 2);
  assert.equal(await readFile(far("soft"), "utf8"), "a");
  assert.equal(await readlink(far("soft")), "dir/../over");
});

test("whole trees go and come with their times, modes and links", async (t) => {
  const world = await meet(t);
  const tree = join(world.near, "tree");
  await mkdir(join(tree, "sub", "empty"), { recursive: true });
  const when = new Date("2015-06-07T08:09:10Z");
  const entries: [string, number][] = [
    ["plain", 0o644],
    ["tool", 0o755],
    ["sub/secret", 0o600],
  ];
  for (const [name, mode] of entries) {
    await writeFile(join(tree, name), `${name}\n`);
    await chmod(join(tree, name), mode);
    await utimes(join(tree, name), when, when);
  }
  await chmod(join(tree, "sub"), 0o750);
  await utimes(join(tree, "sub"), when, when);
  assert.deepEqual(went(await world.sftp("put -pr tree")), fine);
  await symlink("../plain", join(world.far, "tree", "sub", "link"));
  await utimes(join(world.far, "tree", "sub"), when, when);
  // OpenSSH's client takes no links along, and says so: it was told what it is.
  const skipped = `download "${world.far}/tree/sub/link": not a regular file\r\n`;
  const run = await world.sftp("get -pr tree back");
  assert.deepEqual(went(run), { status: 0, err: skipped });
  for (const root of [join(world.far, "tree"), join(world.near, "back")]) {
    for (const [name, mode] of [...entries, ["sub", 0o750] as const]) {
      const found = await stat(join(root, name));
      assert.equal(found.mode & 0o7777, mode, `${root} ${name}`);
      assert.equal(found.mtimeMs, when.getTime(), `${root} ${name}`);
    }
    assert.equal(await readFile(join(root, "sub", "secret"), "utf8"), "sub/secret\n");
    assert.ok((await lstat(join(root, "sub", "empty"))).isDirectory());
  }
});

test("scp both ways, single files and trees, and its exit status", async (t) => {
  const world = await meet(t);
  await mkdir(join(world.near, "tree", "sub"), { recursive: true });
  const data = randomBytes(500_000);
  await writeFile(join(world.near, "tree", "sub", "data"), data);
  await chmod(join(world.near, "tree", "sub", "data"), 0o741);
  const there = "me@127.0.0.1:";
  assert.deepEqual(went(await world.scp("-rp", "tree", there)), fine);
  assert.deepEqual(went(await world.scp("-rp", `${there}tree`, "back")), fine);
  assert.deepEqual(went(await world.scp(`${there}${world.far}/tree/sub/data`, "one")), fine);
  assert.deepEqual(await readFile(join(world.near, "back", "sub", "data")), data);
  assert.deepEqual(await readFile(join(world.near, "one")), data);
  assert.equal((await stat(join(world.near, "back", "sub", "data"))).mode & 0o777, 0o741);
  const missing = await world.scp(`${there}none`, "x");
  assert.equal(missing.status, 1);
  assert.match(missing.err, /No such file or directory/);
});

test("a session that may only read gives, and takes nothing", async (t) => {
  const world = await meet(t, { readOnly: true });
  await writeFile(join(world.far, "file"), "kept");
  await writeFile(join(world.near, "other"), "new");
  assert.deepEqual(went(await world.sftp("ls -la", "get file", "df")), fine);
  assert.equal(await readFile(join(world.near, "file"), "utf8"), "kept");
  for (const command of [
    "put other",
    "put other file",
    "rm file",
    "rename file x",
    "chmod 600 file",
    "mkdir x",
    "ln file x",
    "ln -s file x",
  ]) {
    const run = await world.sftp(command);
    assert.equal(run.status, 1, command);
    assert.match(run.err, /[Pp]ermission denied/, command);
  }
  assert.deepEqual(await readdir(world.far), ["file"]);
  assert.equal(await readFile(join(world.far, "file"), "utf8"), "kept");
});

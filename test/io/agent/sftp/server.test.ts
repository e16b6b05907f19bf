/**
 * SFTP as people meet it: OpenSSH's sftp and scp against a small ssh2 server on this machine.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmod,
  mkdir,
  readFile,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { packet, string, types, u32, u64 } from "../../../../src/io/agent/sftp/wire.ts";
import { digest, fine, meet, openFiles, untilOpen, went } from "../../../support/sftp-clients.ts";

test("put and get 32 MiB, and nothing stays open", { timeout: 60_000 }, async (t) => {
  const world = await meet(t);
  const before = await openFiles();
  await writeFile(join(world.near, "big"), randomBytes(32 * 1024 * 1024));
  const run = await world.sftp("put big", "get big back", "put big again");
  assert.deepEqual(went(run), fine);
  const want = await digest(join(world.near, "big"));
  assert.equal(await digest(join(world.far, "big")), want);
  assert.equal(await digest(join(world.far, "again")), want);
  assert.equal(await digest(join(world.near, "back")), want);
  assert.equal(await world.ended(), 1);
  assert.ok(world.replied() > 32 * 1024 * 1024);
  await untilOpen(before);
});

test("reput and reget go on where it broke off", async (t) => {
  const world = await meet(t);
  const data = randomBytes(3_000_000);
  await writeFile(join(world.near, "up"), data);
  await writeFile(join(world.far, "up"), data.subarray(0, 1_234_567));
  await writeFile(join(world.far, "down"), data);
  await writeFile(join(world.near, "down"), data.subarray(0, 7_654));
  assert.deepEqual(went(await world.sftp("reput up", "reget down")), fine);
  assert.deepEqual(await readFile(join(world.far, "up")), data);
  assert.deepEqual(await readFile(join(world.near, "down")), data);
});

test("an old client's small requests work as well", async (t) => {
  const world = await meet(t);
  const data = randomBytes(2_000_000);
  await writeFile(join(world.near, "up"), data);
  await writeFile(join(world.near, "batch"), "put up\nget up down\n");
  const args = ["-B", "1000", "-R", "500", "-b", "batch", "me@127.0.0.1"];
  assert.deepEqual(went(await world.run("sftp", ...args)), fine);
  assert.deepEqual(await readFile(join(world.far, "up")), data);
  assert.deepEqual(await readFile(join(world.near, "down")), data);
});

test("ls, pwd and df", async (t) => {
  const world = await meet(t);
  await writeFile(join(world.far, "file"), "12345");
  await chmod(join(world.far, "file"), 0o640);
  await utimes(join(world.far, "file"), 0, new Date(2001, 1, 3, 12));
  await mkdir(join(world.far, "dir"));
  await symlink("file", join(world.far, "link"));
  const run = await world.sftp("pwd", "ls -la", "ls -1", "df", "df dir");
  assert.deepEqual(went(run), fine);
  const lines = run.out.split("\n").map((line) => line.trimEnd());
  assert.ok(lines.includes(`Remote working directory: ${world.far}`));
  const { uid } = await stat(world.far);
  const users = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const user = users.find(([, , id]) => Number(id) === uid)?.[0] ?? String(uid);
  const file = lines.find((line) => line.endsWith(" file"));
  assert.match(file ?? "", new RegExp(`^-rw-r----- +1 ${user} +\\S+ +5 Feb  3  2001 file$`));
  for (const [name, start] of [
    [".", "drwx"],
    ["..", "drwx"],
    ["dir", "drwx"],
    ["link", "lrwxrwxrwx"],
  ] as const) {
    const line = lines.find((one) => one.endsWith(` ${name}`) && one.length > 40);
    assert.ok(line?.startsWith(start), `${name}: ${line}`);
  }
  assert.deepEqual(lines.slice(lines.indexOf("sftp> ls -1") + 1).slice(0, 3), [
    "dir",
    "file",
    "link",
  ]);
  assert.equal(lines.filter((line) => /^ +Size +Used +Avail/.test(line)).length, 2);
});

test("what does not work is said", async (t) => {
  const world = await meet(t);
  await mkdir(join(world.far, "full", "sub"), { recursive: true });
  const table: [string, RegExp][] = [
    ["get none", /File ".*\/none" not found/],
    ["rm none", /remote delete .*No such file or directory/],
    ["rmdir full", /remote rmdir .*Failure/],
    ["mkdir full", /remote mkdir .*Failure/],
    ["rename none other", /remote rename .*No such file or directory/],
  ];
  for (const [command, want] of table) {
    const run = await world.sftp(command);
    assert.equal(run.status, 1, command);
    assert.match(run.err, want);
  }
});

test("a client that reads nothing and is killed leaves nothing open", {
  timeout: 60_000,
}, async (t) => {
  const world = await meet(t);
  const before = await openFiles();
  await writeFile(join(world.far, "x"), "");
  await truncate(join(world.far, "x"), 1e9);
  const child = world.start("-s", "me@127.0.0.1", "sftp");
  child.stdin?.write(packet(types.INIT, u32(3)));
  child.stdin?.write(packet(types.OPEN, u32(1), string("x"), u32(1), u32(0)));
  let got = Buffer.alloc(0);
  // The reply to OPEN is the last 25 bytes: length, type, id, length, and a handle of 12 bytes.
  while (got.at(-21) !== types.HANDLE) {
    const [chunk] = await once(child.stdout ?? child, "data");
    got = Buffer.concat([got, chunk]);
  }
  child.stdout?.pause();
  const handle = string(got.subarray(-12));
  const first = world.replied();
  for (let i = 0; i < 20_000; i += 1) {
    child.stdin?.write(packet(types.READ, u32(i), handle, u64(i * 1_000), u32(250_000)));
  }
  // More than the pipe, the windows and the sockets between us can hold would be needed for all.
  while (world.replied() - first < 2_200_000) await stat(world.far);
  child.stdin?.on("error", () => {});
  child.kill("SIGKILL");
  assert.equal(await world.ended(), 1);
  await untilOpen(before);
});

/**
 * SFTP as people meet it: OpenSSH's sftp and scp against a small ssh2 server on this machine.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import ssh2 from "ssh2";
import { serveSftp } from "../../src/io/sftp.ts";
import { packet, string, types, u32, u64 } from "../../src/io/sftp-wire.ts";
import { ed25519Pair } from "../support/ed25519-pair.ts";

const { Server } = ssh2;

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

interface World {
  /** Where the server is at home, and where the client is. */
  readonly far: string;
  readonly near: string;
  /** Resolves when the sessions so far have ended, to how many there were. */
  ended(): Promise<number>;
  replied(): number;
  /** Starts a program with the options to reach the server, then `args`. */
  start(program: "sftp" | "scp" | "ssh", ...args: string[]): ChildProcess;
  /** A batch of sftp commands, run in `near`. */
  sftp(...commands: string[]): Promise<Run>;
  scp(...args: string[]): Promise<Run>;
}

async function outcome(child: ChildProcess): Promise<Run> {
  const texts = { out: "", err: "" };
  child.stdout?.on("data", (chunk: Buffer) => {
    texts.out += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    texts.err += chunk.toString();
  });
  const [status] = await once(child, "close");
  return { status, ...texts };
}

async function meet(t: TestContext, { readOnly = false } = {}): Promise<World> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "converge-sftp-")));
  const far = join(root, "far");
  const near = join(root, "near");
  await mkdir(far);
  await mkdir(near);
  const identity = ed25519Pair();
  await writeFile(join(root, "id"), identity.private, { mode: 0o600 });
  await writeFile(join(root, "id.pub"), identity.public);
  let replied = 0;
  const sessions: Promise<void>[] = [];
  const onReply = (bytes: number): void => {
    replied += bytes;
  };
  const hostKeys = [ed25519Pair().private];
  const server = new Server({ hostKeys }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (auth) =>
      auth.method === "publickey" ? auth.accept() : auth.reject(["publickey"]),
    );
    client.on("session", (accept) => {
      accept().on("subsystem", (acceptSubsystem) => {
        sessions.push(serveSftp(acceptSubsystem(), { home: far, readOnly, onReply }));
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(sessions);
    server.close();
    await rm(root, { recursive: true, force: true });
  });
  const settings = [
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "LogLevel=ERROR",
    `IdentityFile=${join(root, "id")}`,
    `Port=${port}`,
  ];
  const start: World["start"] = (program, ...args) => {
    const options = ["-F", "/dev/null", ...settings.map((setting) => `-o${setting}`)];
    const child = spawn(program, [...options, ...args], { cwd: near });
    children.push(child);
    return child;
  };
  return {
    ...{ far, near, start, replied: () => replied },
    ended: async () => (await Promise.all(sessions)).length,
    sftp: async (...commands) => {
      await writeFile(join(root, "batch"), commands.map((command) => `${command}\n`).join(""));
      return outcome(start("sftp", "-b", join(root, "batch"), "me@127.0.0.1"));
    },
    scp: (...args) => outcome(start("scp", ...args)),
  };
}

const fine = { status: 0, err: "" };
function went({ status, err }: Run): { status: number | null; err: string } {
  return { status, err };
}

async function digest(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

async function openFiles(): Promise<number> {
  return (await readdir("/proc/self/fd")).length;
}

/** Until no more are open than before: sockets and pipes are closed a moment after the session. */
async function untilOpen(count: number): Promise<void> {
  while ((await openFiles()) > count);
}

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
  assert.deepEqual(went(await outcome(world.start("sftp", ...args))), fine);
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

test("a client that reads nothing and is killed leaves nothing open", {
  timeout: 60_000,
}, async (t) => {
  const world = await meet(t);
  const before = await openFiles();
  await writeFile(join(world.far, "x"), "");
  await truncate(join(world.far, "x"), 1e9);
  const child = world.start("ssh", "-s", "me@127.0.0.1", "sftp");
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
  while (world.replied() - first < 3_000_000) await stat(world.far);
  child.stdin?.on("error", () => {});
  child.kill("SIGKILL");
  assert.equal(await world.ended(), 1);
  await untilOpen(before);
});

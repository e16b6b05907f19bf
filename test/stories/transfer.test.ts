/** Files: scp, sftp, rsync and git, both ways, and what an agent may refuse of them. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, type Result, run } from "../support/child.ts";
import { hold } from "../support/started.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet({ id: "transfer" });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

/** A folder with everything that a transfer may stumble over. */
function tree(): string {
  const dir = mkdtempSync(join(world.dir, "tree-"));
  const when = new Date("2021-03-04T05:06:07Z");
  mkdirSync(join(dir, "sub/deeper"), { recursive: true });
  mkdirSync(join(dir, "empty"));
  for (const [name, bytes, mode] of [
    ["plain.txt", Buffer.from("plain\n"), 0o644],
    ["nothing", Buffer.alloc(0), 0o600],
    ["sub/run.sh", Buffer.from("#!/bin/sh\n"), 0o755],
    ["sub/deeper/big", randomBytes(700_000), 0o640],
    ["spaces and 'quotes' and $dollars;&", Buffer.from("odd"), 0o644],
    ["ünï-日本-*?[x]", Buffer.from("names"), 0o444],
    ["-rf", Buffer.from("a dash"), 0o644],
  ] as const) {
    const path = join(dir, name);
    writeFileSync(path, bytes);
    chmodSync(path, mode);
    utimesSync(path, when, when);
  }
  return dir;
}

/** What a folder holds, as one value: names, kinds, modes, times and contents. */
function contents(dir: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(dir, name);
    const { mode, mtimeMs } = lstatSync(path);
    const stat = lstatSync(path);
    const bits = (mode & 0o777).toString(8);
    if (stat.isSymbolicLink()) all[name] = `-> ${readlinkSync(path)}`;
    else if (stat.isDirectory()) all[name] = `folder ${bits}`;
    else
      all[name] =
        `file ${bits} ${Math.floor(mtimeMs / 1000)} ${readFileSync(path).toString("base64")}`;
  }
  return all;
}

const client = (
  file: "scp" | "sftp",
  args: string[],
  agent: Agent = world.agent,
  input = "",
): Promise<Result> => run(file, [...world.options(agent), "-i", world.keyFile, ...args], { input });

for (const [protocol, flags] of [
  ["over sftp", ["-s"]],
  ["of the old kind", ["-O"]],
] as const) {
  test(`scp ${protocol} copies a tree there and back, with modes and times`, async () => {
    const from = tree();
    const there = join(world.agent.dir, `there${flags[0]}`);
    const back = join(mkdtempSync(join(world.dir, "back-")), "tree");
    const up = await client("scp", [...flags, "-rp", from, `job@agent:there${flags[0]}`]);
    assert.equal(up.status, 0, up.stderr);
    assert.deepEqual(contents(there), contents(from));
    const down = await client("scp", [...flags, "-rp", `job@agent:${there}`, back]);
    assert.equal(down.status, 0, down.stderr);
    assert.deepEqual(contents(back), contents(from));
  });

  test(`scp ${protocol} copies one file, and says which is not there`, async () => {
    const file = join(mkdtempSync(join(world.dir, "one-")), "file");
    writeFileSync(file, randomBytes(100_000));
    const up = await client("scp", [...flags, file, "job@agent:one"]);
    assert.equal(up.status, 0, up.stderr);
    const down = await client("scp", [...flags, "job@agent:one", `${file}.back`]);
    assert.equal(down.status, 0, down.stderr);
    assert.ok(readFileSync(`${file}.back`).equals(readFileSync(file)));
    const none = await client("scp", [...flags, "job@agent:no-such-file", file]);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /no-such-file.*No such file/);
  });
}

/** One argument as a POSIX shell and rsync's `-e` both read it. */
const quoted = (text: string): string => `"${text}"`;

function remoteShell(): string {
  return ["ssh", ...world.options(), "-i", world.keyFile].map(quoted).join(" ");
}

test("rsync copies a tree, then nothing at all, then only what changed, and deletes", async () => {
  const from = tree();
  symlinkSync("plain.txt", join(from, "link"));
  symlinkSync("../nowhere", join(from, "sub/broken"));
  const there = join(world.agent.dir, "synced");
  const sync = (...more: string[]) =>
    run("rsync", ["-a", "-i", ...more, "-e", remoteShell(), `${from}/`, "job@agent:synced/"]);
  const first = await sync();
  assert.equal(first.status, 0, first.stderr);
  assert.deepEqual(contents(there), contents(from));
  const second = await sync();
  assert.deepEqual([second.status, second.stdout.toString()], [0, ""]);
  rmSync(join(from, "plain.txt"));
  writeFileSync(join(from, "nothing"), "something");
  const third = await sync("--delete");
  const lines = third.stdout
    .toString()
    .split("\n")
    .map((line) => line.split(" ").at(-1));
  // The folder itself is listed too, unless its time changed within one second.
  const changed = lines.filter((line) => line && line !== "./");
  assert.deepEqual(changed.sort(), ["nothing", "plain.txt"]);
  assert.deepEqual(contents(there), contents(from));
  const back = mkdtempSync(join(world.dir, "synced-back-"));
  const down = await run("rsync", ["-a", "-e", remoteShell(), "job@agent:synced/", `${back}/`]);
  assert.equal(down.status, 0, down.stderr);
  assert.deepEqual(contents(back), contents(from));
});

test("git clones from the job, and pushes back into it", async () => {
  const identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com"];
  const env = { GIT_SSH_COMMAND: remoteShell(), GIT_CONFIG_NOSYSTEM: "1", HOME: world.dir };
  const git = async (cwd: string, ...args: string[]): Promise<string> => {
    const done = await run("git", [...identity, "-c", "safe.directory=*", ...args], { cwd, env });
    assert.equal(done.status, 0, `git ${args[0]}: ${done.stderr}`);
    return done.stdout.toString().trim();
  };
  const seed = mkdtempSync(join(world.dir, "seed-"));
  await git(seed, "init", "-q", "-b", "main");
  writeFileSync(join(seed, "big"), randomBytes(1_500_000));
  await git(seed, "add", ".");
  await git(seed, "commit", "-q", "-m", "first");
  const bare = join(world.agent.dir, "project.git");
  await git(seed, "clone", "-q", "--bare", ".", bare);
  await git(world.dir, "clone", "-q", "job@agent:project.git", "cloned");
  const cloned = join(world.dir, "cloned");
  assert.ok(readFileSync(join(cloned, "big")).equals(readFileSync(join(seed, "big"))));
  writeFileSync(join(cloned, "more"), randomBytes(300_000));
  await git(cloned, "add", ".");
  await git(cloned, "commit", "-q", "-m", "second");
  await git(cloned, "push", "-q", "origin", "main");
  assert.equal(await git(bare, "rev-parse", "main"), await git(cloned, "rev-parse", "HEAD"));
});

test("an sftp batch puts, gets, lists, renames, links, changes modes and asks for space", async () => {
  const here = mkdtempSync(join(world.dir, "batch-"));
  const bytes = randomBytes(300_000);
  writeFileSync(join(here, "local file"), bytes);
  const batch = [
    `lcd "${here}"`,
    "mkdir box",
    'put "local file" "box/a file"',
    'rename "box/a file" box/renamed',
    "ln -s renamed box/link",
    "chmod 640 box/renamed",
    "get box/renamed fetched",
    "get box/link by-link",
    "ls -l box",
    "df box",
    "cd box",
    "pwd",
    "mkdir gone",
    "rmdir gone",
    "",
  ].join("\n");
  const done = await client("sftp", ["-b", "-", "job@agent"], world.agent, batch);
  assert.equal(done.status, 0, done.stderr);
  const box = join(world.agent.dir, "box");
  const said = done.stdout.toString();
  assert.match(said, /-rw-r----- .* 300000 .* renamed/);
  assert.match(said, /lrwxrwxrwx .* link/);
  assert.match(said, /Size\s+Used\s+Avail/);
  assert.ok(said.includes(`Remote working directory: ${box}`));
  assert.deepEqual(readdirSync(box).sort(), ["link", "renamed"]);
  assert.equal(readlinkSync(join(box, "link")), "renamed");
  assert.equal(lstatSync(join(box, "renamed")).mode & 0o777, 0o640);
  for (const name of ["fetched", "by-link"])
    assert.ok(readFileSync(join(here, name)).equals(bytes), name);
  const failing = await client("sftp", ["-b", "-", "job@agent"], world.agent, "rm no-such\n");
  assert.equal(failing.status, 1);
  assert.match(failing.stderr, /no-such.*No such file/);
});

/** What works at an agent: each way in, and how it looks where it does not. */
async function ways(agent: Agent): Promise<Record<string, string>> {
  const file = join(mkdtempSync(join(world.dir, "ways-")), "file");
  writeFileSync(file, "content");
  writeFileSync(join(agent.dir, "there"), "there");
  const look = ({ status, stdout, stderr }: Result): string =>
    status === 0 ? "works" : `${status}: ${said(stdout.toString() + stderr)}`;
  const how = { agent };
  return {
    shell: look(await world.ssh(["-T"], { ...how, input: "exit 0\n" })),
    exec: look(await world.ssh(["true"], how)),
    "scp up": look(await client("scp", [file, "job@agent:up"], agent)),
    "scp down": look(await client("scp", ["job@agent:there", `${file}.back`], agent)),
    "scp -O up": look(await client("scp", ["-O", file, "job@agent:up-old"], agent)),
    "sftp get": look(
      await client("sftp", ["-b", "-", "job@agent"], agent, "get there /dev/null\n"),
    ),
    "sftp rm": look(await client("sftp", ["-b", "-", "job@agent"], agent, "rm there\n")),
  };
}

const whose = (_all: string, name: string): string => (name === "job" ? "" : `/${name}`);

/** The sentences that matter, without wsproxy's, the greeting and paths. */
function said(text: string): string {
  return text
    .split(/\r?\n/)
    .filter(
      (line) =>
        line &&
        !/^\[converge\]|^Warning: Permanently|^sftp>|^Fetching|^(scp: )?Connection closed/.test(
          line,
        ),
    )
    .map((line) => line.replaceAll(world.dir, "").replace(/\/(job|ways)-\w+/g, whose))
    .join(" | ");
}

test("what --no-sftp, --no-exec and --read-only refuse, how it looks, and that the rest works", async () => {
  const free = { shell: "works", exec: "works", "scp up": "works", "scp down": "works" };
  const noScp = "1: exec request failed on channel 0 | lost connection";
  const none = "255: subsystem request failed on channel 0";
  const request = (what: string): string => `255: ${what} request failed on channel 0`;
  const at = async (allowed: object): Promise<Record<string, string>> => {
    const agent = await world.startAgent({ allowed });
    hold(agent);
    const found = await ways(agent);
    agent.stop();
    return found;
  };
  assert.deepEqual(await at({}), {
    ...free,
    "scp -O up": "works",
    "sftp get": "works",
    "sftp rm": "works",
  });
  assert.deepEqual(await at({ sftp: false }), {
    ...free,
    "scp up": none,
    "scp down": none,
    "scp -O up": "works",
    "sftp get": none,
    "sftp rm": none,
  });
  assert.deepEqual(await at({ exec: false }), {
    ...free,
    exec: request("exec"),
    "scp -O up": noScp,
    "sftp get": "works",
    "sftp rm": "works",
  });
  const readOnly = { shell: false, exec: false, portForwarding: false, agentForwarding: false };
  assert.deepEqual(await at({ ...readOnly, readOnly: true }), {
    shell: request("shell"),
    exec: request("exec"),
    "scp up":
      '1: scp: dest open "up": Permission denied | scp: failed to upload file /ways/file to up',
    "scp down": "works",
    "scp -O up": noScp,
    "sftp get": "works",
    "sftp rm": "1: remote delete /there: Permission denied",
  });
});

test("a read-only agent answers every change with Permission denied, and changes nothing", async () => {
  const readOnly = { shell: false, exec: false, readOnly: true };
  const agent = await world.startAgent({ allowed: readOnly });
  hold(agent);
  writeFileSync(join(agent.dir, "kept"), "kept", { mode: 0o644 });
  const file = join(world.dir, "intruder");
  writeFileSync(file, "no");
  const before = contents(agent.dir);
  for (const change of [
    `put ${file} new`,
    `put ${file} kept`,
    "rm kept",
    "rename kept other",
    "mkdir new",
    "rmdir kept",
    "chmod 600 kept",
    "ln -s kept new",
    "ln kept new",
  ]) {
    const done = await client("sftp", ["-b", "-", "job@agent"], agent, `${change}\n`);
    assert.equal(done.status, 1, change);
    assert.match(done.stderr, /[Pp]ermission denied/, change);
  }
  assert.deepEqual(contents(agent.dir), before);
  agent.stop();
});

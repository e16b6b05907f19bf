/** Files: scp, sftp, rsync and git, both ways. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, type Result, run } from "../support/child.ts";
import { hold } from "../support/started.ts";
import { contents, tree } from "../support/tree.ts";
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
    const from = tree(world.dir);
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
  const from = tree(world.dir);
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

/** Files on Windows: an agent under Wine, and OpenSSH's sftp outside. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { folder, program, type Result, result } from "../support/child.ts";
import { type AgentProgram, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { endWine, windowsAgent, windowsPath } from "../support/wine.ts";

let agent: AgentProgram;
let local: string;
before(async () => {
  agent = await windowsAgent((await relayProgram()).url);
  local = folder();
});
after(endWine);

/** Runs commands of sftp in a local folder; a `-` in front lets one fail. */
const sftp = (...lines: string[]): Promise<Result> =>
  result(
    program("sftp", ["-b", "-", "-oLogLevel=ERROR", ...sshArgs(agent)], {
      cwd: local,
      input: `${lines.join("\n")}\n`,
    }),
  );
/** What sftp printed, without the commands that it repeats. */
const said = ({ stdout }: Result): string[] =>
  stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("sftp> "));

const isLong = process.env["CONVERGE_TEST_LONG"] === "1";

test(`${isLong ? 200 : 8} MiB go up and down exactly, with their time to the second`, async () => {
  const size = (isLong ? 200 : 8) * 1_048_576 + 1;
  const sent = randomBytes(size);
  writeFileSync(join(local, "big"), sent);
  utimesSync(join(local, "big"), 1_600_000_001, 1_600_000_001);
  const { status, stderr } = await sftp("put -p big", "get -p big back");
  assert.equal(status, 0, stderr);
  assert.ok(readFileSync(join(agent.dir, "big")).equals(sent));
  assert.ok(readFileSync(join(local, "back")).equals(sent));
  for (const file of [join(agent.dir, "big"), join(local, "back")])
    assert.equal(Math.floor(statSync(file).mtimeMs / 1_000), 1_600_000_001);
});

test("a path has its drive, and the job's folder is where one begins", async () => {
  const here = `/${windowsPath(agent.dir).replaceAll("\\", "/")}`;
  const run = await sftp("pwd", "cd /C:/windows", "pwd", "cd c:/users", "pwd", `cd ${here}`, "pwd");
  assert.deepEqual(said(run), [
    `Remote working directory: ${here}`,
    "Remote working directory: /C:/windows",
    "Remote working directory: /C:/users",
    `Remote working directory: ${here}`,
  ]);
});

test("names with spaces, dots and letters of any script are kept", async () => {
  writeFileSync(join(local, "small"), "small");
  const names = [".hidden", "a.b.c", "h\u00e9llo \u65e5\u672c", "two  spaces"];
  const run = await sftp("mkdir names", ...names.map((name) => `put small "names/${name}"`));
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(readdirSync(join(agent.dir, "names")).sort(), names);
  assert.deepEqual(said(await sftp("ls -1a names")).sort(), [
    "names/.",
    "names/..",
    ...names.map((name) => `names/${name}`),
  ]);
});

for (const name of ["CON", "aux.txt", "trail.", "st:ream", "ques?tion"])
  test(`${name} is no name on Windows, and is refused`, async () => {
    writeFileSync(join(local, "small"), "small");
    const { status, stderr } = await sftp(`put small "${name.replace("?", "\\\\?")}"`);
    assert.equal(status, 1);
    assert.match(stderr, /Failure/);
    assert.ok(!readdirSync(agent.dir).some((found) => found.startsWith(name.slice(0, 3))));
  });

test("paths of more than 260 characters work", async () => {
  writeFileSync(join(local, "small"), "small");
  const [one, two, file] = ["d".repeat(120), "e".repeat(120), "f".repeat(100)];
  const run = await sftp(
    ...[`mkdir ${one}`, `mkdir ${one}/${two}`, `put small ${one}/${two}/${file}`],
    ...[`get ${one}/${two}/${file} far`, `rm ${one}/${two}/${file}`, `rmdir ${one}/${two}`],
  );
  assert.equal(run.status, 0, run.stderr);
  assert.equal(readFileSync(join(local, "far"), "utf8"), "small");
  assert.deepEqual(readdirSync(join(agent.dir, one)), []);
});

test("a file is replaced by a rename, linked, made read-only and removed all the same", async () => {
  writeFileSync(join(local, "old"), "old");
  writeFileSync(join(local, "new"), "new");
  const run = await sftp(
    ...["put old", "put new", "rename new old", "ln old hard", "chmod 444 old", "ls -l old"],
    "rm old",
  );
  assert.equal(run.status, 0, run.stderr);
  assert.match(said(run)[0] ?? "", /^-r--r--r-- /);
  assert.ok(!existsSync(join(agent.dir, "old")) && !existsSync(join(agent.dir, "new")));
  assert.equal(readFileSync(join(agent.dir, "hard"), "utf8"), "new");
});

test("a file that somebody has open is replaced or kept, and never lost", async () => {
  writeFileSync(join(local, "new"), "new");
  const holder = ssh(agent, ["ping -n 30 127.0.0.1 > held.txt"], { input: "open" });
  await until("it is open", () => existsSync(join(agent.dir, "held.txt")));
  const { status } = await sftp("put new new.txt", "rename new.txt held.txt");
  const there = readdirSync(agent.dir);
  assert.ok(there.includes("held.txt"));
  assert.equal(there.includes("new.txt"), status !== 0);
  holder.kill("SIGKILL");
});

test("a symbolic link is made or refused, and the connection goes on", async () => {
  writeFileSync(join(agent.dir, "target.txt"), "there");
  const run = await sftp("-ln -s target.txt link.txt", "get target.txt got.txt");
  assert.equal(run.status, 0, run.stderr);
  assert.equal(readFileSync(join(local, "got.txt"), "utf8"), "there");
  const isThere = readdirSync(agent.dir).includes("link.txt");
  assert.equal(isThere, run.stderr === "", run.stderr);
});

test("what is not there, and what is a folder, are refused", async () => {
  const run = await sftp("-get nothing", "mkdir full", "-mkdir full", "-rm full", "rmdir full");
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stderr, /nothing" not found/);
});

test("scp goes there and back", async () => {
  writeFileSync(join(local, "sent"), "sent");
  const args = (...paths: string[]) => ["-q", ...sshArgs(agent).slice(0, -1), ...paths];
  const to = await result(program("scp", args("sent", "job@agent:kept"), { cwd: local }));
  assert.equal(to.status, 0, to.stderr);
  const drive = `job@agent:${windowsPath(agent.dir).replaceAll("\\", "/")}/kept`;
  const from = await result(program("scp", args(drive, "got"), { cwd: local }));
  assert.equal(from.status, 0, from.stderr);
  assert.equal(readFileSync(join(local, "got"), "utf8"), "sent");
});

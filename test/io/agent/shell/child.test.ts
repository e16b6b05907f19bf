/** Commands without a terminal: real ones. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { spawnCommand } from "../../../../src/io/agent/shell/child.ts";
import { statOf } from "../../../../src/io/agent/shell/proc.ts";
import type { Process } from "../../../../src/io/agent/shell/process.ts";
import { openTerminal } from "../../../../src/io/agent/shell/terminal.ts";
import {
  all,
  env,
  heard,
  killStrays,
  openFiles,
  pidsWhere,
  until,
} from "../../../support/processes.ts";

const folder = mkdtempSync(join(tmpdir(), "child-"));
after(() => {
  killStrays();
  rmSync(folder, { recursive: true });
});

function sh(script: string): Process {
  return spawnCommand({ file: "/bin/sh", args: ["-c", script], cwd: folder, env });
}

function stderrOf(command: Process): NonNullable<Process["stderr"]> {
  assert.ok(command.stderr);
  return command.stderr;
}

/** Output, errors and exit of a command that is read at once. */
async function whole(command: Process): Promise<{ out: string; err: string; exit: unknown }> {
  const [out, err, exit] = await Promise.all([
    all(command.stdout),
    all(stderrOf(command)),
    command.exited,
  ]);
  return { out: out.toString(), err: err.toString(), exit };
}

test("output and errors come apart, and input goes in", async () => {
  const command = sh("cat; echo wrong >&2; exit 3");
  command.stdin.end("some input");
  assert.deepEqual(await whole(command), {
    out: "some input",
    err: "wrong\n",
    exit: { code: 3, signal: null },
  });
});

for (const [script, exit] of [
  ["exit 0", { code: 0, signal: null }],
  ["exit 255", { code: 255, signal: null }],
  ["kill -TERM $$", { code: null, signal: "TERM" }],
  ["kill -KILL $$", { code: null, signal: "KILL" }],
] as const) {
  test(`exit: ${script}`, async () => {
    assert.deepEqual(await whole(sh(script)), { out: "", err: "", exit });
  });
}

test("200 commands that print 30 KB on each side and exit at once lose nothing", async () => {
  const lengths = new Set<string>();
  for (let run = 0; run < 200; run++) {
    const { out, err } = await whole(sh("head -c 30000 /dev/zero; head -c 30000 /dev/zero >&2"));
    lengths.add(`${out.length} ${err.length}`);
  }
  assert.deepEqual([...lengths], ["30000 30000"]);
});

test("output that nobody read before the exit is there afterwards", async () => {
  const command = sh("head -c 60000 /dev/zero; head -c 50000 /dev/zero >&2");
  await command.exitedFirst;
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  const { out, err, exit } = await whole(command);
  assert.deepEqual([out.length, err.length, exit], [60_000, 50_000, { code: 0, signal: null }]);
});

test("a paused reader stays paused over the exit, and the output waits for it", async () => {
  const command = sh("head -c 60000 /dev/zero");
  let length = 0;
  command.stdout.on("data", (chunk: Buffer) => {
    length += chunk.length;
  });
  command.stdout.pause();
  stderrOf(command).resume();
  await command.exitedFirst;
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(length, 0);
  command.stdout.resume();
  await command.exited;
  assert.equal(length, 60_000);
});

test("a reader that stops reading stops the command", async () => {
  const command = sh("exec yes");
  command.stdout.read(0);
  await until("yes waits for its reader", () => {
    return command.stdout.readableLength > 0 && statOf(command.pid ?? 0)?.state === "S";
  });
  for (let turn = 0; turn < 200; turn++) await setImmediate();
  assert.ok(command.stdout.readableLength < 300_000);
  command.abandon();
  // By a signal, or by an error in the middle of a write.
  assert.notEqual((await command.exited).code, 0);
});

test("the exit is told at once, and the output goes on while a background process has it", async () => {
  const command = sh("(sleep 1000; echo late) & echo hi; echo $! >&2; exit 5");
  const output = heard(command.stdout);
  const errors = heard(stderrOf(command));
  assert.deepEqual(await command.exitedFirst, { code: 5, signal: null });
  await until("both have spoken", () => output.text() === "hi\n" && errors.text() !== "");
  let isOver = false;
  const over = command.exited.then(() => {
    isOver = true;
  });
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  assert.equal(isOver, false);
  const sleeping = (): number[] => pidsWhere(({ parent }) => parent === Number(errors.text()));
  await until("the background process sleeps", () => sleeping().length === 1);
  for (const pid of sleeping()) process.kill(pid, "SIGTERM");
  await over;
  assert.equal(output.text(), "hi\nlate\n");
});

test("a signal reaches the whole process group, and no other name does anything", async () => {
  const command = sh("sleep 1000 & sleep 1000; :");
  stderrOf(command).resume();
  command.stdout.resume();
  const group = (): number[] => pidsWhere((stat) => stat.group === command.pid);
  await until("all three run", () => group().length === 3);
  await until("both sleep", () => pidsWhere(({ parent }) => parent === command.pid).length === 2);
  for (const name of ["STOP", "", "SIGTERM", "9", "__proto__"]) command.signal(name);
  assert.equal(group().length, 3);
  command.signal("TERM");
  assert.deepEqual(await command.exited, { code: null, signal: "TERM" });
  await until("none runs", () => group().length === 0);
  command.signal("TERM");
});

test("a command that does not read its input does no harm", async () => {
  const command = sh("exec <&-; echo done");
  command.stdin.write(Buffer.alloc(1_000_000));
  command.stdin.end("more");
  assert.deepEqual(await whole(command), {
    out: "done\n",
    err: "",
    exit: { code: 0, signal: null },
  });
  command.stdin.destroy();
});

test("abandon closes the pipes and lets the command notice", async () => {
  const command = sh("cat; exit 7");
  command.abandon();
  assert.deepEqual(await command.exited, { code: 7, signal: null });
  command.abandon();
  command.resize(80, 24);
  command.greet("nobody sees this");
});

test("a command inherits no terminal of another session", async () => {
  const terminal = openTerminal({
    file: "/bin/cat",
    args: [],
    cwd: folder,
    env,
    cols: 80,
    rows: 24,
  });
  const mine = readdirSync("/proc/self/fd").map((fd) => linkOf("self", fd));
  assert.ok(mine.includes("/dev/ptmx"));
  const command = sh("read x");
  const inherited = readdirSync(`/proc/${command.pid}/fd`).map((fd) => linkOf(command.pid, fd));
  assert.ok(!inherited.includes("/dev/ptmx"), inherited.join(" "));
  command.abandon();
  terminal.abandon();
  await Promise.all([command.exited, terminal.exited]);
});

function linkOf(pid: number | string | null, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return "";
  }
}

test("300 commands leave no file open, nor do 300 that cannot start", async () => {
  const run = async (): Promise<void> => {
    await whole(sh("echo x"));
    await whole(spawnCommand({ file: "no-such-name", args: [], cwd: folder, env }));
  };
  await run();
  const before = openFiles();
  for (let count = 0; count < 300; count++) await run();
  await until("all are closed", () => openFiles() <= before);
});

const plain = join(folder, "plain");
writeFileSync(plain, "text");
chmodSync(plain, 0o644);
const broken = join(folder, "broken");
writeFileSync(broken, "#!/nowhere/interpreter\n");
chmodSync(broken, 0o755);
for (const [name, file, args, cwd, exit, err] of [
  ["no such file", "/nowhere/sh", [], folder, 127, "/nowhere/sh: not found\n"],
  ["no such name", "no-such-name", [], folder, 127, "no-such-name: cannot be started\n"],
  ["no interpreter", broken, [], folder, 127, `${broken}: cannot be started\n`],
  ["not executable", plain, [], folder, 126, `${plain}: cannot be executed\n`],
  ["a folder", folder, [], folder, 126, `${folder}: cannot be executed\n`],
  ["no such working directory", "/bin/sh", [], "/nowhere", 126, "/nowhere: not a directory\n"],
  [
    "too long",
    "/bin/sh",
    ["x".repeat(2e6)],
    folder,
    126,
    "/bin/sh: the command, or its environment, is longer than this system allows\n",
  ],
] as const) {
  test(`what cannot be started says so on stderr: ${name}`, async () => {
    const command = spawnCommand({ file, args, cwd, env });
    assert.equal(command.pid, null);
    assert.deepEqual(await whole(command), { out: "", err, exit: { code: exit, signal: null } });
  });
}

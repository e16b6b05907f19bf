/** The pipes of a command: what they are, and where they come from. */
import assert from "node:assert/strict";
import {
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { spawnCommand } from "../../../../src/io/agent/shell/child.ts";
import { type Maker, makers, openPipes } from "../../../../src/io/agent/shell/pipes.ts";
import { statOf } from "../../../../src/io/agent/shell/proc.ts";
import type { Process } from "../../../../src/io/agent/shell/process.ts";
import { all, env, killStrays, openFiles, pidsWhere, until } from "../../../support/processes.ts";

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

function linkOf(pid: number | string | null, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return "";
  }
}

const bash = "/bin/bash";
for (const file of ["/bin/sh", bash]) {
  for (const [script, out, err] of [
    ["cat /dev/stdin", "some input\n", ""],
    ["sort - /dev/stdin < /dev/stdin", "some input\n", ""],
    ["echo fine > /dev/stdout", "fine\n", ""],
    ["echo oops > /dev/stderr", "", "oops\n"],
    ["tee /dev/stderr", "some input\n", "some input\n"],
    ["cat < /dev/fd/0 >> /dev/fd/2", "", "some input\n"],
    ["stat -L -c %F /dev/stdin /dev/stdout /dev/stderr", "fifo\nfifo\nfifo\n", ""],
  ] as const) {
    test(`${file}: ${script}`, { skip: !existsSync(file) }, async () => {
      const command = spawnCommand({ file, args: ["-c", script], cwd: folder, env });
      command.stdin.end("some input\n");
      assert.deepEqual(await whole(command), { out, err, exit: { code: 0, signal: null } });
    });
  }
}

/** A command that has stopped itself; what the script does then comes after SIGCONT. */
async function stopped(script: string): Promise<{ command: Process; pid: number }> {
  const command = sh(`kill -STOP $$; ${script}`);
  const pid = command.pid ?? 0;
  await until("the command has stopped", () => statOf(pid)?.state === "T");
  return { command, pid };
}

test("/dev/stdin can be opened after the input has ended, as a named pipe could not", async () => {
  const { command, pid } = await stopped("cat /dev/stdin; cat /dev/stdin");
  const before = openFiles();
  command.stdin.end("some input");
  await until("the input is closed here", () => openFiles() < before);
  process.kill(pid, "SIGCONT");
  assert.deepEqual(await whole(command), {
    out: "some input",
    err: "",
    exit: { code: 0, signal: null },
  });
});

test("/dev/stderr can be opened after the channel has gone, and writing to it ends the command", async () => {
  const { command, pid } = await stopped("echo oops > /dev/stderr");
  command.abandon();
  process.kill(pid, "SIGCONT");
  assert.deepEqual(await command.exited, { code: null, signal: "PIPE" });
});

test("a command's pipes block, and another command has none of them", async () => {
  const commands = [sh("read x"), sh("read x")];
  const own = commands.map(({ pid }) => ["0", "1", "2"].map((fd) => linkOf(pid, fd)));
  assert.equal(new Set(own.flat()).size, 6);
  for (const link of own.flat()) {
    const holders = commands.filter(({ pid }) =>
      readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(pid, fd) === link),
    );
    assert.match(link, /^pipe:/);
    assert.equal(holders.length, 1, link);
  }
  for (const { pid } of commands) {
    for (const fd of [0, 1, 2]) {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"));
      assert.equal(Number.parseInt(flags?.[1] ?? "", 8) & constants.O_NONBLOCK, 0);
    }
  }
  for (const command of commands) command.abandon();
  await Promise.all(commands.map(({ exited }) => exited));
});

test("a command's input ends when it is ended, whatever other commands run", async () => {
  const others = [sh("read x"), sh("read x")];
  const command = sh("cat");
  const younger = sh("read x");
  command.stdin.end("some input");
  assert.equal((await whole(command)).out, "some input");
  for (const other of [...others, younger]) other.abandon();
  await Promise.all([...others, younger].map(({ exited }) => exited));
});

test("making pipes leaves no process and no file", async () => {
  const children = (): number[] => pidsWhere(({ parent }) => parent === process.pid);
  const before = children();
  const old = process.env["TMPDIR"];
  const temporary = mkdtempSync(join(folder, "temporary-"));
  process.env["TMPDIR"] = temporary;
  try {
    await Promise.all(Array.from({ length: 20 }, () => whole(sh("echo x > /dev/stderr"))));
  } finally {
    if (old === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = old;
  }
  await until("all shells have ended", () => children().every((pid) => before.includes(pid)));
  assert.deepEqual(readdirSync(temporary), []);
});

const [documents, substitution] = makers;
assert.ok(documents && substitution);
const nowhere: Maker = { file: "/nowhere/sh", script: "" };
const ends: Maker = { file: "/bin/sh", script: "exit" };
const files: Maker = {
  file: "/bin/sh",
  script: "exec 3<>/dev/null 4<>/dev/null 5<>/dev/null; cd /proc; read x",
};
const two: Maker = {
  file: "/bin/sh",
  script: "exec 3<<. 4<<.\n\n.\n\n.\nexec 5<&-; cd /proc; read x",
};
const noBash = !existsSync(bash);
for (const [name, ways, kind, skip] of [
  ["here-documents of sh", [documents], "pipe", false],
  ["here-documents of bash", [{ ...documents, file: bash }], "pipe", noBash],
  ["process substitution of bash", [substitution], "pipe", noBash],
  ["the second if the first has none", [nowhere, files, documents], "pipe", false],
  ["no shell", [nowhere], "socket", false],
  ["a shell that ends at once", [ends], "socket", false],
  ["a shell whose documents are files", [files], "socket", false],
  ["a shell with two pipes only", [two], "socket", false],
  ["none", [], "socket", false],
] as const) {
  test(`pipes come from a shell, else sockets do: ${name}`, { skip }, async () => {
    const run = async (): Promise<void> => {
      const script = "readlink /proc/$$/fd/0 /proc/$$/fd/1 >&2; cat; exit 3";
      const command = spawnCommand(
        { file: "/bin/sh", args: ["-c", script], cwd: folder, env },
        () => openPipes(ways),
      );
      command.stdin.end("some input");
      const { out, err, exit } = await whole(command);
      assert.match(err, new RegExp(`^(${kind}:\\S+\n){2}$`));
      assert.deepEqual([out, exit], ["some input", { code: 3, signal: null }]);
    };
    await run();
    const before = openFiles();
    for (let count = 0; count < 10; count++) await run();
    await until("all are closed", () => openFiles() <= before);
  });
}

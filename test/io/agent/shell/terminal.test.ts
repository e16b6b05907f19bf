/** Terminals: real ones, with a real sh on them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { statOf } from "../../../../src/io/agent/shell/proc.ts";
import type { Process } from "../../../../src/io/agent/shell/process.ts";
import { openTerminal } from "../../../../src/io/agent/shell/terminal.ts";
import { all, env, heard, killStrays, openFiles, runs, until } from "../../../support/processes.ts";

const folder = mkdtempSync(join(tmpdir(), "terminal-"));
after(() => {
  killStrays();
  rmSync(folder, { recursive: true });
});

function sh(script: string, size = { cols: 91, rows: 33 }): Process {
  return openTerminal({ file: "/bin/sh", args: ["-c", script], cwd: folder, env, ...size });
}

test("200 commands that print 30 KB and exit at once lose nothing", async () => {
  const lengths = new Map<number, number>();
  for (let run = 0; run < 200; run++) {
    const terminal = sh("stty raw; head -c 30000 /dev/zero");
    const { length } = await all(terminal.stdout);
    lengths.set(length, (lengths.get(length) ?? 0) + 1);
    assert.deepEqual(await terminal.exited, { code: 0, signal: null });
  }
  assert.deepEqual([...lengths], [[30_000, 200]]);
});

test("a reader that is paused during the whole exit gets everything afterwards", async () => {
  for (let run = 0; run < 50; run++) {
    // More than the stream takes by itself, so that the kernel and the master hold the rest.
    const terminal = sh("stty raw; head -c 18000 /dev/zero | tr '\\0' a; printf %09000d 7");
    terminal.stdout.read(0);
    terminal.stdout.pause();
    await terminal.exitedFirst;
    const want = `${"a".repeat(18_000)}${"7".padStart(9000, "0")}`;
    assert.ok((await all(terminal.stdout)).toString() === want);
    await terminal.exited;
  }
});

test("a reader that pauses in the middle gets everything, in order", async () => {
  const terminal = sh("stty raw; seq 1 40000");
  const chunks: Buffer[] = [];
  terminal.stdout.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    terminal.stdout.pause();
    void setImmediate().then(() => terminal.stdout.resume());
  });
  await terminal.exited;
  const numbers = Array.from({ length: 40_000 }, (_, index) => `${index + 1}\n`);
  assert.equal(Buffer.concat(chunks).toString(), numbers.join(""));
});

test("a reader that stops reading stops the process", async () => {
  const terminal = sh("stty raw; yes");
  terminal.stdout.read(0); // asks for the first bytes, and never for more
  await until("yes waits for its reader", () => {
    const [yes] = childrenOf(terminal.pid);
    return terminal.stdout.readableLength > 0 && yes !== undefined && statOf(yes)?.state === "S";
  });
  await turns(200);
  const held = terminal.stdout.readableLength;
  assert.ok(held < 100_000, `holds ${held} bytes`);
  terminal.abandon();
  assert.deepEqual(await terminal.exited, { code: null, signal: "HUP" });
});

/** Lets the event loop go round. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate();
}

function childrenOf(parent: number | null): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && statOf(pid)?.parent === parent);
}

test("the size is seen at the start, after a resize, and zero keeps what was", async () => {
  const terminal = sh('trap "stty size" WINCH; stty size; while :; do sleep 0.01; done');
  const output = heard(terminal.stdout);
  await until("the first size", () => output.text() === "33 91\r\n");
  terminal.resize(120, 40);
  await until("the second size", () => output.text() === "33 91\r\n40 120\r\n");
  terminal.resize(0, 41);
  terminal.resize(70_000, 41.5);
  await until("the third size", () => output.text().includes("41 120\r\n"));
  terminal.signal("KILL");
  await terminal.exited;
  terminal.resize(1, 1);
});

test("sizes of zero open the usual 80 by 24", async () => {
  assert.equal((await all(sh("stty size", { cols: 0, rows: 0 }).stdout)).toString(), "24 80\r\n");
});

for (const [script, exit] of [
  ["exit 0", { code: 0, signal: null }],
  ["exit 7", { code: 7, signal: null }],
  ["exit 255", { code: 255, signal: null }],
  ["kill -TERM $$", { code: null, signal: "TERM" }],
  ["kill -ABRT $$", { code: null, signal: "ABRT" }],
  ["kill -KILL $$", { code: null, signal: "KILL" }],
] as const) {
  test(`exit: ${script}`, async () => {
    const terminal = sh(script);
    terminal.stdout.resume();
    assert.deepEqual(await terminal.exited, exit);
    assert.deepEqual(await terminal.exitedFirst, exit);
  });
}

test("^C interrupts what is in the foreground", async () => {
  const terminal = sh('trap "echo caught; exit 9" INT; echo go; while :; do sleep 0.01; done');
  const output = heard(terminal.stdout);
  await until("it runs", () => output.text().includes("go"));
  terminal.stdin.write("\x03");
  assert.deepEqual(await terminal.exited, { code: 9, signal: null });
  assert.match(output.text(), /\^Ccaught\r\n$/);
});

test("a signal goes to the foreground group of the terminal, not to the shell", async () => {
  const bash = openTerminal({
    file: "/bin/bash",
    args: ["--norc", "-i"],
    cwd: folder,
    env,
    cols: 80,
    rows: 24,
  });
  const output = heard(bash.stdout);
  await until("a prompt", () => output.text().includes("ready> "));
  bash.stdin.write("sleep 1000; echo status $?\n");
  await until("sleep is in the foreground", () => {
    const group = statOf(bash.pid ?? 0)?.foreground;
    return group !== bash.pid && group !== undefined && childrenOf(bash.pid).includes(group);
  });
  bash.signal("NONSENSE");
  bash.signal("TERM");
  await until("the shell goes on", () => output.text().includes("status 143\r\n"));
  bash.stdin.end();
  assert.deepEqual(await bash.exited, { code: 0, signal: null });
});

for (const [typed, want] of [
  ["", ""],
  ["whole line\n", "whole line\n"],
  ["half a line", "half a line"],
] as const) {
  test(`the end of input is typed as ^D: after ${JSON.stringify(typed)}`, async () => {
    const terminal = sh("stty -echo; echo go; cat; echo over; exit 3");
    const output = heard(terminal.stdout);
    await until("it runs", () => output.text().includes("go\r\n"));
    terminal.stdin.end(typed);
    assert.deepEqual(await terminal.exited, { code: 3, signal: null });
    assert.equal(output.text(), `go\r\n${want}over\r\n`.replaceAll(/\r?\n/g, "\r\n"));
  });
}

test("a large paste arrives whole", async () => {
  const terminal = sh("stty raw -echo; echo go; head -c 300000 | sha256sum");
  const output = heard(terminal.stdout);
  await until("it runs", () => output.text().includes("go"));
  terminal.stdin.write(Buffer.alloc(300_000, "a"));
  await terminal.exited;
  const want = createHash("sha256").update("a".repeat(300_000)).digest("hex");
  assert.ok(output.text().includes(want));
});

test("a background process that keeps the terminal open does not delay the end", async () => {
  const script = `setsid sh -c 'trap "" HUP; echo $$ >pid; exec sleep 1000' & while [ ! -s pid ]; do :; done; stty raw; head -c 5000 /dev/zero; exit 4`;
  const terminal = sh(script);
  const output = await all(terminal.stdout);
  assert.deepEqual(await terminal.exited, { code: 4, signal: null });
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  assert.ok(runs(pid), "the background process survives");
  process.kill(pid, "SIGKILL");
  assert.equal(output.length, 5000);
});

test("a command that closes its terminal and goes on: all is read at once, and nothing after", async () => {
  for (let run = 0; run < 20; run++) {
    const fifo = join(folder, `go-${run}`);
    const closing = "exec </dev/null >/dev/null 2>&1";
    const terminal = sh(
      `mkfifo ${fifo}; stty raw; printf %09000d 1; ${closing}; read x <${fifo}; exit 6`,
    );
    const output = heard(terminal.stdout);
    await until("all is read", () => output.text() === "1".padStart(9000, "0"));
    await until("the terminal is closed", () => linkOf(terminal.pid, 0) === "/dev/null");
    await turns(10);
    // A file that had got the number of the terminal would be read at the exit.
    const zeros = Array.from({ length: 50 }, () => openSync("/dev/zero", "r"));
    await writeFile(fifo, "go\n");
    assert.deepEqual(await terminal.exited, { code: 6, signal: null });
    for (const zero of zeros) closeSync(zero);
    assert.equal(output.text().length, 9000);
  }
});

function linkOf(pid: number | null, fd: number): string {
  return readlinkSync(`/proc/${pid}/fd/${fd}`);
}

test("abandon hangs up the shell and everything in the foreground", async () => {
  const terminal = sh("sleep 1000; :");
  await until("sleep runs", () => childrenOf(terminal.pid).length === 1);
  const [sleep = 0] = childrenOf(terminal.pid);
  terminal.abandon();
  assert.deepEqual(await terminal.exited, { code: null, signal: "HUP" });
  await until("sleep has gone", () => !runs(sleep));
  terminal.abandon();
  terminal.signal("TERM");
  terminal.greet("nobody reads this");
  terminal.stdin.end("nor this");
});

test("abandon hangs up a terminal whose master a younger session has inherited", async () => {
  const older = sh("echo go; cat");
  const output = heard(older.stdout);
  await until("the older runs", () => output.text().includes("go"));
  const younger = sh("echo go; cat");
  older.abandon();
  assert.deepEqual(await older.exited, { code: null, signal: "HUP" });
  younger.abandon();
  await younger.exited;
});

test("abandon ends the wait for a reader that will never come", async () => {
  const terminal = sh("stty raw; yes");
  await until("yes runs", () => childrenOf(terminal.pid).length === 1);
  terminal.abandon();
  await terminal.exited;
});

test("a greeting stands between the output, as it is", async () => {
  const terminal = sh("stty -echo; echo one; read x; echo two");
  const output = heard(terminal.stdout);
  await until("one", () => output.text() === "one\r\n");
  terminal.greet("a greeting\r\n");
  terminal.stdin.write("\n");
  await terminal.exited;
  assert.equal(output.text(), "one\r\na greeting\r\ntwo\r\n");
  terminal.greet("too late");
});

test("300 terminals leave no file open", async () => {
  const run = async (): Promise<void> => {
    const terminal = sh("echo x");
    await all(terminal.stdout);
    await terminal.exited;
  };
  await run();
  const before = openFiles();
  for (let count = 0; count < 300; count++) await run();
  assert.equal(openFiles(), before);
});

const plain = join(folder, "plain");
writeFileSync(plain, "text");
chmodSync(plain, 0o644);
for (const [name, file, cwd, exit, said] of [
  ["no such file", "/nowhere/sh", folder, 127, "/nowhere/sh: not found\r\n"],
  ["not executable", plain, folder, 126, `${plain}: cannot be executed\r\n`],
  ["a folder", folder, folder, 126, `${folder}: cannot be executed\r\n`],
  ["no such working directory", "/bin/sh", "/nowhere", 126, "/nowhere: not a directory\r\n"],
] as const) {
  test(`what cannot be started says so on the terminal: ${name}`, async () => {
    const terminal = openTerminal({ file, args: [], cwd, env, cols: 80, rows: 24 });
    assert.equal(terminal.pid, null);
    assert.equal((await all(terminal.stdout)).toString(), said);
    assert.deepEqual(await terminal.exited, { code: exit, signal: null });
  });
}

/** The reaper: real processes that do what they can to stay, found by a marker of each test. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { spawnCommand } from "../../../../src/io/agent/shell/child.ts";
import { statOf } from "../../../../src/io/agent/shell/proc.ts";
import type { Process } from "../../../../src/io/agent/shell/process.ts";
import { hangUp, reap } from "../../../../src/io/agent/shell/reaper.ts";
import { openTerminal } from "../../../../src/io/agent/shell/terminal.ts";
import { systemClock } from "../../../../src/io/clock.ts";
import { env, HandClock, heard, killStrays, runs, until } from "../../../support/processes.ts";
import { until as eventually } from "../../../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "reaper-"));
after(() => {
  killStrays();
  rmSync(folder, { recursive: true });
});

/** A session of the agent with this marker: a script without a terminal. */
function session(marker: string, script: string): Process {
  const command = spawnCommand({
    file: "/bin/bash",
    args: ["-c", script],
    cwd: folder,
    env: { ...env, CONVERGE_SESSION: marker },
  });
  command.stdout.resume();
  command.stderr?.resume();
  return command;
}

/** The pid that a script has written to a file of this name. */
async function pidIn(name: string): Promise<number> {
  const read = (): number => {
    try {
      return Number(readFileSync(join(folder, name), "utf8"));
    } catch {
      return 0;
    }
  };
  await until(`${name} is running`, () => read() > 0);
  return read();
}

/** A clock moved on in steps shorter than any timer here, with the promises in between. */
async function walk(clock: HandClock, ms: number): Promise<void> {
  for (let walked = 0; walked < ms; walked += 10) {
    clock.increment(10);
    await setImmediate();
  }
}

/** Whether a promise has been kept yet. */
function kept(promise: Promise<void>): () => boolean {
  let isKept = false;
  void promise.then(() => {
    isKept = true;
  });
  return () => isKept;
}

/** Moves the clock on until a promise is kept: what was killed may leave a child for a moment. */
async function over(promise: Promise<void>, clock: HandClock): Promise<void> {
  const isKept = kept(promise);
  await eventually("it is over", async () => {
    await walk(clock, 50);
    return isKept();
  });
}

test("nothing to reap: done at once, without the clock", async () => {
  await reap(randomUUID(), new HandClock());
  await reap("", new HandClock());
});

const stay = (name: string): string => `echo $$ >${name}; exec sleep 1000`;
const bare = (name: string): string => `env -i PATH="$PATH" bash -c '${name}'`;
for (const [name, hears, script] of [
  ["plain", true, stay("plain")],
  ["nohup", false, `nohup bash -c '${stay("nohup")}' >/dev/null 2>&1 & exit`],
  ["setsid", true, `setsid bash -c '${stay("setsid")}' >/dev/null 2>&1 & exit`],
  [
    "double-fork",
    true,
    `(setsid bash -c '(${stay("double-fork")}) & exit' & exit) >/dev/null 2>&1`,
  ],
  ["stopped", true, `bash -c 'echo $$ >stopped; kill -STOP $$; sleep 1000'; :`],
  ["disowned", true, `set -m; bash -c '${stay("disowned")}' & disown; exit`],
  ["child-without-environment", true, `${bare(stay("child-without-environment"))} & wait`],
  [
    "orphan-without-environment",
    true,
    `(${bare(stay("orphan-without-environment"))} &); sleep 1000`,
  ],
  ["deaf-orphan", false, `(${bare(`trap "" HUP; ${stay("deaf-orphan")}`)} &); sleep 1000`],
] as const) {
  test(`reaped: ${name}, ${hears ? "by the hang-up" : "killed after 5 s"}`, async () => {
    const marker = randomUUID();
    const command = session(marker, script);
    const pid = await pidIn(name);
    if (name === "stopped") await until("it is stopped", () => statOf(pid)?.state === "T");
    const clock = new HandClock();
    const reaped = reap(marker, clock);
    if (!hears) {
      await walk(clock, 4_980);
      assert.ok(runs(pid), "it runs during the grace");
      await walk(clock, 100);
    }
    await until("it has gone", () => !runs(pid));
    await over(reaped, clock);
    await command.exited;
  });
}

test("reaped: a tmux server and what runs in it", async () => {
  const marker = randomUUID();
  const socket = join(folder, "tmux");
  const command = session(
    marker,
    `tmux -S ${socket} -f /dev/null new-session -d '${stay("tmux-pid")}'`,
  );
  await command.exited;
  const pid = await pidIn("tmux-pid");
  await reap(marker, systemClock);
  assert.ok(!runs(pid));
});

test("one that traps the hang-up is killed after 5 s, and what it forks meanwhile as well", async () => {
  const marker = randomUUID();
  const script = `trap 'setsid bash -c "trap : HUP; echo \\$\\$ >late; while :; do sleep 0.1; done" & ' HUP; echo $$ >stubborn; while :; do sleep 0.1; done`;
  const command = session(marker, script);
  const stubborn = await pidIn("stubborn");
  const clock = new HandClock();
  const reaped = reap(marker, clock);
  const isReaped = kept(reaped);
  const late = await pidIn("late");
  await walk(clock, 4_980);
  assert.deepEqual([runs(stubborn), runs(late), isReaped()], [true, true, false]);
  await walk(clock, 100);
  await until("both were killed", () => !runs(stubborn) && !runs(late));
  await over(reaped, clock);
  assert.deepEqual(await command.exited, { code: null, signal: "KILL" });
});

test("reaping is given up after 10 s", async () => {
  const marker = randomUUID();
  const clock = new HandClock();
  const command = session(marker, `trap : HUP; echo $$ >undying; while :; do sleep 0.1; done`);
  const pid = await pidIn("undying");
  const reaped = reap(marker, clock);
  const isReaped = kept(reaped);
  // The clock leaps over the grace and the limit, so that no kill is sent in between.
  clock.increment(10_000);
  await setImmediate();
  await until("it was given up", isReaped);
  assert.ok(runs(pid));
  process.kill(pid, "SIGKILL");
  await command.exited;
});

test("strangers survive: another marker, a part of it, the same word elsewhere, and the agent", async () => {
  const marker = randomUUID();
  const strangers = [
    session(randomUUID(), stay("other")),
    session(`${marker}x`, stay("longer")),
    session("", `export NOTE='CONVERGE_SESSION=${marker}'; ${stay("note")}`),
  ];
  const pids = await Promise.all(["other", "longer", "note"].map(pidIn));
  const mine = session(marker, stay("mine"));
  const pid = await pidIn("mine");
  await reap(marker, systemClock);
  assert.ok(!runs(pid));
  assert.deepEqual(pids.map(runs), [true, true, true]);
  for (const stranger of pids) process.kill(stranger, "SIGKILL");
  await Promise.all([...strangers, mine].map(({ exited }) => exited));
});

test("a session on a terminal is hung up at once, its foreground with it", async () => {
  const shell = openTerminal({
    file: "/bin/bash",
    args: ["--norc", "-i"],
    cwd: folder,
    env,
    cols: 80,
    rows: 24,
  });
  const output = heard(shell.stdout);
  await until("a prompt", () => output.text().includes("ready> "));
  shell.stdin.write(`sh -c '${stay("foreground")}'\n`);
  const pid = await pidIn("foreground");
  assert.ok(shell.pid);
  await hangUp(shell.pid, systemClock);
  assert.deepEqual(await shell.exited, { code: null, signal: "HUP" });
  await until("the foreground has gone", () => !runs(pid));
});

test("a shell and its foreground that ignore the hang-up are killed after 5 s", async () => {
  const shell = openTerminal({
    file: "/bin/bash",
    args: ["--norc", "-i"],
    cwd: folder,
    env,
    cols: 80,
    rows: 24,
  });
  shell.stdout.resume();
  shell.stdin.write(`trap "" HUP; sh -c '${stay("deaf-foreground")}'\n`);
  const pid = await pidIn("deaf-foreground");
  assert.ok(shell.pid);
  const clock = new HandClock();
  const hungUp = hangUp(shell.pid, clock);
  await walk(clock, 4_980);
  assert.deepEqual([runs(shell.pid), runs(pid)], [true, true]);
  await over(hungUp, clock);
  assert.deepEqual(await shell.exited, { code: null, signal: "KILL" });
  await until("the foreground has gone", () => !runs(pid));
});

test("a leader that ignores the hang-up is killed after 5 s, and not before", async () => {
  const command = session("", `trap "" HUP; ${stay("deaf")}`);
  const pid = await pidIn("deaf");
  const clock = new HandClock();
  const hungUp = hangUp(pid, clock);
  await walk(clock, 4_980);
  assert.ok(runs(pid));
  await over(hungUp, clock);
  assert.deepEqual(await command.exited, { code: null, signal: "KILL" });
});

test("nohup in a session of its own outlives the hang-up of the shell, as with sshd", async () => {
  const command = session(
    "",
    `setsid nohup bash -c '${stay("outlives")}' >/dev/null 2>&1 & echo $$ >leader; read x`,
  );
  const [pid, leader] = [await pidIn("outlives"), await pidIn("leader")];
  await hangUp(leader, systemClock);
  assert.deepEqual(await command.exited, { code: null, signal: "HUP" });
  assert.ok(runs(pid));
  process.kill(pid, "SIGKILL");
});

for (const pid of [-1, 0, 1, 2 ** 30]) {
  test(`nothing is hung up for the number ${pid}`, async () => {
    await hangUp(pid, new HandClock());
  });
}

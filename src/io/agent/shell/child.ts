/**
 * Child: a command without a terminal, on three pipes and in a session and process group of its own.
 *
 * As with sshd, the end of the command and the end of its output are two things: a process left in
 * the background keeps the pipes open, and the output ends when it closes them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { devNull } from "node:os";
import { basename } from "node:path";
import { Readable, Writable } from "node:stream";
import { fitsOnWindows, tooLong } from "./argument-room.ts";
import { openPipes } from "./pipes.ts";
import {
  delivered,
  type Exit,
  neverStarted,
  obstacle,
  openMasters,
  type Process,
  promised,
  refusalOf,
  type Start,
  send,
  sshSignals,
  toldCode,
} from "./process.ts";

/** What Node makes by itself. */
const threePipes = ["pipe", "pipe", "pipe"] as const;

/**
 * Starts a command. What cannot be started is told on stderr, with exit code 127 or 126. Where
 * `open` has no pipes to give, the command gets Node's socketpairs.
 */
export function spawnCommand(start: Start, open = openPipes): Process {
  const why = obstacle(start.file, start.cwd);
  if (why) return neverStarted(why, false);
  if (process.platform === "win32" && !fitsOnWindows([start.file, ...start.args]))
    return neverStarted({ code: 126, message: `${start.file}: ${tooLong}` }, false);
  const pipes = open();
  let child: ChildProcess;
  try {
    child = spawn(start.file, [...start.args], {
      cwd: start.cwd,
      env: { ...start.env },
      detached: process.platform !== "win32",
      stdio: [...(pipes?.theirs ?? threePipes), ...covers()],
      windowsHide: true,
      windowsVerbatimArguments: basename(start.file).toLowerCase() === "cmd.exe",
    });
  } catch (thrown) {
    pipes?.destroy();
    return neverStarted(refusalOf(start.file, thrown), false);
  } finally {
    pipes?.release();
  }
  const { stdin, stdout, stderr } = pipes ?? child;
  if (child.pid === undefined || !stdin || !stdout || !stderr) {
    // Not found on PATH, or no process to be had: Node tells it later, in an event.
    child.on("error", () => undefined);
    pipes?.destroy();
    return neverStarted({ code: 127, message: `${start.file}: cannot be started` }, false);
  }
  return running(child, child.pid, stdin, [stdout, stderr]);
}

function running(
  child: ChildProcess,
  pid: number,
  input: Writable,
  pipes: readonly [Readable, Readable],
): Process {
  const ended = promised<Exit>();
  let exit: Exit | null = null;
  child.on("error", () => undefined);
  child.on("exit", (code, signal) => {
    exit = { code: code === null ? null : toldCode(code), signal: signal ? signal.slice(3) : null };
    ended.settle(exit);
    // Node does so with its own; a process left in the background gets no input either way.
    input.destroy();
  });
  const [stdout, stderr] = [onDemand(pipes[0]), onDemand(pipes[1])];
  return {
    pid,
    stdin: forgiving(input),
    stdout,
    stderr,
    exitedFirst: ended.promise,
    exited: Promise.all([ended.promise, delivered(stdout), delivered(stderr)]).then(([how]) => how),
    resize: () => undefined,
    greet: () => undefined,
    signal(name) {
      if (exit || !sshSignals.has(name)) return;
      if (process.platform === "win32") child.kill();
      else send(-pid, name);
    },
    abandon() {
      for (const stream of [input, stdout, stderr]) stream.destroy();
    },
  };
}

/**
 * A pipe behind a stream that keeps what was not read. Node makes its own unread pipes flow when
 * their process exits, which loses what they hold, and paused ones as well.
 */
function onDemand(pipe: Readable): Readable {
  const kept = new Readable({
    read: () => {
      pipe.resume();
    },
    destroy: (error, done) => {
      pipe.destroy();
      done(error);
    },
  });
  pipe.on("data", (chunk: Buffer) => {
    if (!kept.push(chunk)) pipe.pause();
  });
  pipe.on("error", () => undefined);
  // Closed comes after the end, and alone if the pipe broke.
  pipe.once("close", () => {
    if (!kept.destroyed) kept.push(null);
  });
  return kept;
}

/** The input pipe, for which a command that no longer reads is no error: what follows is dropped. */
function forgiving(input: Writable): Writable {
  input.on("error", () => undefined);
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (input.destroyed) return done();
      input.write(chunk, () => done());
    },
    final(done) {
      if (input.destroyed) return done();
      input.end(() => done());
    },
  });
}

let nothing: number | undefined;

/** For every terminal master that would be inherited, the null device in its place. */
function covers(): (number | "ignore")[] {
  if (openMasters.size === 0) return [];
  nothing ??= openSync(devNull, "r");
  const cover = nothing;
  return Array.from({ length: Math.max(...openMasters) - 2 }, (_, index) =>
    openMasters.has(index + 3) ? cover : "ignore",
  );
}

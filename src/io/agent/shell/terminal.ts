/**
 * Terminal: a shell or command on a pseudo-terminal, without losing a byte of its output.
 *
 * Two things make others lose output here. libuv before 1.52 reports the end of a terminal while
 * the kernel still holds up to 12 KB; and a reader may be paused at the moment the process exits.
 * So the end is the exit of the process, never what libuv says, and at the exit the master is read
 * until the kernel has no more. That is bounded by the kernel's buffer, so it need not ask the
 * reader.
 */
import { closeSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { ReadStream } from "node:tty";
import { reasonOf } from "../../../actors/errors.ts";
import { fits, roomHere, tooLong } from "./argument-room.ts";
import { openConsole, withoutConsole } from "./conpty.ts";
import { keyboardOf } from "./keyboard.ts";
import { statOf } from "./proc.ts";
import {
  delivered,
  type Exit,
  neverStarted,
  obstacle,
  openMasters,
  type Process,
  promised,
  send,
  signalName,
  sizeOr,
  sshSignals,
  type TerminalStart,
} from "./process.ts";
import { loadPty, noTerminal, type Pty } from "./pty.ts";
import { findScript, openScript, tryMultiplexer } from "./script-terminal.ts";
import { withModes } from "./terminal-modes.ts";

/** What a terminal is if the client did not say (RFC 4254 has no default; this one is everybody's). */
const usual = { cols: 80, rows: 24 } as const;

/** The kernel holds 12 KB for a terminal; beyond this something is wrong and the end must come. */
const drainLimitBytes = 1_048_576;

/**
 * Why this machine has no terminal to give now, as a sentence; null if it has one, of whatever kind.
 * One is opened and closed: /dev/pts may be missing, or all terminals taken.
 */
export function withoutTerminal(): string | null {
  if (process.platform === "win32") return withoutConsole();
  let pty: Pty | string;
  try {
    pty = ptyOrScript();
  } catch (error) {
    return reasonOf(error);
  }
  try {
    if (typeof pty === "string") tryMultiplexer();
    else {
      const { master, slave } = pty.addon.open(usual.cols, usual.rows);
      closeSync(slave);
      closeSync(master);
    }
    return null;
  } catch (error) {
    return noTerminal(error).message;
  }
}

/** The addon, else the path of `script`. Throws an Error, a full sentence, if neither is there. */
function ptyOrScript(): Pty | string {
  try {
    return loadPty();
  } catch (error) {
    const script = findScript();
    if (!script) throw error;
    return script;
  }
}

/**
 * Starts `file` on a new terminal, as leader of its session. A file or folder that is not there is
 * told on the terminal, with exit code 127 or 126. Throws an Error only if there can be no terminal.
 */
export function openTerminal(start: TerminalStart): Process {
  const size = { cols: sizeOr(start.cols, usual.cols), rows: sizeOr(start.rows, usual.rows) };
  const why = obstacle(start.file, start.cwd);
  if (why) return neverStarted(why, true);
  if (process.platform === "win32") return openConsole({ ...start, ...size });
  const pty = ptyOrScript();
  if (typeof pty === "string") return openScript(pty, { ...start, ...size });
  const full = withModes(start, start.modes ?? {});
  if (!fits([full.file, ...full.args], full.env, roomHere()))
    return neverStarted({ code: 126, message: `${start.file}: ${tooLong}` }, true);
  return openPty(pty, { ...full, ...size });
}

function openPty({ addon, helperPath }: Pty, start: TerminalStart): Process {
  const ended = promised<Exit>();
  const env = Object.entries(start.env).map(([name, value]) => `${name}=${value}`);
  const { cwd, file, args, cols, rows } = start;
  let exit: Exit | null = null;
  let isClosed = true; // until the master is open, the addon can only tell the exit
  const onexit = (code: number, number: number): void => {
    exit = number > 0 ? { code: null, signal: signalName(number) } : { code, signal: null };
    if (!isClosed) {
      drain();
      close();
      stdout.push(null);
    }
    ended.settle(exit);
  };

  const { fd, pid } = forked(() =>
    addon.fork(file, args, env, cwd, cols, rows, -1, -1, true, helperPath, onexit),
  );
  const master = openMaster(fd, pid);
  const keyboard = keyboardOf(fd);
  openMasters.add(fd);
  isClosed = false;

  const stdout = new Readable({
    read: () => {
      master.resume();
    },
    destroy: (error, done) => {
      abandon();
      done(error);
    },
  });
  master.on("data", (chunk: Buffer) => {
    if (!stdout.push(chunk)) master.pause();
  });
  master.on("end", () => drain());

  /** Hands on all that the stream and then the kernel still hold. */
  function drain(): void {
    if (isClosed) return;
    while (master.read() !== null); // what it hands out goes through "data"
    for (let total = 0; total < drainLimitBytes; ) {
      const chunk = readNow(fd);
      if (!chunk) return;
      total += chunk.length;
      stdout.push(chunk);
    }
  }

  function close(): void {
    isClosed = true;
    keyboard.close();
    openMasters.delete(fd);
    master.destroy();
  }

  function abandon(): void {
    if (isClosed) return;
    close();
    // Closing hangs up the terminal, but not while a younger session has inherited the master.
    if (!exit) for (const name of ["HUP", "CONT"]) toForeground(pid, name);
  }

  const now = { cols, rows };
  return {
    pid,
    stdin: keyboard.stdin,
    stdout,
    stderr: null,
    exitedFirst: ended.promise,
    exited: Promise.all([ended.promise, delivered(stdout)]).then(([how]) => how),
    resize(cols, rows) {
      if (isClosed) return;
      now.cols = sizeOr(cols, now.cols);
      now.rows = sizeOr(rows, now.rows);
      addon.resize(fd, now.cols, now.rows);
    },
    signal(name) {
      if (!exit && sshSignals.has(name)) toForeground(pid, name);
    },
    abandon() {
      abandon();
      stdout.destroy();
    },
    greet(text) {
      if (!isClosed) stdout.push(text);
    },
  };
}

/** The addon's own words are "forkpty(3) failed". */
function forked<T>(fork: () => T): T {
  try {
    return fork();
  } catch (error) {
    throw noTerminal(error);
  }
}

/** The master as a stream that closes only when told to, whatever it meets. */
function openMaster(fd: number, pid: number): ReadStream {
  try {
    const master = new ReadStream(fd, { allowHalfOpen: true });
    const close = master.destroy.bind(master);
    // On EIO, when nobody holds the terminal any more, Node would close the file, and its number
    // could be another file's by the time of the exit.
    master.destroy = (error) => (error ? master : close());
    master.on("error", () => undefined);
    return master;
  } catch (thrown) {
    closeSync(fd);
    send(pid, "KILL");
    throw noTerminal(thrown);
  }
}

/** What the kernel has at once, or null: EAGAIN if there is nothing, EIO if nobody holds it. */
function readNow(fd: number): Buffer | null {
  const chunk = Buffer.allocUnsafe(16_384);
  try {
    const length = readSync(fd, chunk);
    return length > 0 ? chunk.subarray(0, length) : null;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "EINTR"
      ? Buffer.alloc(0)
      : null;
  }
}

/** Signals the foreground group of a terminal, known to Linux alone, else the shell's own group. */
function toForeground(pid: number, name: string): void {
  const group = statOf(pid)?.foreground ?? -1;
  send(-(group > 1 ? group : pid), name);
}

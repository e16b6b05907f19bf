/**
 * Script terminal: a terminal made by util-linux's `script`, for machines where the addon does not
 * load. The program on it tells its terminal's name and its own pid through a private file, since
 * `script` has no other way to be told a size or a signal.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { sh } from "../../../actors/words/quoting.ts";
import { statOf } from "./proc.ts";
import {
  delivered,
  type Exit,
  neverStarted,
  type Process,
  promised,
  refusalOf,
  send,
  sizeOr,
  sshSignals,
  type TerminalStart,
} from "./process.ts";
import { canExecute } from "./shells.ts";
import { nameLine, sttyLine, sttyWords } from "./terminal-modes.ts";

/** Where util-linux has put it, if it is there; other systems' `script` takes other flags. */
export function findScript(path: string = process.env["PATH"] ?? ""): string | null {
  if (process.platform !== "linux") return null;
  const found = path.split(":").map((folder) => join(folder, "script"));
  return found.find((file) => file.startsWith("/") && canExecute(file)) ?? null;
}

/** Opens a terminal and closes it, as `script` would. Throws if there can be none. */
export function tryMultiplexer(): void {
  const master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY);
  try {
    if (!readdirSync("/dev/pts").some((name) => /^\d+$/.test(name)))
      throw new Error("/dev/pts is not mounted");
  } finally {
    closeSync(master);
  }
}

/** Starts a program on a terminal of `script`, a path; the size is within 1 to 65535. */
export function openScript(script: string, start: TerminalStart): Process {
  const { file, args, cwd, env, cols, rows } = start;
  const folder = mkdtempSync(join(tmpdir(), "converge-tty-"));
  const told = join(folder, "told");
  const words = [file, ...args].map(sh.word).join(" ");
  const shell = env["SHELL"] === undefined ? "unset SHELL" : `SHELL=${sh.word(env["SHELL"])}`;
  const name = env["SSH_TTY"] === undefined ? "" : nameLine;
  const modes = sttyLine(sttyWords(start.modes ?? {}, {}));
  const line = `{ tty; echo $$; } > ${sh.word(told)}; stty rows ${rows} cols ${cols}; ${modes} ${name} ${shell}; exec ${words}`;
  // The line is for a POSIX shell, and `script` gives it to whatever SHELL says.
  let child: ChildProcess;
  try {
    child = spawn(script, ["-qefc", line, "/dev/null"], {
      cwd,
      env: { ...env, SHELL: "/bin/sh" },
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
  } catch (thrown) {
    rmSync(folder, { recursive: true, force: true });
    return neverStarted(refusalOf(file, thrown), true);
  }
  const { stdin, stdout: output } = child;
  if (!stdin || !output) throw new Error("script cannot be started.");
  const stdout = new PassThrough();
  output.pipe(stdout);
  stdin.on("error", () => {});
  const ended = promised<Exit>();
  let isOver = false;
  const over = (exit: Exit): void => {
    isOver = true;
    rmSync(folder, { recursive: true, force: true });
    ended.settle(exit);
  };
  child.once("error", () => over({ code: 126, signal: null }));
  // `-e`: the status is the program's own, or 128 and the number of the signal that ended it.
  child.once("exit", (code) => over({ code: code ?? 1, signal: null }));

  /** The terminal's name and the pid of who leads it; null until they were told. */
  const where = (): { tty: string; pid: number } | null => {
    if (!existsSync(told)) return null;
    const [tty = "", pid = ""] = readFileSync(told, "utf8").split("\n");
    return pid === "" ? null : { tty, pid: Number(pid) };
  };
  const now = { cols, rows };
  return {
    pid: child.pid ?? null,
    stdin,
    stdout,
    stderr: null,
    exitedFirst: ended.promise,
    exited: Promise.all([ended.promise, delivered(stdout)]).then(([how]) => how),
    resize: (cols, rows) => {
      now.cols = sizeOr(cols, now.cols);
      now.rows = sizeOr(rows, now.rows);
      const tty = where()?.tty;
      if (isOver || !tty) return;
      const size = ["rows", String(now.rows), "cols", String(now.cols)];
      spawn("stty", ["-F", tty, ...size], { stdio: "ignore" }).on("error", () => {});
    },
    signal: (name) => {
      const pid = where()?.pid;
      if (isOver || !pid || !sshSignals.has(name)) return;
      const group = statOf(pid)?.foreground ?? -1;
      send(-(group > 1 ? group : pid), name);
    },
    abandon: () => {
      const pid = where()?.pid;
      if (!isOver) for (const name of ["HUP", "CONT"]) if (pid) send(-pid, name);
      output.destroy();
      stdin.destroy();
      stdout.destroy();
    },
    greet: (text) => {
      if (!isOver && stdout.writable) stdout.write(text);
    },
  };
}

/**
 * Conpty: the same as a terminal, on Windows, where node-pty's own JavaScript is used.
 *
 * It delivers its output as text and ends after the last of it. There are no signals: an interrupt
 * is typed as ^C, anything that ends a process kills the tree. Written without a Windows at hand.
 */
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { Readable, Writable } from "node:stream";
import type { IPty } from "@lydell/node-pty";
import { reasonOf } from "../../../actors/errors.ts";
import { terminalText } from "../../text.ts";
import { fitsOnWindows, tooLong } from "./argument-room.ts";
import { embedded } from "./embedded.ts";
import {
  delivered,
  type Exit,
  neverStarted,
  type Process,
  promised,
  type Start,
  sizeOr,
  sshSignals,
  toldCode,
} from "./process.ts";
import { unpacked } from "./unpack.ts";

/** The size in characters, within 1 to 65535. */
export interface ConsoleStart extends Start {
  readonly cols: number;
  readonly rows: number;
}

/** Signals that a keyboard can send; the rest of them end the process here. */
const typed: Readonly<Record<string, string>> = { INT: "\x03", QUIT: "\x1c" };

/** ^Z and return: the end of input as Windows programs read it. */
const endOfInput = "\x1a\r";

/** Starts `file` on a pseudo-console. Throws an Error if there can be none. */
export function openConsole(start: ConsoleStart): Process {
  if (!fitsOnWindows([start.file, ...start.args]))
    return neverStarted({ code: 126, message: `${start.file}: ${tooLong}` }, true);
  const console = spawnConsole(start);
  const ended = promised<Exit>();
  let isOver = false;
  const stdout = new Readable({
    read: () => {
      if (!isOver) console.resume();
    },
    destroy: (error, done) => {
      kill();
      done(error);
    },
  });
  console.onData((text) => {
    if (!stdout.push(Buffer.from(text))) console.pause();
  });
  console.onExit(({ exitCode }) => {
    isOver = true;
    if (!stdout.destroyed) stdout.push(null);
    ended.settle({ code: toldCode(exitCode), signal: null });
  });

  function kill(): void {
    if (!isOver) console.kill();
  }

  const now = { cols: start.cols, rows: start.rows };
  return {
    pid: console.pid,
    stdin: new Writable({
      decodeStrings: false,
      write(chunk: Buffer | string, _encoding, done) {
        if (isOver) return done();
        console.write(chunk.toString());
        // Where the console's own pipe can be seen, what is typed waits for whoever reads it.
        const pipe = (console as { _agent?: { inSocket?: Writable } })._agent?.inSocket;
        if (pipe?.writableNeedDrain) return void pipe.once("drain", () => done());
        done();
      },
      final(done) {
        if (!isOver) console.write(endOfInput);
        done();
      },
    }),
    stdout,
    stderr: null,
    exitedFirst: ended.promise,
    exited: Promise.all([ended.promise, delivered(stdout)]).then(([how]) => how),
    resize(cols, rows) {
      if (isOver) return;
      now.cols = sizeOr(cols, now.cols);
      now.rows = sizeOr(rows, now.rows);
      console.resize(now.cols, now.rows);
    },
    signal(name) {
      if (isOver || !sshSignals.has(name)) return;
      const keys = typed[name];
      if (keys) console.write(keys);
      else kill();
    },
    abandon() {
      stdout.destroy();
    },
    note(text) {
      if (!isOver && !stdout.destroyed) stdout.push(terminalText(text));
    },
  };
}

function spawnConsole(start: ConsoleStart): IPty {
  const { file, args, cwd, env, cols, rows } = start;
  try {
    const pty = nodePty();
    // cmd.exe has a quoting of its own; its arguments are handed over as one text.
    const given = basename(file).toLowerCase() === "cmd.exe" ? args.join(" ") : [...args];
    return pty.spawn(file, given, { cwd, env: { ...env }, cols, rows });
  } catch (thrown) {
    throw new Error(`No terminal can be opened on this machine: ${reasonOf(thrown)}.`, {
      cause: thrown,
    });
  }
}

let loaded: typeof import("@lydell/node-pty") | null = null;

/** node-pty as a package, or unpacked as one: it starts scripts of its own from files. */
function nodePty(): typeof import("@lydell/node-pty") {
  const files = embedded?.[`${process.platform}-${process.arch}`];
  loaded ??= files
    ? unpacked(files, true, (folder) => createRequire(join(folder, "x.js"))("@lydell/node-pty"))
    : createRequire(import.meta.url)("@lydell/node-pty");
  if (!loaded) throw new Error("node-pty is empty");
  return loaded;
}

/**
 * Conpty: the same as a terminal, on Windows, where node-pty's own JavaScript is used.
 *
 * It delivers its output as text and ends after the last of it. There are no signals: an interrupt
 * is typed as ^C, anything that ends a process kills the tree.
 */
import { createRequire } from "node:module";
import { release } from "node:os";
import { basename, join } from "node:path";
import { Readable, Writable } from "node:stream";
import type { IPty } from "@lydell/node-pty";
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
import { noTerminal } from "./pty.ts";
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

/** Windows 10 1809 and Server 2019, the first that have pseudo-consoles. */
const firstBuild = 17_763;

/** Why this Windows has no terminal to give, as a sentence; null if it has one. */
export function withoutConsole(): string | null {
  try {
    const build = Number(release().split(".")[2]);
    if (build < firstBuild)
      throw new Error(`there are none before build ${firstBuild} of Windows, and this is ${build}`);
    nodePty();
    return null;
  } catch (thrown) {
    return noTerminal(thrown).message;
  }
}

/** Control sequences at the start of an output (ECMA-48 5.4). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with one
const leading = /^(?:\x1b\[[0-?]*[@-~])+/;

/** Starts `file` on a pseudo-console. Throws an Error if there can be none. */
export function openConsole(start: ConsoleStart): Process {
  if (!fitsOnWindows([start.file, ...start.args]))
    return neverStarted({ code: 126, message: `${start.file}: ${tooLong}` }, true);
  const console = spawnConsole(start);
  const ended = promised<Exit>();
  let isOver = false;
  /** What is to be read after the console has cleared the screen, which is how it begins. */
  let early = "";
  let hasBegun = false;
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
    const head = hasBegun ? "" : (leading.exec(text)?.[0] ?? "");
    const shown = `${head}${early}${text.slice(head.length)}`;
    hasBegun = true;
    early = "";
    if (!stdout.push(Buffer.from(shown))) console.pause();
  });
  const { _agent: inside } = console as { _agent?: { _getConsoleProcessList?: unknown } };
  // To learn who is on a console that is to be closed, it would start this program as if it were Node.
  // Closing it tells all of them; the shell is ended before.
  if (inside) inside._getConsoleProcessList = () => Promise.resolve(isOver ? [] : [console.pid]);
  console.onExit(({ exitCode }) => {
    isOver = true;
    // Its thread, which reads the output, would keep this program alive for ever.
    console.kill();
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
    greet(text) {
      if (isOver || stdout.destroyed) return;
      if (hasBegun) stdout.push(text);
      else early += text;
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
    throw noTerminal(thrown);
  }
}

type NodePty = typeof import("@lydell/node-pty");

let loaded: NodePty | null = null;

/** node-pty as a package, or unpacked as one: it starts scripts of its own from files. */
function nodePty(): NodePty {
  const files = embedded?.[`${process.platform}-${process.arch}`];
  loaded ??= files
    ? unpacked(files, true, (folder) => required(createRequire(join(folder, "x.js"))))
    : required(createRequire(import.meta.url));
  return loaded;
}

/** node-pty loads its addon only for the first terminal, which is too late to do without. */
function required(require: NodeJS.Require): NodePty {
  require("@lydell/node-pty/requireBinary").requireBinary("conpty.node");
  return require("@lydell/node-pty");
}

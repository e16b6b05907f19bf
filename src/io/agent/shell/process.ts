/**
 * Process: what an ssh channel holds while a shell or a command runs, with a terminal or without.
 *
 * The shape is the same for both, so the ssh server treats them alike; `terminal.ts`, `conpty.ts` and
 * `child.ts` make it. Nothing here knows ssh, and nothing here starts anything.
 */
import { accessSync, constants, statSync } from "node:fs";
import { constants as os } from "node:os";
import { isAbsolute } from "node:path";
import { Readable, Writable } from "node:stream";
import { reasonOf } from "../../../actors/errors.ts";
import { terminalText } from "../../text.ts";
import { tooLong } from "./argument-room.ts";
import type { TerminalModes } from "./terminal-modes.ts";

/** How a process ended: one of the two is null. `signal` is written as ssh does, "TERM". */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A running shell or command. No method throws, and none does anything once the process is gone. */
export interface Process {
  /** Null if nothing could be started; the reason is then in the output and the exit code 126 or 127. */
  readonly pid: number | null;
  /** With a terminal, `end()` types the end-of-file character and leaves the terminal open. */
  readonly stdin: Writable;
  /** Ends only after the last byte; a reader that pauses stops the process by back-pressure. */
  readonly stdout: Readable;
  /** Null with a terminal, where both are one. */
  readonly stderr: Readable | null;
  /** The process itself has gone; output may still be under way. Never rejects. */
  readonly exitedFirst: Promise<Exit>;
  /** It has gone, and every byte was taken by the reader or given up by `abandon`. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Tells the terminal its size in characters, 1 to 65535; 0 and nonsense keep what was. */
  resize(cols: number, rows: number): void;
  /** Sends one of `sshSignals` to whoever is in the foreground; other names are ignored. */
  signal(name: string): void;
  /** The channel is gone: stop reading, drop the output, hang up the terminal or close the pipes. */
  abandon(): void;
  /**
   * Shows a person a clean text before what the shell says, but behind what the terminal itself clears;
   * nothing without a terminal.
   */
  greet(text: string): void;
}

/** What it takes to start one: an absolute path and the whole environment. */
export interface Start {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** How a terminal is to be opened; sizes in characters, 0 meaning the usual 80 by 24. */
export interface TerminalStart extends Start {
  readonly cols: number;
  readonly rows: number;
  /** What the client says of its own terminal; not for Windows, whose consoles have none. */
  readonly modes?: TerminalModes;
}

/** The signals a client may send (RFC 4254, section 6.10); sshd takes the same. */
export const sshSignals: ReadonlySet<string> = new Set(
  "ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2".split(" "),
);

/**
 * Terminal masters open in this program. The addon does not mark them close-on-exec, so a child
 * would inherit them and keep other people's terminals alive; `child.ts` covers them up.
 */
export const openMasters = new Set<number>();

/**
 * An exit code as a client may be told it. Windows has 32 bits of it, of which many clients look at
 * the low byte alone: what has failed must not be a 0 there.
 */
export const toldCode = (code: number): number => (code !== 0 && (code & 255) === 0 ? 255 : code);

/** A terminal's size is two 16-bit numbers. */
const largestSize = 65_535;

/** A size in characters within 1 to 65535, or the one before. */
export function sizeOr(wanted: number, before: number): number {
  return Number.isInteger(wanted) && wanted >= 1 && wanted <= largestSize ? wanted : before;
}

/** The name of a signal number without "SIG"; a number nobody knows is written as it is. */
export function signalName(number: number): string {
  const found = Object.entries(os.signals).find(([, value]) => value === number);
  return found ? found[0].slice(3) : String(number);
}

/** Sends a signal by its ssh name to a process, or to a group by a negative number. */
export function send(target: number, name: string): void {
  try {
    process.kill(target, `SIG${name}`);
  } catch {
    // Gone already, or not ours to signal: in both cases there is nothing left to do.
  }
}

/** A promise and what settles it. */
export function promised<T>(): { promise: Promise<T>; settle: (value: T) => void } {
  let settle: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/** Resolves when a stream has ended and was read to the end, or was destroyed. */
export function delivered(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", () => resolve());
  });
}

/** Why a start cannot work, as a shell would say it, with the shell's code; null if it may. */
export interface Obstacle {
  readonly code: 126 | 127;
  readonly message: string;
}

/** Looks before the leap, since the addon tells every failure as exit code 1. */
export function obstacle(file: string, cwd: string): Obstacle | null {
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    return { code: 126, message: `${cwd}: not a directory` };
  }
  if (!isAbsolute(file)) return null;
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return { code: 127, message: `${file}: not found` };
  try {
    if (!found.isFile()) throw new Error("not a file");
    accessSync(file, constants.X_OK);
  } catch {
    return { code: 126, message: `${file}: cannot be executed` };
  }
  return null;
}

/** What the system said when it would not start a program: arguments too long, or a NUL in one. */
export function refusalOf(file: string, thrown: unknown): Obstacle {
  const isLong = thrown instanceof Error && "code" in thrown && thrown.code === "E2BIG";
  return { code: 126, message: `${file}: ${isLong ? tooLong : reasonOf(thrown)}` };
}

/** A process that never was: it says why, on the terminal or on stderr, and has exited. */
export function neverStarted(why: Obstacle, terminal: boolean): Process {
  const text = terminalText(`${why.message}\n`, terminal ? "\r\n" : "\n");
  const said = Readable.from([Buffer.from(text)], { objectMode: false });
  const silent = Readable.from([], { objectMode: false });
  const exit: Exit = { code: why.code, signal: null };
  const outputs = terminal ? [said] : [silent, said];
  const nothing = (): void => undefined;
  return {
    pid: null,
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout: terminal ? said : silent,
    stderr: terminal ? null : said,
    exitedFirst: Promise.resolve(exit),
    exited: Promise.all(outputs.map(delivered)).then(() => exit),
    resize: nothing,
    signal: nothing,
    greet: nothing,
    abandon: () => {
      for (const output of outputs) output.destroy();
    },
  };
}

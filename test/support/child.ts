/**
 * Child: any program under way, on pipes, and what it has said so far. It knows nothing of Converge. A
 * test that starts some calls `endPrograms` when it is over.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

/** The least that programs need, and nothing of the machine that runs the tests. */
export const clean = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", LANG: "C.UTF-8" };

/** No program of a test runs for longer; one that hangs fails its test, not the whole file. */
const longestMs = process.env["CONVERGE_TEST_LONG"] ? 20 * 60_000 : 90_000;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a program went, with all the bytes that it printed. */
export interface Result {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A running program and what it has said so far. */
export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it printed, byte for byte. */
  bytes(): Buffer;
  /** The same, with a character for each byte. */
  out(): string;
  err(): string;
  /** Waits until it has said this on either stream, and resolves with it; fails with all it said. */
  see(what: string | RegExp): Promise<string>;
  type(text: string | Buffer): void;
  /** Ends its standard input. */
  end(): void;
  kill(signal: NodeJS.Signals): void;
  /** Null while it runs. */
  ended(): Ended | null;
  /** When it has ended and all it said has been read. */
  readonly exited: Promise<Ended>;
}

export interface How {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** All of its standard input; nothing by default. `open` leaves it open, to be typed. */
  readonly input?: string | Buffer | "open";
  /** Nobody reads its outputs until somebody resumes them. */
  readonly paused?: boolean;
  /** The test reads its standard output, and nobody else. */
  readonly streams?: boolean;
  readonly limitMs?: number;
}

const running = new Set<ChildProcess>();
const folders: string[] = [];

/** Starts any program. Its standard input is closed, unless something else is asked for. */
export function program(file: string, args: readonly string[], how: How = {}): Program {
  const child = spawn(file, args, {
    cwd: how.cwd,
    env: { ...clean, ...how.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const parts: Buffer[] = [];
  let err = "";
  let ended: Ended | null = null;
  if (!how.streams) child.stdout.on("data", (data: Buffer) => parts.push(data));
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  if (how.paused) {
    child.stdout.pause();
    child.stderr.pause();
  }
  child.stdin.on("error", () => {});
  if (how.input !== "open") child.stdin.end(how.input ?? "");
  running.add(child);
  const limit = setTimeout(() => child.kill("SIGKILL"), how.limitMs ?? longestMs);
  const exited = new Promise<Ended>((done, fail) => {
    const gone = (): void => {
      clearTimeout(limit);
      running.delete(child);
    };
    child.on("error", (error) => {
      gone();
      fail(error);
    });
    child.on("exit", gone);
    child.on("close", (status, signal) => {
      ended = { status, signal };
      done(ended);
    });
  });
  const bytes = (): Buffer => {
    if (parts.length !== 1) parts.splice(0, parts.length, Buffer.concat(parts));
    return parts[0] as Buffer;
  };
  const out = (): string => bytes().toString("latin1");
  return {
    pid: child.pid ?? 0,
    child,
    bytes,
    out,
    err: () => err,
    see: async (what) => {
      const find = (): string | undefined => {
        for (const text of [out(), err])
          if (typeof what !== "string") {
            const found = what.exec(text);
            if (found) return found[0];
          } else if (text.includes(what)) return what;
        return undefined;
      };
      await until(`${what} said by ${file} ${args[0]}`, () => find() !== undefined || ended).catch(
        (error: Error) => {
          throw new Error(
            `${error.message}; it said: ${out().slice(-2_000)}\n${err.slice(-2_000)}`,
          );
        },
      );
      return find() ?? assert.fail(`it ended without saying ${what}; it said: ${out()}\n${err}`);
    },
    type: (text) => void child.stdin.write(text),
    end: () => void child.stdin.end(),
    kill: (signal) => child.kill(signal),
    ended: () => ended,
    exited,
  };
}

/** Waits for the end; what it said as text. */
export async function finished(run: Program): Promise<Ended & { out: string; err: string }> {
  const ended = await run.exited;
  return { ...ended, out: run.out(), err: run.err() };
}

/** Waits for the end; what it printed as bytes. */
export async function result(run: Program): Promise<Result> {
  const { status } = await run.exited;
  return { status, stdout: run.bytes(), stderr: run.err() };
}

/** Runs a program to its end. */
export function run(
  file: string,
  args: readonly string[],
  how: How = {},
): Promise<Result> & { child: ChildProcess } {
  const started = program(file, args, how);
  return Object.assign(result(started), { child: started.child });
}

/** A folder that goes with `endPrograms`. */
export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "converge-test-"));
  folders.push(dir);
  return dir;
}

/** Kills what a test has started and is still there, each by its own pid. */
export async function endPrograms(): Promise<void> {
  for (const child of [...running].reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue; // while others were ended
    const gone = once(child, "exit");
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await gone;
  }
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
}

/**
 * Pty: the one door to the prebuilt addon that can fork a process on a pseudo-terminal.
 *
 * Only the addon's three calls are used, never node-pty's own JavaScript, which loses output.
 * A build that carries the addon in another way replaces this file and nothing else.
 */
import { createRequire } from "node:module";
import { reasonOf } from "../actors/errors.ts";

/** The addon as it is on Linux and macOS (Node-API, so one file serves every Node). */
export interface PtyAddon {
  /** Starts `file` as leader of a new session on a new terminal; `fd` is the non-blocking master. */
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    cols: number,
    rows: number,
    uid: number,
    gid: number,
    utf8: boolean,
    helperPath: string,
    onexit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number; readonly pty: string };
  resize(fd: number, cols: number, rows: number): void;
}

/** The addon, and the small program that macOS starts in between ("" elsewhere). */
export interface Pty {
  readonly addon: PtyAddon;
  readonly helperPath: string;
}

let loaded: Pty | undefined;

/** Loads the addon once. Throws an Error, a full sentence, if this platform has none that works. */
export function loadPty(): Pty {
  if (loaded) return loaded;
  const name = `@lydell/node-pty-${process.platform}-${process.arch}`;
  try {
    // The binary packages are dependencies of node-pty, so they are looked up from where it lies.
    const here = createRequire(import.meta.url);
    const there = createRequire(here.resolve("@lydell/node-pty/package.json"));
    loaded = {
      addon: there(`${name}/pty.node`),
      helperPath: process.platform === "darwin" ? there.resolve(`${name}/spawn-helper`) : "",
    };
    return loaded;
  } catch (thrown) {
    throw new Error(`No terminal can be opened on this machine: ${reasonOf(thrown)}.`, {
      cause: thrown,
    });
  }
}

/**
 * Pty: the one door to the prebuilt addon that can fork a process on a pseudo-terminal.
 *
 * Only three of the addon's calls are used, never node-pty's own JavaScript, which loses output. The
 * addon is an npm package, or inside a program that is one file.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { reasonOf } from "../../../actors/errors.ts";
import { embedded } from "./embedded.ts";
import { unpacked } from "./unpack.ts";

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
  /** Opens a terminal with nobody on it. */
  open(cols: number, rows: number): { readonly master: number; readonly slave: number };
  resize(fd: number, cols: number, rows: number): void;
}

/** The addon, and the small program that macOS starts in between ("" elsewhere). */
export interface Pty {
  readonly addon: PtyAddon;
  readonly helperPath: string;
}

let loaded: Pty | undefined;

/**
 * Loads the addon, once if it works: a folder to unpack it into may be full only now. Throws an Error,
 * a full sentence, if there is none that works.
 */
export function loadPty(): Pty {
  try {
    loaded ??= embedded ? fromInside(embedded[platformName()]) : fromPackage();
    return loaded;
  } catch (thrown) {
    throw noTerminal(thrown);
  }
}

/** Why there is no terminal, as a sentence. */
export function noTerminal(cause: unknown): Error {
  // Node's message names the files that required each other on lines of their own.
  const why = reasonOf(cause).split("\n")[0]?.replace(/\.$/, "");
  return new Error(`No terminal can be opened on this machine: ${why}.`, { cause });
}

function fromPackage(): Pty {
  const name = `@lydell/node-pty-${process.platform}-${process.arch}`;
  // The binary packages are dependencies of node-pty, so they are looked up from where it lies.
  const here = createRequire(import.meta.url);
  const there = createRequire(here.resolve("@lydell/node-pty/package.json"));
  return {
    addon: there(`${name}/pty.node`),
    helperPath: process.platform === "darwin" ? there.resolve(`${name}/spawn-helper`) : "",
  };
}

/** `linux-x64`, `linux-x64-musl`, `darwin-arm64`, …: the addon depends on the C library too. */
function platformName(): string {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return name;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ? name : `${name}-musl`;
}

/** On macOS the helper must stay; elsewhere a loaded addon needs no file any more. */
function fromInside(files: Readonly<Record<string, string>> | undefined): Pty {
  if (!files) throw new Error(`this program has no terminal for ${platformName()} inside`);
  const hasHelper = "spawn-helper" in files;
  return unpacked(files, hasHelper, (folder) => {
    const addon: { exports: unknown } = { exports: {} };
    process.dlopen(addon, join(folder, "pty.node"));
    return {
      addon: addon.exports as PtyAddon,
      helperPath: hasHelper ? join(folder, "spawn-helper") : "",
    };
  });
}

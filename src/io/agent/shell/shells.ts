/**
 * Shells: which shell there is, how it is started, and with what environment.
 *
 * Pure apart from looking at files; it starts nothing and reads no environment but the one handed in.
 */
import { accessSync, constants, statSync } from "node:fs";
import { userInfo } from "node:os";
import { posix, win32 } from "node:path";
import { ConvergeError } from "../../../actors/errors.ts";

/** A shell that exists: its absolute path, and the name that says how to speak to it ("bash"). */
export interface Shell {
  readonly path: string;
  readonly name: string;
}

/** An environment as Node gives it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where to look. What is optional is the machine's own, and is handed in by tests. */
export interface ShellSearch {
  /** Names or absolute paths from `--shells`, tried before the default search path. */
  readonly first: readonly string[];
  readonly env: Environment;
  /** Paths that are no good. */
  readonly passedOver?: ReadonlySet<string>;
  readonly platform?: NodeJS.Platform;
  /** The shell of the account in the passwd file; null if there is none. */
  readonly accountShell?: () => string | null;
  readonly isExecutable?: (path: string) => boolean;
}

/** Tried after `--shells`; on Unix the shell of the account comes before these. */
const usual = {
  unix: ["bash", "zsh", "fish", "ash", "dash", "ksh", "sh"],
  windows: ["pwsh", "powershell", "cmd", "bash"],
} as const;

/** Shells in the passwd file that exist to keep people out; a CI account often has one. */
const refusing: ReadonlySet<string> = new Set(["nologin", "false", "true"]);

/** Where a job without PATH has its programs. */
const usualPath = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/** The first shell there is. Throws CONVERGE_NO_SHELL, naming all that were tried. */
export function findShell(search: ShellSearch): Shell {
  const platform = search.platform ?? process.platform;
  const { basename } = platform === "win32" ? win32 : posix;
  const wanted = [...search.first, ...accountShells(search, platform), ...names(platform)];
  for (const name of wanted) {
    const path = lookUp(name, search, platform);
    if (path) return { path, name: basename(path).replace(/\.(exe|com|bat|cmd)$/i, "") };
  }
  throw new ConvergeError("CONVERGE_NO_SHELL", [...search.first, ...names(platform)].join(", "));
}

function names(platform: NodeJS.Platform): readonly string[] {
  return platform === "win32" ? usual.windows : usual.unix;
}

/** `$SHELL`, then the passwd entry; only paths, and none that turns people away. */
function accountShells(search: ShellSearch, platform: NodeJS.Platform): string[] {
  if (platform === "win32") return [];
  const found = [search.env["SHELL"], (search.accountShell ?? passwdShell)()];
  return found
    .filter((path) => typeof path === "string")
    .filter((path) => posix.isAbsolute(path) && !refusing.has(posix.basename(path)));
}

function passwdShell(): string | null {
  try {
    return userInfo().shell;
  } catch {
    return null; // a container may run under a number that has no passwd entry
  }
}

/** The absolute path of a shell, or null. Relative paths and relative PATH folders count for nothing. */
function lookUp(name: string, search: ShellSearch, platform: NodeJS.Platform): string | null {
  const { isAbsolute, join, delimiter } = platform === "win32" ? win32 : posix;
  const isProgram = search.isExecutable ?? canExecute;
  const isExecutable = (path: string): boolean => !search.passedOver?.has(path) && isProgram(path);
  if (isAbsolute(name)) return isExecutable(name) ? name : null;
  if (name === "" || /[/\\]/.test(name)) return null;
  const folders = (variable(search.env, "PATH", platform) ?? usualPath)
    .split(delimiter)
    .filter(isAbsolute);
  const endings = platform === "win32" ? windowsEndings(name, search.env) : [""];
  const paths = folders.flatMap((folder) => endings.map((ending) => join(folder, name + ending)));
  return paths.find(isExecutable) ?? null;
}

/** What may follow a name on Windows: PATHEXT, or nothing if the name has an ending already. */
function windowsEndings(name: string, env: Environment): string[] {
  if (win32.extname(name) !== "") return [""];
  return (variable(env, "PATHEXT", "win32") ?? ".COM;.EXE;.BAT;.CMD").toLowerCase().split(";");
}

/** A variable; on Windows its name may be written in any case, as in "Path". */
function variable(env: Environment, name: string, platform: NodeJS.Platform): string | undefined {
  if (platform !== "win32") return env[name];
  return Object.entries(env).find(([key]) => key.toUpperCase() === name)?.[1];
}

/** Whether there is a program of that path that we may start. */
export function canExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Arguments for an interactive shell. Unlike sshd's it is no login shell: /etc/profile would replace
 * the job's own PATH. On a terminal it is interactive by itself.
 */
export function interactiveArgs(shell: Shell): string[] {
  const name = shell.name.toLowerCase();
  return name === "pwsh" || name === "powershell" ? ["-NoLogo"] : [];
}

/**
 * Arguments that make the shell run one command, which is handed over unread. cmd.exe takes
 * everything within the outer quotes, so its arguments must reach it without further quoting.
 */
export function commandArgs(shell: Shell, command: string): string[] {
  switch (shell.name.toLowerCase()) {
    case "pwsh":
    case "powershell":
      return ["-NoLogo", "-NoProfile", "-Command", command];
    case "cmd":
      return ["/d", "/s", "/c", `"${command}"`];
    default:
      return ["-c", command];
  }
}

/**
 * Argument room: whether the system takes so many arguments and variables for a new program. Node says
 * E2BIG, but the addon for terminals forks first and has nobody to tell. It starts nothing.
 */
import { readFileSync } from "node:fs";
import { win32 } from "node:path";

/** What a person reads, behind the name of the program. */
export const tooLong = "the command, or its environment, is longer than this system allows";

export interface Room {
  /** Bytes of one argument or variable with its NUL. */
  readonly each: number;
  /** Bytes of all of them together, and eight for a pointer to each. */
  readonly all: number;
}

/** Linux's MAX_ARG_STRLEN with pages of 4 KiB, execve(2). */
const eachOnLinux = 131_072;
/** execve(2): a quarter of the stack's soft limit, from 128 KiB to three quarters of 8 MiB. */
const allOnLinux = { least: 131_072, most: 6_291_456 } as const;
/** macOS's ARG_MAX. */
const allOnMacos = 1_048_576;

/** The room on a system; `limits` is what Linux says of ours in /proc/self/limits. */
export function roomOn(platform: NodeJS.Platform, limits: string): Room {
  if (platform !== "linux") return { each: allOnMacos, all: allOnMacos };
  const stack = Number(/^Max stack size\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  const { least, most } = allOnLinux;
  return { each: eachOnLinux, all: Math.min(most, Math.max(least, Math.floor(stack / 4))) };
}

/** Whether a program with its arguments and its environment fits in. */
export function fits(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  room: Room,
): boolean {
  const texts = [...words, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const sizes = texts.map((text) => Buffer.byteLength(text) + 1);
  // The path of the program is there once more.
  const all = sizes.reduce((sum, size) => sum + size + 8, sizes[0] ?? 0);
  return all <= room.all && sizes.every((size) => size <= room.each);
}

/** Characters of a command line: CreateProcess takes so many with the NUL, cmd fewer. */
const lineOnWindows = { all: 32_766, cmd: 8_191 } as const;

/** Whether Windows takes the words as one line; what quoting adds is not counted. */
export function fitsOnWindows(words: readonly string[]): boolean {
  const isCmd = win32.basename(words[0] ?? "").toLowerCase() === "cmd.exe";
  return words.join(" ").length <= (isCmd ? lineOnWindows.cmd : lineOnWindows.all);
}

/** The room that this program's children have. */
export function roomHere(): Room {
  return roomOn(process.platform, limitsHere());
}

function limitsHere(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return ""; // no /proc: the most that any Linux takes
  }
}

/**
 * Proc: what Linux tells about its processes under /proc, for finding those of a session.
 *
 * Elsewhere there is no /proc and every answer is "nothing known". It signals nobody.
 */
import { readdirSync, readFileSync } from "node:fs";

/** One process, as the kernel sees it at this moment. */
export interface Stat {
  readonly pid: number;
  /** One letter, see proc(5); "Z" has ended already and only waits for its parent. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** The foreground group of its terminal, -1 without one. */
  readonly foreground: number;
  /** Clock ticks since boot; with the pid it names a process for good. */
  readonly startTime: string;
}

/** The stat of one process, or null if there is no such process (or no /proc). */
export function statOf(pid: number): Stat | null {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  // The command, in parentheses, may itself hold spaces and parentheses.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent, group, session, , foreground] = fields;
  return {
    pid,
    state,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    foreground: Number(foreground),
    startTime: fields[19] ?? "",
  };
}

/** Every process there is, those that have only ended left out. */
export function allStats(): Stat[] {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== null)
    .filter(({ state }) => state !== "Z" && state !== "X");
}

/** Whether a process was started with exactly this `NAME=value` in its environment. */
export function wasStartedWith(pid: number, pair: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(pair);
  } catch {
    return false; // gone, or another user's
  }
}

/**
 * Open files: how many this process may have open at once, sockets among them. Who gets how many of
 * them is decided elsewhere.
 */
import { readFileSync } from "node:fs";

/**
 * The soft limit in the text of `/proc/self/limits` (proc_pid_limits(5)), which Node raises to the
 * hard one when it starts; infinite when it says so, and where there is no such line.
 */
export function openFilesIn(limits: string): number {
  const [, soft = ""] = /^Max open files +(\d+) /m.exec(limits) ?? [];
  return soft === "" ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Of this process; infinite on systems that do not tell. */
export function openFilesMost(): number {
  try {
    return openFilesIn(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

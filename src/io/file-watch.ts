/**
 * File watch: looks once a second whether files are still what they were, for watching by event
 * misses renames over a mount. It looks without opening them, and does not know what is in them.
 */
import { stat } from "node:fs/promises";
import { type Clock, every } from "../actors/clock.ts";
import { reasonOf } from "../actors/errors.ts";

/** How often files are looked at. */
const lookMs = 1_000;

export interface FileWatch {
  /** Resolves when each file was looked at for the first time. Never rejects. */
  readonly ready: Promise<void>;
  close(): void;
}

/** Differs after every save; rejects as `stat` does when there is nothing to look at. */
export async function markOf(path: string): Promise<string> {
  const { mtimeNs, size, ino } = await stat(path, { bigint: true });
  return `${mtimeNs}:${size}:${ino}`;
}

/**
 * Looks at the files now, and calls `changed` whenever one of them is another than at the look
 * before: saved, made, gone, or not to be looked at for another reason. `see` says what a file is,
 * as a text that differs after every save, and may take its time; it looks on once that is over.
 */
export function watchFiles(
  paths: readonly string[],
  clock: Clock,
  changed: () => void,
  see: (path: string) => Promise<string | null> = markOf,
): FileWatch {
  let last: string | null = null;
  let isLooking = false;
  let isClosed = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const marks = await Promise.all(paths.map((path) => see(path).catch(reasonOf)));
    isLooking = false;
    const now = JSON.stringify(marks);
    const isOther = last !== null && now !== last;
    last = now;
    if (isOther && !isClosed) changed();
  };
  const ready = look();
  const stop = every(clock, lookMs, () => void look());
  return {
    ready,
    close: () => {
      isClosed = true;
      stop();
    },
  };
}

/**
 * Line budget: how many lines of a kind one side may cause in a minute. What is above that is counted,
 * and the count is a line when the minute is over. It knows neither the lines nor who causes them.
 */
import type { Clock } from "../actors/clock.ts";
import type { Log } from "../actors/ports.ts";

const minuteMs = 60_000;
/** Who has lines of their own in a minute, each reason apart; all others are counted together. */
export const keysMost = 1_000;
const others = "others";

/** A line that is about to be written: its message, who caused it, why, and how many there may be. */
export interface SpentLine {
  readonly line: string;
  readonly from: string;
  readonly reason: string | null;
  readonly most: number;
}

export interface LineBudget {
  /** Whether it may be written; if not it was counted. */
  may(line: SpentLine): boolean;
  /** Tells what was counted; from now on everything may be written. */
  close(): void;
}

export function openLineBudget(log: Log, clock: Clock): LineBudget {
  const entries = new Map<string, { spent: SpentLine; written: number; leftOut: number }>();
  let minute: unknown = null;
  let isClosed = false;
  const tell = (): void => {
    minute = null;
    for (const { spent, leftOut: times } of entries.values()) {
      const { line, reason, from } = spent;
      if (times > 0) log.info({ line, reason, from, times }, "lines left out");
    }
    entries.clear();
  };
  const keyOf = ({ line, reason }: SpentLine, from: string): string =>
    `${line}\n${reason}\n${from}`;
  return {
    may: (spent) => {
      if (isClosed) return true;
      minute ??= clock.setTimeout(tell, minuteMs);
      const isKnown = entries.has(keyOf(spent, spent.from));
      const from = isKnown || entries.size < keysMost ? spent.from : others;
      const key = keyOf(spent, from);
      const entry = entries.get(key) ?? { spent: { ...spent, from }, written: 0, leftOut: 0 };
      entries.set(key, entry);
      const may = from !== others && entry.written < spent.most;
      if (may) entry.written += 1;
      else entry.leftOut += 1;
      return may;
    },
    close: () => {
      isClosed = true;
      clock.clearTimeout(minute);
      tell();
    },
  };
}

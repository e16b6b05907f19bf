/**
 * Fact lines: a relay's facts as lines of its log, and what keeps anybody from filling it. What can
 * be caused without a login gets a line the first times in a minute; after that it is counted, and
 * the count is a line when the minute is over. It counts for the log only: metrics have each one.
 */
import type { Clock } from "../actors/clock.ts";
import type { RelayFact } from "../actors/facts.ts";
import type { Log } from "../actors/ports.ts";
import { holderOf } from "./holder.ts";
import { writeFact } from "./log.ts";

/** Lines in a minute about one holder being turned away for one reason: they are all alike. */
export const refusalsMost = 5;
/** And about its sessions of which nobody has logged in, or about what an agent says of itself. */
export const sessionsMost = 30;
const minuteMs = 60_000;
/** Who has lines of their own in a minute, each reason apart; all others are counted together. */
export const keysMost = 1_000;
const others = "others";

/** What a fact is counted by, once there are `most`; null for one that is always told. */
interface Kind {
  readonly from: string;
  readonly reason: string | null;
  readonly most: number;
}

function kindOf(fact: RelayFact): Kind | null {
  switch (fact.type) {
    case "connection refused":
      return { from: holderOf(fact.address), reason: fact.reason, most: refusalsMost };
    case "control message malformed":
      return { from: holderOf(fact.address), reason: null, most: refusalsMost };
    case "client session started":
    case "client session joined":
      return { from: holderOf(fact.client), reason: null, most: sessionsMost };
    case "client session ended":
      if (fact.login) return null; // the one line that has all of a session
      return { from: holderOf(fact.client), reason: fact.outcome, most: sessionsMost };
    case "agent warned":
    case "agent held":
      return { from: fact.id, reason: null, most: sessionsMost };
    default:
      return null;
  }
}

interface Entry {
  readonly line: RelayFact["type"];
  readonly reason: string | null;
  readonly from: string;
  written: number;
  leftOut: number;
}

export interface FactLines {
  write(fact: RelayFact): void;
  /** Tells what was counted; what still comes is written as it is. */
  close(): void;
}

export function openFactLines(log: Log, clock: Clock): FactLines {
  const entries = new Map<string, Entry>();
  let minute: unknown = null;
  let isClosed = false;
  const tell = (): void => {
    minute = null;
    for (const { line, reason, from, leftOut: times } of entries.values())
      if (times > 0) log.info({ line, reason, from, times }, "lines left out");
    entries.clear();
  };
  const entryOf = (line: RelayFact["type"], { reason, from }: Kind): Entry => {
    const keyOf = (whose: string): string => `${line}\n${reason}\n${whose}`;
    const own = entries.get(keyOf(from));
    if (own) return own;
    const whose = entries.size < keysMost ? from : others;
    const entry = entries.get(keyOf(whose)) ?? {
      line,
      reason,
      from: whose,
      written: 0,
      leftOut: 0,
    };
    entries.set(keyOf(whose), entry);
    return entry;
  };
  return {
    write: (fact) => {
      const kind = isClosed ? null : kindOf(fact);
      if (!kind) return writeFact(log, fact);
      minute ??= clock.setTimeout(tell, minuteMs);
      const entry = entryOf(fact.type, kind);
      if (entry.from === others || entry.written >= kind.most) {
        entry.leftOut += 1;
        return;
      }
      entry.written += 1;
      writeFact(log, fact);
    },
    close: () => {
      isClosed = true;
      clock.clearTimeout(minute);
      tell();
    },
  };
}

/**
 * Fact lines: a relay's facts as lines of its log, and what keeps anybody from filling it. What can
 * be caused without a login gets a line the first times in a minute; after that it is counted, and
 * the count is a line when the minute is over. It counts for the log only: metrics have each one.
 */
import type { Clock } from "../../actors/clock.ts";
import type { RelayFact } from "../../actors/observe/facts.ts";
import type { Log } from "../../actors/ports.ts";
import { holderOf } from "../holder.ts";
import { openLineBudget } from "../line-budget.ts";

/** A fact as its line: what happened is the message, its nouns are the fields. */
export function writeFact(log: Log, { type, ...fields }: RelayFact): void {
  if (type === "control message malformed") log.warn(fields, type);
  else log.info(fields, type);
}

/** Lines in a minute about one holder being turned away for one reason: they are all alike. */
export const refusalsMost = 5;
/** And about its sessions of which nobody has logged in, or about what an agent says of itself. */
export const sessionsMost = 30;

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
    case "client detached":
      return { from: fact.id, reason: null, most: sessionsMost };
    case "client resumed":
      return { from: holderOf(fact.client), reason: null, most: sessionsMost };
    default:
      return null;
  }
}

export interface FactLines {
  write(fact: RelayFact): void;
  /** Tells what was counted; what still comes is written as it is. */
  close(): void;
}

export function openFactLines(log: Log, clock: Clock): FactLines {
  const budget = openLineBudget(log, clock);
  return {
    write: (fact) => {
      const kind = kindOf(fact);
      if (!kind || budget.may({ line: fact.type, ...kind })) writeFact(log, fact);
    },
    close: budget.close,
  };
}

/**
 * Live roster: the relay's rows as a stream of changes for those who watch, at most one a second
 * however much happens. It knows no browser; while nobody watches it does nothing.
 */
import { defer, filter, from, map, merge, type Observable, share, throttle } from "rxjs";
import type { RendezvousId } from "../machines/vocabulary.ts";
import { ticks } from "./activity.ts";
import { type Census, census } from "./census.ts";
import type { Clock } from "./clock.ts";
import type { RelayActor } from "./relay.ts";
import { type AgentRow, type BytesOf, roster } from "./roster.ts";

/** What became different; `isWhole` when `rows` are all there are. */
export interface RosterChanges {
  /** The relay's wall clock, so that a countdown needs no other. */
  readonly at: string;
  readonly isWhole: boolean;
  readonly rows: readonly AgentRow[];
  readonly gone: readonly RendezvousId[];
}

export interface LiveRoster {
  /** All rows as they are. */
  now(): RosterChanges;
  /** How many there are, which is cheaper than all rows. */
  census(): Census;
  /** Complete rows of what changed; the same stream for everybody. */
  readonly changes: Observable<RosterChanges>;
}

/** The least time between two changes. */
export const changesMs = 1_000;

export function liveRoster(actor: RelayActor, clock: Clock, bytesOf: BytesOf): LiveRoster {
  const rowsNow = (): AgentRow[] => roster(actor.getSnapshot(), clock.wall(), bytesOf);
  const at = (): string => new Date(clock.wall()).toISOString();

  const changes = defer(() => {
    let known = new Map<RendezvousId, string>();
    const compare = (rows: readonly AgentRow[]): RosterChanges => {
      const texts = new Map(rows.map((row) => [row.id, JSON.stringify(row)]));
      const changed = rows.filter((row) => known.get(row.id) !== texts.get(row.id));
      const gone = [...known.keys()].filter((id) => !texts.has(id));
      known = texts;
      return { at: at(), isWhole: false, rows: changed, gone };
    };
    compare(rowsNow());
    // Bytes, a pairing's own steps and an expiry do not pass the relay machine.
    return merge(from(actor), ticks(clock, changesMs)).pipe(
      throttle(() => ticks(clock, changesMs), { leading: true, trailing: true }),
      map(() => compare(rowsNow())),
      filter(({ rows, gone }) => rows.length + gone.length > 0),
    );
  }).pipe(share());

  return {
    now: () => ({ at: at(), isWhole: true, rows: rowsNow(), gone: [] }),
    census: () => census(actor.getSnapshot()),
    changes,
  };
}

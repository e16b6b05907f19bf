/**
 * Live roster: one page of the relay's rows as a stream of changes for those who watch it, at most
 * one a second however much happens. It knows no browser; what nobody watches costs nothing.
 */
import { defer, filter, finalize, map, type Observable, share } from "rxjs";
import type { RendezvousId } from "../../machines/vocabulary.ts";
import { ticks } from "../activity.ts";
import type { Clock } from "../clock.ts";
import type { RelayActor } from "../relay.ts";
import { type Gauges, gauges } from "./gauges.ts";
import { type History, openHistory } from "./history.ts";
import {
  type AgentRow,
  type BytesOf,
  type RosterPage,
  type RosterView,
  rosterPage,
} from "./roster.ts";

/** What became different of a page; `isWhole` when `rows` are all of it. */
export interface RosterChanges extends RosterPage {
  /** The relay's wall clock, so that a countdown needs no other. */
  readonly at: string;
  readonly isWhole: boolean;
  /** Those that are not on the page any more. */
  readonly gone: readonly RendezvousId[];
  /** Of the whole only: how many there were in the last hours. */
  readonly history: History | null;
}

export interface LiveRoster {
  /** A page as it is. */
  now(view: RosterView): RosterChanges;
  /** How many there are, which is cheaper than rows. */
  gauges(): Gauges;
  /** Complete rows of what changed; the same stream for everybody who watches the same. */
  changes(view: RosterView): Observable<RosterChanges>;
}

/** The least time between two changes. */
export const changesMs = 1_000;

/** A row as it was last looked at. */
interface Known {
  readonly row: AgentRow;
  readonly text: string;
}

/** What it says now; a row that is the same object says the same, and is not rendered again. */
const seenAs = (row: AgentRow, before: Known | undefined): Known =>
  before?.row === row ? before : { row, text: JSON.stringify(row) };

export function liveRoster(actor: RelayActor, clock: Clock, bytesOf: BytesOf): LiveRoster {
  const history = openHistory(actor, clock);
  const look = (view: RosterView): RosterChanges => ({
    at: new Date(clock.wall()).toISOString(),
    isWhole: true,
    gone: [],
    history: null,
    ...rosterPage(actor.getSnapshot().context, view, clock.wall(), bytesOf),
  });
  /** Those that somebody watches. */
  const watched = new Map<string, Observable<RosterChanges>>();
  const changesOf = (view: RosterView): Observable<RosterChanges> =>
    defer(() => {
      let known = new Map<RendezvousId, Known>();
      let knownCounts = "";
      const compare = (page: RosterChanges): RosterChanges & { isNews: boolean } => {
        const { rows, found, total, clients, pages } = page;
        const seen = new Map(rows.map((row) => [row.id, seenAs(row, known.get(row.id))]));
        const changed = rows.filter(({ id }) => known.get(id)?.text !== seen.get(id)?.text);
        const gone = [...known.keys()].filter((id) => !seen.has(id));
        const counts = [found, total, clients, pages].join();
        const isNews = changed.length + gone.length > 0 || counts !== knownCounts;
        known = seen;
        knownCounts = counts;
        return { ...page, isWhole: false, rows: changed, gone, isNews };
      };
      compare(look(view));
      return ticks(clock, changesMs).pipe(
        map(() => compare(look(view))),
        filter(({ isNews }) => isNews),
        map(({ isNews: _, ...changes }) => changes),
      );
    });

  return {
    now: (view) => ({ ...look(view), history: history() }),
    gauges: () => gauges(actor.getSnapshot()),
    changes: (view) => {
      const key = `${view.page} ${view.order} ${view.search}`;
      const shared =
        watched.get(key) ??
        changesOf(view).pipe(
          finalize(() => watched.delete(key)),
          share(),
        );
      watched.set(key, shared);
      return shared;
    },
  };
}

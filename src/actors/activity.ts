/**
 * Activity: from bytes that flow to "somebody is there".
 *
 * The data path only adds to a Meter. Once a second the meter is read here, so the machines hear
 * of activity at most that often, however fast bytes flow.
 */
import { filter, map, Observable } from "rxjs";
import { type Clock, every } from "./clock.ts";

/** How often meters are read, and so how late activity may be noticed. */
export const sampleMs = 1_000;

/** What the hot path does with a meter, and all that it does. */
export type Metering = Pick<Meter, "add">;

/** Counts bytes that are activity. */
export class Meter {
  #count = 0;
  add(n: number): void {
    this.#count += n;
  }
  /** What was counted since the last call. */
  take(): number {
    const n = this.#count;
    this.#count = 0;
    return n;
  }
}

/** Fires every `everyMs` on the given clock for as long as somebody subscribes. */
export function ticks(clock: Clock, everyMs: number): Observable<void> {
  return new Observable((out) => every(clock, everyMs, () => out.next()));
}

/** Emits the clock's reading once a second when the meter has moved. */
export function activity(meter: Meter, clock: Clock): Observable<number> {
  return ticks(clock, sampleMs).pipe(
    filter(() => meter.take() > 0),
    map(() => clock.now()),
  );
}

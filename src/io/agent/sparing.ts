/**
 * Sparing: what a peer may say as often as it likes is handed on once a second at most, the latest
 * of it, with how many there were. It knows nothing of what is said.
 */
import type { Clock } from "../../actors/clock.ts";

/** From one to the next. */
export const sparingMs = 1_000;

export interface Sparing<T> {
  take(item: T): void;
  /** Drops what is still held back. */
  close(): void;
}

/** `act` gets the first at once, and `times` is 1; of those that come within a second the last, at its end. */
export function sparing<T>(clock: Clock, act: (latest: T, times: number) => void): Sparing<T> {
  let held: { latest: T; times: number } | null = null;
  let timer: unknown = null;
  const handOn = (latest: T, times: number): void => {
    timer = clock.setTimeout(() => {
      timer = null;
      const due = held;
      held = null;
      if (due) handOn(due.latest, due.times);
    }, sparingMs);
    act(latest, times);
  };
  return {
    take: (latest) => {
      if (timer === null) handOn(latest, 1);
      else held = { latest, times: (held?.times ?? 0) + 1 };
    },
    close: () => {
      if (timer !== null) clock.clearTimeout(timer);
    },
  };
}

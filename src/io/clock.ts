/** The machine's own time, as a Clock. No other file of the programs reads it. */
import type { Clock } from "../actors/clock.ts";

/** A Node timer set for longer than this fires at once. */
export const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimeout: (fn, ms) => setTimeout(fn, Math.min(ms, longestTimerMs)),
  clearTimeout: (id) => clearTimeout(id),
};

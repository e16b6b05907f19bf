/** Walk: XState's SimulatedClock does not stop at the timers it passes, so it is moved in small steps. */
import type { SimulatedClock } from "xstate";

export function walk(clock: SimulatedClock, ms: number, stepMs = 1_000): void {
  for (let gone = 0; gone < ms; gone += stepMs) clock.increment(Math.min(stepMs, ms - gone));
}

/**
 * Bucket: how often something may happen. It knows neither what nor what becomes of too much.
 */
import type { Clock } from "../../../actors/clock.ts";

/** Says whether one more may happen now: `most` at once, and `perSecond` in the long run. */
export function bucket(clock: Clock, most: number, perSecond: number): () => boolean {
  let left = most;
  let filledAt = clock.now();
  return () => {
    const now = clock.now();
    left = Math.min(most, left + ((now - filledAt) / 1_000) * perSecond);
    filledAt = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}

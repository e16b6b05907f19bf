/**
 * Misses: how often an address has asked for an id that nobody has. Guessing ids opens nothing, and
 * is not to be cheap either. It knows holders, no ids.
 */
import type { Clock } from "../../../actors/clock.ts";
import type { Holder } from "../../../machines/vocabulary.ts";

/** So many at once, and again so many in each minute. */
export const missesMost = 20;
const perMs = missesMost / 60_000;
/** Addresses that are remembered; beyond, the one that was quiet longest is forgotten. */
const addressesMost = 10_000;

export interface Misses {
  /** Whether the address may still ask. */
  mayAsk(holder: Holder): boolean;
  note(holder: Holder): void;
}

export function openMisses(clock: Clock): Misses {
  const seen = new Map<Holder, { left: number; atMs: number }>();
  const leftOf = (holder: Holder): number => {
    const { left, atMs } = seen.get(holder) ?? { left: missesMost, atMs: clock.now() };
    return Math.min(missesMost, left + (clock.now() - atMs) * perMs);
  };
  return {
    mayAsk: (holder) => leftOf(holder) >= 1,
    note: (holder) => {
      const left = Math.max(0, leftOf(holder) - 1);
      seen.delete(holder); // and in again as the newest
      seen.set(holder, { left, atMs: clock.now() });
      const [oldest] = seen.keys();
      if (seen.size > addressesMost && oldest !== undefined) seen.delete(oldest);
    },
  };
}

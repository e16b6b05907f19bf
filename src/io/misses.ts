/**
 * Misses: how often an address has asked for an id that nobody has. Guessing ids opens nothing, and
 * is not to be cheap either. It knows addresses, no ids.
 */
import type { Clock } from "../actors/clock.ts";

/** So many at once, and again so many in each minute. */
export const missesMost = 20;
const perMs = missesMost / 60_000;
/** Addresses that are remembered; beyond, the one that was quiet longest is forgotten. */
const addressesMost = 10_000;

export interface Misses {
  /** Whether the address may still ask. */
  mayAsk(address: string): boolean;
  note(address: string): void;
}

export function openMisses(clock: Clock): Misses {
  const seen = new Map<string, { left: number; atMs: number }>();
  const leftOf = (address: string): number => {
    const { left, atMs } = seen.get(address) ?? { left: missesMost, atMs: clock.now() };
    return Math.min(missesMost, left + (clock.now() - atMs) * perMs);
  };
  return {
    mayAsk: (address) => leftOf(address) >= 1,
    note: (address) => {
      const left = Math.max(0, leftOf(address) - 1);
      seen.delete(address); // and in again as the newest
      seen.set(address, { left, atMs: clock.now() });
      const [oldest] = seen.keys();
      if (seen.size > addressesMost && oldest !== undefined) seen.delete(oldest);
    },
  };
}

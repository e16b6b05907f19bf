/**
 * Rates: how often something may happen, or how much of it, as a token bucket; and one bucket for
 * each of many. It knows neither what is counted nor what becomes of too much.
 */
import type { Clock } from "../../../actors/clock.ts";

export interface Rate {
  /** At once. */
  readonly most: number;
  /** In the long run. */
  readonly perSecond: number;
}

export class Bucket {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #left: number;
  #filledAtMs: number;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#left = rate.most;
    this.#filledAtMs = clock.now();
  }

  /** What may be had now; less than nothing after more was paid than there was. */
  get left(): number {
    const { most, perSecond } = this.#rate;
    const now = this.#clock.now();
    this.#left = Math.min(most, this.#left + ((now - this.#filledAtMs) / 1_000) * perSecond);
    this.#filledAtMs = now;
    return this.#left;
  }

  /** Takes one, if there is one. */
  take(): boolean {
    if (this.left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** Takes so much, whether it is there or not; returns what is left. */
  pay(amount: number): number {
    this.#left = this.left - amount;
    return this.#left;
  }
}

/** Keys that are remembered; beyond, the one that was quiet longest is forgotten. */
const keysMost = 10_000;

/** A bucket for each key, all of one rate. */
export class Buckets<Key> {
  readonly #clock: Clock;
  readonly #rate: Rate;
  readonly #buckets = new Map<Key, Bucket>();

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
  }

  /** For whoever takes from it: the key is the latest that was not quiet. */
  of(key: Key): Bucket {
    const bucket = this.#buckets.get(key) ?? new Bucket(this.#clock, this.#rate);
    this.#buckets.delete(key); // and in again as the newest
    this.#buckets.set(key, bucket);
    const [quietest] = this.#buckets.keys();
    if (this.#buckets.size > keysMost && quietest !== undefined) this.#buckets.delete(quietest);
    return bucket;
  }

  /** What a key may have now; only to look is not to make oneself heard. */
  leftOf(key: Key): number {
    return this.#buckets.get(key)?.left ?? this.#rate.most;
  }
}

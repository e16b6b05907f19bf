/**
 * Endings: of ids whose agents left in order, when and why, for people who come too late. It is kept
 * for an hour, of so many at most, and reads no clock.
 */
import type { Ending, RendezvousId } from "./vocabulary.ts";

export interface PastEnding {
  /** Wall clock. */
  readonly atMs: number;
  /** Null when the agent did not say. */
  readonly kind: Ending["kind"] | null;
}

const keptMs = 60 * 60_000;
const keptMost = 10_000;

/** Changes in place, as pairings do. */
export class Endings {
  /** In the order of their ends. */
  readonly #endings = new Map<RendezvousId, PastEnding>();

  /** The oldest is forgotten when there are too many. */
  note(id: RendezvousId, ending: PastEnding): void {
    this.forget(id);
    this.#endings.set(id, ending);
    const [oldest] = this.#endings.keys();
    if (this.#endings.size > keptMost && oldest !== undefined) this.forget(oldest);
  }

  /** Null for an id that has no ending, or none within the hour. */
  of(id: RendezvousId, nowMs: number): PastEnding | null {
    const ending = this.#endings.get(id);
    return ending && nowMs - ending.atMs < keptMs ? ending : null;
  }

  /** Somebody has the id again. */
  forget(id: RendezvousId): void {
    this.#endings.delete(id);
  }
}

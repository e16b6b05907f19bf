/**
 * Sorted ids: a set of ids in their order, for whoever shows them page by page. To add one costs a
 * search and a shift of the rest, which is far less than to sort thousands each time they are shown.
 */
import type { RendezvousId } from "./vocabulary.ts";

export class SortedIds {
  readonly #ids: RendezvousId[] = [];

  /** In order; it goes on changing. */
  get all(): readonly RendezvousId[] {
    return this.#ids;
  }

  add(id: RendezvousId): void {
    const at = this.#placeOf(id);
    if (this.#ids[at] !== id) this.#ids.splice(at, 0, id);
  }

  delete(id: RendezvousId): void {
    const at = this.#placeOf(id);
    if (this.#ids[at] === id) this.#ids.splice(at, 1);
  }

  /** Where it is, or would be. */
  #placeOf(id: RendezvousId): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] ?? "") < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

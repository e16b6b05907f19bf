/**
 * Sorted: things that have an id, in the order of their ids, for whoever shows them page by page. To
 * add one costs a search and a shift of the rest, which is far less than to sort thousands each time
 * they are shown.
 */
import type { RendezvousId } from "./vocabulary.ts";

export class Sorted<Item extends { readonly id: RendezvousId }> {
  readonly #items: Item[] = [];

  /** In order; it goes on changing. */
  get all(): readonly Item[] {
    return this.#items;
  }

  /** In the place of the one with its id, if there is one. */
  put(item: Item): void {
    const at = this.#placeOf(item.id);
    if (this.#items[at]?.id === item.id) this.#items[at] = item;
    else this.#items.splice(at, 0, item);
  }

  delete(id: RendezvousId): void {
    const at = this.#placeOf(id);
    if (this.#items[at]?.id === id) this.#items.splice(at, 1);
  }

  /** Where it is, or would be. */
  #placeOf(id: RendezvousId): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#items[middle]?.id ?? "") < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

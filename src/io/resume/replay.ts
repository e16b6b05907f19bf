/**
 * Replay: what was sent over a stream and the other side has not taken yet, by reference, so that it
 * can be sent again. Its places count the stream's bytes from its start. It knows no link.
 */

/** Bytes that were sent as one. Nobody may change them while they are kept. */
export interface Sent {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
}

/** What keeping a part costs beside its bytes: a million parts of one byte each are not a megabyte. */
const partBytes = 96;
const firstSlots = 16;

export class Replay {
  /** All before it was taken, and is gone from here. */
  #freed = 0;
  #sent = 0;
  /** What it costs to keep all that is kept. */
  #cost = 0;
  /** A ring of a power of two, so that neither end is ever shifted. */
  #slots: (Sent | undefined)[] = new Array(firstSlots);
  #first = 0;
  #count = 0;
  /** Where the first of them begins: some of it may be taken already. */
  #firstAt = 0;

  /** Where the next byte will stand. */
  get sent(): number {
    return this.#sent;
  }

  /** The first that was not taken. */
  get freed(): number {
    return this.#freed;
  }

  /** Bytes of memory, and not only those of the stream. */
  get cost(): number {
    return this.#cost;
  }

  push(sent: Sent): void {
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[(this.#first + this.#count) & (this.#slots.length - 1)] = sent;
    this.#count += 1;
    this.#sent += sent.length;
    this.#cost += costOf(sent);
  }

  /** All before `place` was taken. False, and nothing changes, for a place that cannot be. */
  free(place: number): boolean {
    if (place < this.#freed || place > this.#sent) return false;
    this.#freed = place;
    while (this.#count > 0) {
      const sent = this.#slots[this.#first];
      if (!sent || this.#firstAt + sent.length > place) break;
      this.#slots[this.#first] = undefined;
      this.#first = (this.#first + 1) & (this.#slots.length - 1);
      this.#firstAt += sent.length;
      this.#count -= 1;
      this.#cost -= costOf(sent);
    }
    return true;
  }

  /** All that was not taken, in its order, and cut where it was. */
  left(): Sent[] {
    const all: Sent[] = [];
    let at = this.#firstAt;
    for (let n = 0; n < this.#count; n += 1) {
      const sent = this.#slots[(this.#first + n) & (this.#slots.length - 1)];
      if (!sent) continue;
      all.push(at < this.#freed ? without(sent, this.#freed - at) : sent);
      at += sent.length;
    }
    return all;
  }

  /** Nothing will be sent again. */
  clear(): void {
    this.#slots = new Array(firstSlots);
    this.#first = this.#count = this.#cost = 0;
    this.#firstAt = this.#freed = this.#sent;
  }

  #grow(): void {
    const { length } = this.#slots;
    const slots: (Sent | undefined)[] = new Array(length * 2);
    for (let n = 0; n < length; n += 1) slots[n] = this.#slots[(this.#first + n) & (length - 1)];
    this.#slots = slots;
    this.#first = 0;
  }
}

const costOf = ({ parts, length }: Sent): number => length + partBytes * parts.length;

/** All but its first bytes. */
function without({ parts, length }: Sent, bytes: number): Sent {
  const rest: Uint8Array[] = [];
  let skip = bytes;
  for (const part of parts) {
    if (skip >= part.length) skip -= part.length;
    else {
      rest.push(skip > 0 ? part.subarray(skip) : part);
      skip = 0;
    }
  }
  return { parts: rest, length: length - bytes };
}

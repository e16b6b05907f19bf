/**
 * Tally: how many there are now, by a key. Nothing stays of a key that has none, so it is as small
 * as what it counts. Which number is too many is decided elsewhere.
 */
export interface Tally<Key> {
  of(key: Key): number;
  /** Of all keys together. */
  size(): number;
  /** One more; what it returns takes it away again, once. */
  enter(key: Key): () => void;
}

export function tally<Key>(): Tally<Key> {
  const counts = new Map<Key, number>();
  let size = 0;
  return {
    of: (key) => counts.get(key) ?? 0,
    size: () => size,
    enter: (key) => {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      size += 1;
      let isIn = true;
      return () => {
        if (!isIn) return;
        isIn = false;
        size -= 1;
        const left = (counts.get(key) ?? 0) - 1;
        if (left > 0) counts.set(key, left);
        else counts.delete(key);
      };
    },
  };
}

/**
 * Order: in which rows stand. What a row stands by is made one number, so that tens of thousands are
 * sorted in a millisecond or two, each second, for whoever watches. Pure; the browser sorts the same way.
 */

/** Occupied ones first, and then the newest; the newest; who ends next; by id. */
export const orders = ["active", "newest", "ending", "id"] as const;
export type Order = (typeof orders)[number];

/** What a row stands by; times on the relay's wall clock, null where nobody knows. */
export interface Standing {
  readonly isOccupied: boolean;
  readonly sinceMs: number | null;
  readonly expiresMs: number | null;
}

/** Seconds are counted from here in 30 bits, which is until 2054. */
const epochMs = Date.UTC(2020);
const secondsEnd = 2 ** 30;
/** More rows than there can be: `--max-connections` connected ones, and as many that are lost. */
const rowsEnd = 2 ** 21;

const seconds = (ms: number): number =>
  Math.min(Math.max(0, Math.floor((ms - epochMs) / 1_000)), secondsEnd - 1);

/** Below 2^31, so that with a row's number beside it it is still a whole number (2^52). */
function rankOf(order: Order, { isOccupied, sinceMs, expiresMs }: Standing): number {
  const age = sinceMs === null ? 0 : secondsEnd - 1 - seconds(sinceMs);
  switch (order) {
    case "active":
      return age + (isOccupied ? 0 : secondsEnd);
    case "newest":
      return age;
    case "ending":
      return expiresMs === null ? secondsEnd : seconds(expiresMs);
    case "id":
      return 0;
  }
}

/** Those from place `from` up to `to` of all in that order; `all` are in order of id, and equals stay so. */
export function inOrder<T>(
  all: readonly T[],
  order: Order,
  standingOf: (one: T) => Standing,
  from = 0,
  to = all.length,
): T[] {
  if (order === "id") return all.slice(from, to);
  const keys = Float64Array.from(all, (one, i) => rankOf(order, standingOf(one)) * rowsEnd + i);
  return [...keys.sort().subarray(from, to)].flatMap((key) => all[key % rowsEnd] ?? []);
}

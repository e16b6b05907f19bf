/** Until: waits for something visible, never for time to pass. */

/** Resolves with the first truthy answer of `look`; fails by `what` after a generous limit. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  limitMs = 20_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen as NonNullable<T>;
    if (performance.now() > end) throw new Error(`never seen: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 15);
    });
  }
}

/** Looks in a row that see the same: a third of a second, and longer on a busy machine. */
const looksAlike = 20;

/** Resolves when what `look` sees has not changed for a while. */
export async function stands(what: string, look: () => number): Promise<void> {
  let before = Number.NaN;
  let looks = 0;
  await until(`${what} stands still`, () => {
    const now = look();
    looks = now === before ? looks + 1 : 0;
    before = now;
    return looks >= looksAlike;
  });
}

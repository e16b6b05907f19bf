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

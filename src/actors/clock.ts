/**
 * Clock: time as actors and io know it. XState takes the same object, so a test moves one hand.
 * The real one is made in `io/clock.ts`; nothing else reads the machine's time.
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never jumps. */
  now(): number;
  /** Milliseconds since 1970, to be compared with a file's mtime only. */
  wall(): number;
  /** `name` is for who watches the clock, and must tell the links' pings from all other timers. */
  setTimeout(fn: () => void, ms: number, name?: "ping"): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: an id is whatever this clock handed out
  clearTimeout(id: any): void;
}

/** Calls `act` every so many milliseconds until what it returns is called; `name` as the clock has it. */
export function every(clock: Clock, ms: number, act: () => void, name?: "ping"): () => void {
  let next: unknown;
  const arm = (): void => {
    next = clock.setTimeout(
      () => {
        arm(); // first, so that `act` may stop it
        act();
      },
      ms,
      name,
    );
  };
  arm();
  return () => clock.clearTimeout(next);
}

/** Resolves after so many milliseconds, or at once when the signal aborts meanwhile. Never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clock.clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = clock.setTimeout(wake, ms);
    signal?.addEventListener("abort", wake, { once: true });
  });
}

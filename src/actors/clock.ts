/**
 * Clock: time as actors and io know it. XState takes the same object, so a test moves one hand.
 * The real one is made in `io/clock.ts`; nothing else reads the machine's time.
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never jumps. */
  now(): number;
  /** Milliseconds since 1970, to be compared with a file's mtime only. */
  wall(): number;
  setTimeout(fn: () => void, ms: number): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: an id is whatever this clock handed out
  clearTimeout(id: any): void;
}

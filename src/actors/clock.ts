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

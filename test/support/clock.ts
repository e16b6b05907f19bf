/**
 * Hand clock: real time plus what a test has added by hand. Real sockets and shells go on as
 * ever; ten minutes of silence take as long as a test needs to say so.
 */
import type { Clock } from "../../src/actors/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly fn: () => void;
}

export interface HandClock extends Clock {
  /** Adds time, firing timers in their order and letting sockets answer in between. */
  advance(ms: number): Promise<void>;
  stop(): void;
}

/** How often timers that are due in real time are looked for. */
const tickMs = 5;
/** After so much added time real sockets get a turn. */
const breathMs = 5_000;

/**
 * With `pings` off the links' ping timers never fire: real programs must answer them in real time,
 * and on a busy machine they cannot while a test adds minutes in a moment.
 */
export function handClock({ pings = true } = {}): HandClock {
  const timers = new Map<number, Timer>();
  let added = 0;
  let frozenAt: number | null = null;
  let ids = 0;
  const real = (): number => frozenAt ?? performance.now();
  const now = (): number => real() + added;
  const due = (limit: number): [number, Timer] | undefined =>
    [...timers]
      .filter(([, timer]) => timer.atMs <= limit)
      .sort(([, a], [, b]) => a.atMs - b.atMs)[0];
  const fireUpTo = (limit: number): boolean => {
    const next = due(limit);
    if (!next) return false;
    timers.delete(next[0]);
    next[1].fn();
    return true;
  };
  const ticking = setInterval(() => {
    if (frozenAt === null) while (fireUpTo(now())) {}
  }, tickMs);
  ticking.unref();
  return {
    now,
    wall: () => Date.now() + added,
    setTimeout: (fn, ms, name) => {
      ids += 1;
      if (pings || name !== "ping") timers.set(ids, { atMs: now() + Math.max(0, ms), fn });
      return ids;
    },
    clearTimeout: (id) => timers.delete(id),
    advance: async (ms) => {
      const target = now() + ms;
      frozenAt = performance.now();
      const base = added;
      let breathedAt = now();
      for (;;) {
        const next = due(target);
        if (!next) break;
        added = Math.max(added, next[1].atMs - frozenAt);
        timers.delete(next[0]);
        next[1].fn();
        await new Promise((resolve) => setImmediate(resolve));
        // Pings go over real sockets; their answers need a moment of real time to come back.
        if (now() - breathedAt < breathMs) continue;
        breathedAt = now();
        await new Promise((resolve) => {
          setTimeout(resolve, 2);
        });
      }
      added = base + ms;
      frozenAt = null;
    },
    stop: () => clearInterval(ticking),
  };
}

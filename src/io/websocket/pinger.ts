/**
 * Pinger: pings many links, each every 20 s, and lets go of those whose peer is silent. One timer
 * serves them all, for thousands of timers are memory.
 */

import type { Clock } from "../../actors/clock.ts";
import { confine, type NoteFault } from "../../actors/confine.ts";
import { pingTurnMs } from "../protocol/wire.ts";
import { pingFrame, Watch, type Watched } from "./link.ts";

export interface Pinged extends Watched {
  write(frame: Buffer): void;
}

export interface Pinger {
  /** From now on; the watch is what takes it away again. */
  add(link: Pinged): Watch<Pinged>;
  remove(watch: Watch<Pinged>): void;
}

/** A link whose turn cannot be had is let go, and the others have theirs. */
export function openPinger(clock: Clock, note: NoteFault): Pinger {
  /** In the order in which they are due, since all wait equally long. */
  const watches = new Set<Watch<Pinged>>();
  let timer: unknown = null;
  const turn = confine(
    note,
    "ping",
    (watch: Watch<Pinged>, now: number) => {
      if (!watch.look(now)) return;
      watches.add(watch);
      if (watch.link.readyState === watch.link.OPEN) watch.link.write(pingFrame);
    },
    (watch) => {
      watches.delete(watch);
      watch.link.terminate();
    },
  );
  const look = (): void => {
    const now = clock.now();
    for (const watch of watches) {
      if (watch.dueMs > now) break;
      watches.delete(watch);
      turn(watch, now);
    }
    timer = watches.size > 0 ? clock.setTimeout(look, pingTurnMs, "ping") : null;
  };
  return {
    add: (link) => {
      const watch = new Watch(link, clock.now());
      watches.add(watch);
      timer ??= clock.setTimeout(look, pingTurnMs, "ping");
      return watch;
    },
    remove: (watch) => {
      watches.delete(watch);
      if (watches.size > 0) return;
      clock.clearTimeout(timer);
      timer = null;
    },
  };
}

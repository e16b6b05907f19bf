/**
 * Hold file: what `$agentdir/.hold` looks like, once a second and whenever somebody asks.
 * Its name and mtime are all that counts; whether it is a file, a folder or a link to one is not.
 */
import { statSync } from "node:fs";
import { Observable, Subject, share } from "rxjs";
import { type Clock, every } from "../../../actors/clock.ts";
import type { HoldEvent } from "../../../machines/hold.ts";

/** How often the file is looked at. */
const lookMs = 1_000;

export interface HoldFile {
  /** An event for each change that was seen; none for a file left by an earlier job. */
  readonly changes: Observable<HoldEvent>;
  /** Looks now, as at the moment the last client leaves; what is new comes through `changes`. */
  look(): void;
  /** Whether it was there at the last look; an editor that is saving it may have it away. */
  isThere(): boolean;
  /** Whether there was a file older than the agent at the start; it is ignored until touched. */
  readonly isLeftover: boolean;
}

/** Null for a file that is not there; the mtime in ms since 1970 otherwise. */
function mtimeOf(file: string): number | null {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return null;
  }
}

/** Opens the watch. `atWallMs` is the agent's start. */
export function openHoldFile(file: string, atWallMs: number, clock: Clock): HoldFile {
  const first = mtimeOf(file);
  const isLeftover = first !== null && first < atWallMs;
  let seen = isLeftover ? first : null;
  let isHeld = false;
  const found = new Subject<HoldEvent>();
  const look = (): void => {
    const mtime = mtimeOf(file);
    if (mtime === seen) return;
    seen = mtime;
    if (mtime !== null) {
      isHeld = true;
      found.next({ type: "FILE.SEEN", aheadMs: mtime - clock.wall(), atMs: clock.now() });
    } else if (isHeld) {
      isHeld = false;
      found.next({ type: "FILE.GONE", atMs: clock.now() });
    }
  };
  const changes = new Observable<HoldEvent>((out) => {
    const forwarding = found.subscribe(out);
    const stop = every(clock, lookMs, look);
    look();
    return () => {
      stop();
      forwarding.unsubscribe();
    };
  }).pipe(share());
  return { changes, look, isThere: () => isHeld, isLeftover };
}

/**
 * Confine: an exception in the handling of one link, one request or one message ends that one, with
 * one line in the log, and nothing else. What is to be ended, and how, its owner says.
 */
import type { Clock } from "./clock.ts";
import { reasonOf } from "./errors.ts";
import type { Log } from "./ports.ts";

/** Something was thrown where `what` was handled. */
export type NoteFault = (what: string, error: unknown) => void;

/** Enough of where it came from to find it. */
const framesMost = 5;
const charactersMost = 300;

/** Writes one line each. Never throws. */
export function faultsIn(log: Log): NoteFault {
  return (what, error) => {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    const frames = stack.split("\n    at ").slice(1, 1 + framesMost);
    const bounded = [reasonOf(error), ...frames].map((text) => text.slice(0, charactersMost));
    try {
      log.error({ what, reason: bounded[0], frames: bounded.slice(1) }, "fault confined");
    } catch {
      // a log that cannot be written ends nothing either
    }
  };
}

/** The same function; should it throw, that is noted, and `end` is called in its stead. */
export function confine<This, A extends unknown[], R>(
  note: NoteFault,
  what: string,
  act: (this: This, ...args: A) => R,
  end: (this: This, ...args: A) => R,
): (this: This, ...args: A) => R {
  return function (this: This, ...args: A): R {
    try {
      return act.apply(this, args);
    } catch (error) {
      note(what, error);
      return end.apply(this, args);
    }
  };
}

/** The same of what is done later. */
export function confineLater(
  note: NoteFault,
  what: string,
  done: Promise<void>,
  end: () => void,
): void {
  done.catch((error) => {
    note(what, error);
    end();
  });
}

/** Confines what listens to an emitter, now and later. */
export function confineEvents(
  emitter: { emit(event: string | symbol, ...args: unknown[]): boolean },
  note: NoteFault,
  what: string,
  end: () => void,
): void {
  emitter.emit = confine(note, what, emitter.emit, () => {
    end();
    return true;
  });
}

/** A clock whose timers are confined: what one of them was for is late, or does not come. */
export const confineTimers = (clock: Clock, note: NoteFault): Clock => ({
  now: () => clock.now(),
  wall: () => clock.wall(),
  setTimeout: (fn, ms, name) =>
    clock.setTimeout(
      confine(note, "timer", fn, () => {}),
      ms,
      name,
    ),
  clearTimeout: (id) => clock.clearTimeout(id),
});

/**
 * Near side: the byte stream that wsproxy was given, read from its start, for only a reader notices
 * that it has gone. Its end is kept apart from its going: a person who runs wsproxy without an input
 * still wants the answer. It knows nothing of what the bytes are for.
 */
import type { Clock } from "../../actors/clock.ts";
import type { Stdio } from "./stdio.ts";

/** What ssh may send before there is anybody to hear it. */
const earlyMaxBytes = 64 * 1024;
/** How often it is looked whether anybody is left, once the input has ended. */
const lookMs = 2_000;

export interface NearSide extends Pick<Stdio, "input" | "output"> {
  /** Bytes go to `next` from now on, those that came before first. */
  release(next: (data: Buffer) => void): void;
  /** Calls `act` when it has said all it will, at once if it already has. */
  onEnd(act: () => void): void;
  /** Looks after it no more. */
  close(): void;
}

/**
 * Begins to read. `gone` is called when nobody is there any more to hear an answer: the output
 * broke, or whoever started this program ended without a word before anybody called `onEnd`.
 */
export function readNearSide(stdio: Stdio, clock: Clock, gone: () => void): NearSide {
  const { input, output } = stdio;
  const chunks: Buffer[] = [];
  let held = 0;
  let isEnded = false;
  let onEnd: (() => void) | null = null;
  let timer: unknown = null;
  const hold = (data: Buffer): void => {
    held += data.length;
    chunks.push(data);
    if (held > earlyMaxBytes) input.pause();
  };
  const look = (): void => {
    if (stdio.isOrphaned?.()) gone();
    else timer = clock.setTimeout(look, lookMs);
  };
  const ended = (): void => {
    if (isEnded) return;
    isEnded = true;
    if (onEnd) onEnd();
    else look();
  };
  input.on("data", hold);
  for (const event of ["end", "close", "error"]) input.on(event, ended);
  for (const event of ["close", "error"]) output.on(event, gone);
  return {
    input,
    output,
    release: (next) => {
      for (const data of chunks.splice(0)) next(data);
      input.off("data", hold);
      input.on("data", next);
      input.resume();
    },
    onEnd: (act) => {
      onEnd = act;
      if (isEnded) act();
    },
    close: () => {
      isEnded = true;
      clock.clearTimeout(timer);
    },
  };
}

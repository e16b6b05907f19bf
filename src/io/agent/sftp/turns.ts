/**
 * Lanes: who must wait for whom. Those of one kind go together, a lone one goes by itself, and
 * nobody overtakes: the outcome is as if all had gone one after the other.
 *
 * Knows nothing of files, and has no bound of its own: whoever lets requests in has.
 */

/** Reads go beside reads and writes beside writes; `alone` goes beside nothing. */
export type Manner = "reading" | "writing" | "alone";

export interface Lane {
  running: number;
  manner: Manner;
  readonly waiting: { readonly manner: Manner; readonly start: () => void }[];
}

export function makeLane(): Lane {
  return { running: 0, manner: "alone", waiting: [] };
}

function advance(lane: Lane): void {
  for (;;) {
    const [first] = lane.waiting;
    if (!first) return;
    const fits = first.manner !== "alone" && first.manner === lane.manner;
    if (lane.running > 0 && !fits) return;
    lane.waiting.shift();
    lane.running += 1;
    lane.manner = first.manner;
    first.start();
  }
}

/** Does the work when its turn has come; settles as the work does. */
export async function inLane<T>(lane: Lane, manner: Manner, work: () => Promise<T>): Promise<T> {
  await new Promise<void>((start) => {
    lane.waiting.push({ manner, start });
    advance(lane);
  });
  try {
    return await work();
  } finally {
    lane.running -= 1;
    advance(lane);
  }
}

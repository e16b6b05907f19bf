/**
 * Turns: who must wait for whom. Those of one kind go together, a lone one goes by itself, and
 * nobody overtakes: the outcome is as if all had gone one after the other.
 *
 * Knows nothing of files, and has no bound of its own: whoever lets requests in has.
 */

/** Reads go beside reads and writes beside writes; `alone` goes beside nothing. */
export type Manner = "reading" | "writing" | "alone";

export interface Turns {
  running: number;
  manner: Manner;
  readonly waiting: { readonly manner: Manner; readonly start: () => void }[];
}

export function makeTurns(): Turns {
  return { running: 0, manner: "alone", waiting: [] };
}

function advance(turns: Turns): void {
  for (;;) {
    const [first] = turns.waiting;
    if (!first) return;
    const fits = first.manner !== "alone" && first.manner === turns.manner;
    if (turns.running > 0 && !fits) return;
    turns.waiting.shift();
    turns.running += 1;
    turns.manner = first.manner;
    first.start();
  }
}

/** Does the work when its turn has come; settles as the work does. */
export async function takeTurn<T>(
  turns: Turns,
  manner: Manner,
  work: () => Promise<T>,
): Promise<T> {
  await new Promise<void>((start) => {
    turns.waiting.push({ manner, start });
    advance(turns);
  });
  try {
    return await work();
  } finally {
    turns.running -= 1;
    advance(turns);
  }
}

/**
 * Measures: bytes, counts and times as people read them on a page. It knows nothing of what they are of.
 */
import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { spoken } from "../src/actors/words/sentences.ts";

/** `999 B`, `1.5 kB`, `12 MB`: decimal units, two digits at least. */
export function bytesText(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit += 1) value /= 1_000;
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Counts on the relay's clock, so that a browser's wrong one does no harm. */
export type Now = ReadonlySignal<number>;

export function Since({ at, now }: { at: string; now: Now }): JSX.Element {
  return (
    <time dateTime={at} title={at}>
      {spoken(Math.max(0, now.value - Date.parse(at)))}
    </time>
  );
}

/** `1 agent`, `2 agents`. */
export const many = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/**
 * Words: every sentence that a person reads in a terminal of a session, one line each.
 * It knows what is to be said, and not to whom.
 */
import type { Ending, Notice } from "../../machines/vocabulary.ts";

/** `2h 5m`, `10m`, `45s`: the two largest units that are not zero. */
export function spoken(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${unit}`)
    .join(" ");
}

/**
 * A notice as one line, without the `[converge]` in front. What matters comes first, and a terminal of
 * 80 columns shows the whole: it is cut to the width, never wrapped.
 */
export function wordsFor(notice: Notice): string {
  switch (notice.about) {
    case "expiry near":
      return notice.cause === "hard cap"
        ? `The job ends in ${spoken(notice.leftMs)}, and nothing extends it: save your work.`
        : `The session ends in ${spoken(notice.leftMs)} without activity. Press any key to extend it.`;
    case "expiry extended":
      return `Extended: the session now ends in ${spoken(notice.leftMs)} without activity.`;
    case "client joined":
      return `${notice.who} joined.`;
    case "client left":
      return `${notice.who} left.`;
    case "client lost":
      return `The connection of ${notice.who} was lost.`;
    case "client away":
      return `${notice.who} lost the link; the job waits for it.`;
    case "client back":
      return `${notice.who} is back.`;
    case "link back":
      return `Your link is back after ${spoken(notice.outageMs)}; nothing was lost.`;
    case "hold set":
      return `.hold is set: when all left the job waits, ${spoken(notice.leftMs)} without activity.`;
    case "hold cleared":
      return ".hold is gone: the job ends when the last client leaves.";
    case "relay lost":
      return "The relay is lost, the agent looks for it; this session may go on.";
    case "relay found":
      return "The relay is back: others can connect again.";
    case "relay ending":
      return notice.isKept
        ? `The relay restarts in ${spoken(notice.leftMs)}: a pause then, and you go on here.`
        : `The relay restarts in ${spoken(notice.leftMs)}: this connection is cut then. Save now.`;
    case "keys changed":
      return `${sentence(notice.what)} The next login obeys it.`;
    case "ending":
      return `${endingWords(notice.ending)} The job goes on.`;
  }
}

/** What a window's title says while a notice counts; "" when it counts no more, null for others. */
export function titleFor(notice: Notice): string | null {
  switch (notice.about) {
    case "expiry near":
      return `ends in ${spoken(notice.leftMs)}`;
    case "relay ending":
      return notice.isKept ? null : `cut in ${spoken(notice.leftMs)}`;
    case "expiry extended":
      return "";
    default:
      return null;
  }
}

/** Why an agent ended, as a sentence. */
export function endingWords(ending: Ending): string {
  switch (ending.kind) {
    case "last client left":
      return "The last client left.";
    case "inactivity":
      return "Nobody was active: the session ends now.";
    case "hard cap":
      return "The longest duration is reached: the session ends.";
    case "interrupted":
      return "The agent was told to stop: the session ends now.";
  }
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

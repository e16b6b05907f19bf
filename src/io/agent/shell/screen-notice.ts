/**
 * Screen notice: the bytes that show a line on somebody's terminal without hurting what is on it, and
 * those that hand a terminal back clean. Pure; what is on the terminal is told by `screen-modes.ts`,
 * and when it is a good moment, by others.
 *
 * A terminal has one place for a cursor that is saved (DECSC), or one for each screen. What a program
 * keeps there is not ours to overwrite, so both ways that need it are for when it is free.
 */
import { cutToColumns } from "../../text.ts";
import { mode, onAlternate } from "./terminal-bits.ts";

/** What is known of a terminal that does not change by output. */
export interface Looks {
  /** TERM, "" if it was not said. */
  readonly term: string;
  readonly cols: number;
  readonly rows: number;
}

const prefix = "[converge]";

/** Nothing is known of them, so that they get text and line ends alone. */
export const isPlain = (term: string): boolean => /^(?:|dumb|unknown)$/.test(term);

/** They save the cursor of both screens in one place. */
const isShared = (term: string): boolean => /^(?:tmux|screen|linux)/.test(term);

/** Whether a program keeps a cursor where ours would have to go. */
export function isTaken(modes: number, term: string): boolean {
  if ((modes & onAlternate) === 0) return (modes & mode.savedOnMain) !== 0;
  if ((modes & mode.savedOnAlternate) !== 0) return true;
  return isShared(term) && (modes & mode.savedOnMain) !== 0;
}

/** `[converge]` and a text, of `columns` at most; Infinity does not cut. */
function lineOf(text: string, columns: number, term: string): string {
  const cut = cutToColumns(`${prefix} ${text}`, columns);
  return isPlain(term) ? cut : withPrefixes(cut);
}

/** Lines with their prefixes in bold. */
export const withPrefixes = (lines: string): string =>
  lines.replace(/^\[converge\]/gm, "\x1b[1m$&\x1b[0m");

/** Its own attributes and letters, whatever a program draws with; DECRC brings those back. */
const own = "\x1b[0m\x0f\x1b(B";

/**
 * One line of text, without controls, on the screen that is up. It is never as wide as the terminal,
 * so nothing wraps. `isFree` says that the place for a cursor is not taken.
 */
export function noticeFor(text: string, modes: number, isFree: boolean, looks: Looks): string {
  const { term, cols, rows } = looks;
  const line = lineOf(text, Math.max(0, cols - 1), term);
  if (isPlain(term)) return `\r\n${line}\r\n`;
  if ((modes & onAlternate) !== 0) {
    // DECRC brings back the origin mode too (DEC STD 070).
    const place = `${(modes & mode.origin) === 0 ? "" : "\x1b[?6l"}\x1b[${rows};1H\x1b[2K`;
    return isFree ? `\x1b7${own}${place}${line}\x1b8` : `${own}${place}${line}\x1b[H`;
  }
  if (!isFree) return `\r\n${line}\r\n`;
  // A row for it is made above that of the cursor: at the bottom all scrolls by one first.
  return `\x1bD\x1b[A\x1b7${own}\x1b[L\r${line}\x1b8\x1b[B`;
}

/** What puts off each mode; those that move the cursor are done by `handBack`. */
const offs: readonly (readonly [number, string])[] = [
  [mode.synchronized, "\x1b[?2026l"],
  [mode.mouse, "\x1b[?1003l\x1b[?1002l\x1b[?1001l\x1b[?1000l\x1b[?9l"],
  [mode.mouseForm, "\x1b[?1016l\x1b[?1015l\x1b[?1006l\x1b[?1005l"],
  [mode.focus, "\x1b[?1004l"],
  [mode.paste, "\x1b[?2004l"],
  [mode.cursorKeys, "\x1b[?1l"],
  [mode.keypad, "\x1b>"],
  [mode.otherKeys, "\x1b[>4m"],
  [mode.kittyKeys, "\x1b[<u"],
  [mode.cursorShape, "\x1b[0 q"],
  [mode.insert, "\x1b[4l"],
  [mode.noWrap, "\x1b[?7h"],
  [mode.reverse, "\x1b[?5l"],
];

/** On a new last row, where it is not known what the others hold. */
const atEnd = "\x1b[999;1H\r\n";

/**
 * Puts off the modes that are on, and ends on a row of its own on the main screen, the one that
 * comes next. `isInSequence` says that a sequence was left unfinished, `isAfterLine` that the cursor
 * stands at the beginning of a row there.
 */
export function handBack(modes: number, isInSequence: boolean, isAfterLine: boolean): string {
  let text = isInSequence ? "\x18" : "";
  for (const [bit, off] of offs) if ((modes & bit) !== 0) text += off;
  const isAway = (modes & onAlternate) !== 0;
  // Both put the cursor at the top; DECRC would bring the origin mode back with it.
  if ((modes & mode.region) !== 0) text += "\x1b7\x1b[r\x1b8";
  const isLost = (modes & mode.origin) !== 0;
  if (isLost) text += "\x1b[?6l";
  if ((modes & mode.alternateKept) !== 0) text += "\x1b[?1049l";
  else if (isAway) {
    text += `\x1b[?1047l${(modes & mode.savedOnMain) === 0 ? atEnd : "\x1b8"}`;
  } else if (isLost) text += atEnd;
  if ((modes & mode.cursorHidden) !== 0) text += "\x1b[?25h";
  if (text === "" && isAfterLine) return "";
  return `${text}\x1b[0m${isAway ? "\r\x1b[K" : isAfterLine ? "" : "\r\n"}`;
}

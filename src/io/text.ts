/**
 * Text from outside, made safe before it reaches a terminal, a log or a page.
 * It knows nothing of who sent it or where it goes.
 */

/**
 * What is not seen, and what moves what is: controls, line separators, format characters (the
 * bidirectional ones, zero-width ones, tags), what a font leaves out where it cannot show it
 * (UAX #44: variation selectors, Hangul fillers, a joiner of graphemes), and halves of characters.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** The longest line of ours holds a path, and Linux has none beyond 4096 bytes. */
const lineMost = 5_000;

/**
 * The one way for what is not a shell's own output to a person's terminal: notices, help, refusals.
 * Each line is printable, and ends as a terminal in raw mode wants it; without one, `newline` is "\n".
 */
export function terminalText(text: string, newline: "\r\n" | "\n" = "\r\n"): string {
  const lines = text.split(/\r?\n/);
  return lines.map((line) => plainText(line, lineMost)).join(newline);
}

/** One printable line of at most `max` characters; everything else is dropped. */
export function plainText(text: string, max = 200): string {
  const safe = text.replace(unsafe, "");
  return safe.length <= max ? safe : [...safe].slice(0, max).join("");
}

/** Marks that stand on the character before them. */
const mark = /^\p{M}$/u;
/** East Asian Wide and Fullwidth (UAX #11), and what is drawn as a picture. */
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18aff}\u{1b000}-\u{1b2ff}\u{1f300}-\u{1f64f}\u{1f680}-\u{1faff}\u{20000}-\u{3fffd}])$/u;

/** As much of a printable line as a terminal shows in so many columns; cut, it ends in `…`. */
export function cutToColumns(line: string, columns: number): string {
  let used = 0;
  let fitting = "";
  let shorter = "";
  for (const character of line) {
    used += mark.test(character) ? 0 : wide.test(character) ? 2 : 1;
    if (used > columns) return columns > 0 ? `${shorter}…` : "";
    fitting += character;
    if (used < columns) shorter = fitting;
  }
  return line;
}

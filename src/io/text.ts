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

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

/** One printable line of at most `max` characters; everything else is dropped. */
export function plainText(text: string, max = 200): string {
  const safe = text.replace(unsafe, "");
  return safe.length <= max ? safe : [...safe].slice(0, max).join("");
}

/**
 * Text from outside, made safe before it reaches a terminal, a log or a page.
 * It knows nothing of who sent it or where it goes.
 */

// C0 and C1 controls, line separators, and the bidirectional controls that can reorder a line.
const unsafe = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** One printable line of at most `max` characters; everything else is dropped. */
export function plainText(text: string, max = 200): string {
  const safe = text.replace(unsafe, "");
  return safe.length <= max ? safe : [...safe].slice(0, max).join("");
}

/**
 * Quoting: a text as one word of a shell, so that the shell sees exactly that text.
 *
 * Snippets go through a CI system before a shell reads them, and most of those replace something
 * in any string: `${{ x }}` (GitHub, Azure), `$(x)` (Azure), `${x}` (Drone, Woodpecker), `<< x >>`
 * (CircleCI). So no `$` and no `<` is ever followed by the character that would give it a meaning.
 */

export interface Shell {
  readonly name: "sh" | "powershell" | "cmd";
  /** One word. Call it only for a text that `cannot` lets pass. */
  word(text: string): string;
  /** A word with the values of environment variables at `{NAME}`; else of `A-Z a-z . _ : / -`. */
  filled(template: string): string;
  /** What this shell cannot write in a word, as a noun; null when there is nothing. */
  cannot(text: string): string | null;
}

/** POSIX 2.2.2 (single quotes); a quote inside is closed, written and opened again. */
function shWord(text: string): string {
  if (/^[\w@%+:,./-][\w@%+:,./=-]*$/.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''").replace(/[$<]/g, "$&''")}'`;
}

/** about_Quoting_Rules: four typographic quotes count as `'` too, and all are doubled. */
function powershellWord(text: string): string {
  if (/^-{0,2}\w[\w/:-]*$/.test(text)) return text;
  const parts = text
    .split(/(?<=[$<])/)
    .map((part) => `'${part.replace(/['\u2018\u2019\u201a\u201b]/g, "$&$&")}'`);
  return parts.length > 1 ? `(${parts.join("+")})` : (parts[0] ?? "''");
}

export const sh: Shell = {
  name: "sh",
  word: shWord,
  filled: (template) => `"${template.replace(/\{(\w+)\}/g, "$$$1")}"`,
  cannot: () => null,
};

export const powershell: Shell = {
  name: "powershell",
  word: powershellWord,
  filled: (template) => `"${template.replace(/\{(\w+)\}/g, "$$env:$1")}"`,
  // Windows PowerShell 5 loses it on the way to a program, PowerShell 7 does not.
  cannot: (text) => (text.includes('"') ? "a double quote" : null),
};

export const cmd: Shell = {
  name: "cmd",
  word: (text) => (/^[\w./:-]+$/.test(text) ? text : `"${text}"`),
  filled: (template) => `"${template.replace(/\{(\w+)\}/g, "%$1%")}"`,
  cannot: (text) => (/["%!$<>&|^\n]/.test(text) ? 'one of " % ! $ < > & | ^ or a line end' : null),
};

/** One word of the command that rsync reads from `-e`: a quote inside is doubled (rsync(1)). */
export function rsyncWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`;
}

/** A token of an ssh option: `%` begins an expansion there (ssh_config(5), TOKENS). */
export const sshText = (text: string): string => text.replaceAll("%", "%%");

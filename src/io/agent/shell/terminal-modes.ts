/**
 * Terminal modes: what a client's pty request says of its own terminal (RFC 4254 8), as words for stty.
 *
 * Node has no tcsetattr, so a program is started by a shell that runs stty first. Only names of this
 * table and numbers of a byte become words of that shell. It knows no terminal and starts nothing.
 */
import { sh } from "../../../actors/words/quoting.ts";
import { canExecute } from "./shells.ts";

/** A mode's value by its name in RFC 4254 8, as ssh2 has read them; others are passed over. */
export type TerminalModes = Readonly<Record<string, number | undefined>>;

/** Characters, by stty's names: those of the RFC that sshd sets on Linux too. */
const characters: Readonly<Record<string, string>> = {
  VINTR: "intr",
  VQUIT: "quit",
  VERASE: "erase",
  VKILL: "kill",
  VEOF: "eof",
  VEOL: "eol",
  VEOL2: "eol2",
  VSTART: "start",
  VSTOP: "stop",
  VSUSP: "susp",
  VREPRINT: "rprnt",
  VWERASE: "werase",
  VLNEXT: "lnext",
  VDISCARD: "discard",
};

/**
 * Switches, whose names in stty are the same in lower case. CS7, CS8 and parity are left out, since a
 * pseudo-terminal has eight bits and no parity, and PENDIN, which stty does not know.
 */
const switches: ReadonlySet<string> = new Set(
  [
    "IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8",
    "ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP IEXTEN ECHOCTL ECHOKE",
    "OPOST OLCUC ONLCR OCRNL ONOCR ONLRET",
  ]
    .join(" ")
    .split(" "),
);

/** Speeds in baud that stty takes everywhere. */
const speeds: Readonly<Record<string, string>> = {
  TTY_OP_ISPEED: "ispeed",
  TTY_OP_OSPEED: "ospeed",
};
const bauds: ReadonlySet<number> = new Set([
  1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400,
]);

/** RFC 4254 8: "255 if none". */
const none = 255;

/** What the addon sets by itself, so that nobody need say it again. */
export const addonModes: TerminalModes = {
  ...{ VINTR: 3, VQUIT: 28, VERASE: 127, VKILL: 21, VEOF: 4, VSTART: 17, VSTOP: 19, VSUSP: 26 },
  ...{ VREPRINT: 18, VWERASE: 23, VLNEXT: 22, VDISCARD: 15 },
  ...Object.fromEntries([...switches].map((name) => [name, 0])),
  ...{ ICRNL: 1, IXON: 1, IXANY: 1, IMAXBEL: 1, IUTF8: 1, OPOST: 1, ONLCR: 1 },
  ...{ ISIG: 1, ICANON: 1, IEXTEN: 1, ECHO: 1, ECHOE: 1, ECHOK: 1, ECHOCTL: 1, ECHOKE: 1 },
  ...{ TTY_OP_ISPEED: 38_400, TTY_OP_OSPEED: 38_400 },
};

/** stty's arguments, one setting each, for all modes that are not what the terminal has already. */
export function sttyWords(modes: TerminalModes, has: TerminalModes): string[][] {
  return Object.entries(modes).flatMap(([name, value]) => {
    if (value === undefined || value === has[name]) return [];
    const isByte = Number.isInteger(value) && value >= 0 && value <= 255;
    const character = Object.hasOwn(characters, name) ? characters[name] : undefined;
    if (character) return isByte ? [[character, written(value)]] : [];
    if (switches.has(name)) {
      const word = name.toLowerCase();
      if (has[name] !== undefined && (value !== 0) === (has[name] !== 0)) return [];
      return [[value === 0 ? `-${word}` : word]];
    }
    const speed = Object.hasOwn(speeds, name) ? speeds[name] : undefined;
    return speed && bauds.has(value) ? [[speed, String(value)]] : [];
  });
}

/** A character as every stty reads it: `^X`, itself, or from two digits on its number. */
function written(code: number): string {
  if (code === none) return "undef";
  if (code < 32) return `^${String.fromCharCode(code + 64)}`;
  if (code === 127) return "^?";
  return code < 127 ? String.fromCharCode(code) : String(code);
}

/**
 * A line for a POSIX shell that sets them on its own terminal; "" if there is nothing to set. Where
 * stty does not know one of the words it sets none, so they are tried one by one then.
 */
export function sttyLine(settings: readonly (readonly string[])[]): string {
  if (settings.length === 0) return "";
  const words = settings.map((setting) => setting.map(sh.word).join(" "));
  const each = words.map((word) => `stty ${word};`).join(" ");
  return `stty ${words.join(" ")} 2>/dev/null || { ${each} } 2>/dev/null;`;
}

/** What to start, and with what arguments. */
export interface Startable {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A line for a POSIX shell that puts its terminal's name where the session's own stand-in is. */
export const nameLine = 'SSH_TTY=$(tty 2>/dev/null || echo "$SSH_TTY");';

/**
 * The same program, started on the addon's terminal after a shell has set the modes, and `SSH_TTY`
 * where there is one: nobody else knows the terminal's name before.
 */
export function withModes<T extends Startable>(start: T, modes: TerminalModes): T {
  const name = start.env["SSH_TTY"] === undefined ? "" : nameLine;
  const line = `${name}${sttyLine(sttyWords(modes, addonModes))}`;
  if (line === "" || !canExecute("/bin/sh")) return start;
  // dash does not pass these on, such as the functions that bash exports.
  const odd = Object.entries(start.env).filter(([name]) => !/^[A-Za-z_]\w*$/.test(name));
  const env = odd.map(([name, value]) => `${name}=${value}`);
  if (env.length > 0 && !canExecute("/usr/bin/env")) return start;
  const before = env.length > 0 ? ["/usr/bin/env", ...env] : [];
  const args = ["-c", `${line} exec "$@"`, "sh", ...before, start.file, ...start.args];
  return { ...start, file: "/bin/sh", args };
}

/**
 * Key options: the first field of an `authorized_keys` line, from text to what the key may do.
 *
 * Names and quoting follow sshd(8), AUTHORIZED_KEYS FILE FORMAT. What Converge cannot honour is
 * refused, never ignored: an option is a restriction somebody relies on. Knows no keys and no time.
 */

import { plainText } from "../../text.ts";
import { faultInPatterns } from "./address-patterns.ts";

/** What one line allows its key. Without options everything is allowed. */
export interface KeyOptions {
  readonly pty: boolean;
  readonly portForwarding: boolean;
  readonly agentForwarding: boolean;
  /** Runs instead of whatever the client asks for; the empty string is a command, null is none. */
  readonly command: string | null;
  /** A list for `matchesPatterns`, already found free of faults; null for from anywhere. */
  readonly from: string | null;
  /** The last moment of the key, in ms since 1970; null for never. */
  readonly expiresAt: number | null;
  /** Names are `[A-Za-z0-9_]+` and occur once each. */
  readonly environment: readonly (readonly [string, string])[];
}

/** What a line without options allows. */
export const openOptions: KeyOptions = {
  pty: true,
  portForwarding: true,
  agentForwarding: true,
  command: null,
  from: null,
  expiresAt: null,
  environment: [],
};

/** Options without a value and what each changes; X11 and ~/.ssh/rc are never offered anyway. */
const flags: Readonly<Record<string, Partial<KeyOptions>>> = {
  restrict: { pty: false, portForwarding: false, agentForwarding: false },
  pty: { pty: true },
  "no-pty": { pty: false },
  "port-forwarding": { portForwarding: true },
  "no-port-forwarding": { portForwarding: false },
  "agent-forwarding": { agentForwarding: true },
  "no-agent-forwarding": { agentForwarding: false },
  "x11-forwarding": {},
  "no-x11-forwarding": {},
  "user-rc": {},
  "no-user-rc": {},
};

/** Environment values of one line; far more than anybody writes, and no line is slow to read. */
const mostVariables = 100;

type Setting = (options: KeyOptions, value: string) => Partial<KeyOptions> | string;

/** Options with a value: what each changes, or the clause that says why it cannot be honoured. */
const settings: Readonly<Record<string, Setting>> = {
  command: (options, value) =>
    options.command === null ? { command: value } : "it has more than one command",
  from: (options, value) => {
    if (options.from !== null) return "it has more than one from list";
    const fault = faultInPatterns(value);
    return fault === null ? { from: value } : `its from list cannot be used: ${plainText(fault)}`;
  },
  "expiry-time": (options, value) => {
    const at = momentOf(value);
    if (at === null) return `its expiry-time "${shown(value)}" is not YYYYMMDD[HHMM[SS]][Z]`;
    return { expiresAt: Math.min(at, options.expiresAt ?? at) };
  },
  environment: (options, value) => {
    const [, name, text] = /^(\w+)=(.*)$/s.exec(value) ?? [];
    if (name === undefined || text === undefined) {
      return `its environment "${shown(value)}" is not NAME=value`;
    }
    if (options.environment.length === mostVariables) {
      return `it has more than ${mostVariables} environment values`;
    }
    // As in sshd, the first of one name counts.
    if (options.environment.some(([known]) => known === name)) return {};
    return { environment: [...options.environment, [name, text]] };
  },
};

/** One option: a name, and perhaps a quoted value in which `\"` stands for a quote. */
const optionAt = /([^\s,="]+)(?:=(?:"((?:\\"|[^"\\]|\\(?!"))*)"|[^\s,]*))?/y;

/**
 * Reads a whole options field, such as `restrict,pty,from="10.0.0.0/8"`; later options win over
 * earlier ones. A string is the reason, as a clause, why the line must be refused.
 */
export function parseKeyOptions(field: string): KeyOptions | string {
  let options = openOptions;
  for (let at = 0; ; at++) {
    optionAt.lastIndex = at;
    const found = optionAt.exec(field);
    if (found === null) return "its options are malformed";
    const changed = change(options, found);
    if (typeof changed === "string") return changed;
    options = { ...options, ...changed };
    at = optionAt.lastIndex;
    if (at === field.length) return options;
    if (field[at] !== ",") return "its options are malformed";
  }
}

function change(options: KeyOptions, found: RegExpExecArray): Partial<KeyOptions> | string {
  const [text, word = "", quoted] = found;
  const name = word.toLowerCase();
  const setting = Object.hasOwn(settings, name) ? settings[name] : undefined;
  if (setting !== undefined) {
    if (quoted === undefined) return `its option "${name}" needs a value in double quotes`;
    return setting(options, quoted.replaceAll('\\"', '"'));
  }
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  if (flag === undefined) return `its option "${shown(word)}" is not supported`;
  return text === word ? flag : `its option "${name}" takes no value`;
}

/** `YYYYMMDD[HHMM[SS]][Z]` in ms since 1970, local time without Z; null when no such moment is. */
function momentOf(text: string): number | null {
  const found = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)$/i.exec(text);
  if (found === null) return null;
  const [, year, month, day, hour = "00", minute = "00", second = "00", zone = ""] = found;
  const spelt = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  // As UTC first: a day the calendar lacks (0231) comes back as another one, in every time zone.
  const utc = new Date(`${spelt}Z`);
  if (Number.isNaN(utc.getTime()) || !utc.toISOString().startsWith(spelt)) return null;
  return zone === "" ? new Date(spelt).getTime() : utc.getTime();
}

function shown(text: string): string {
  return plainText(text, 60);
}

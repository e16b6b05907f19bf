/**
 * Flags: text in, value or a sentence out. Each option gets its environment twin here
 * (`--timeout` ⇄ `CONVERGE_TIMEOUT`), and nothing below cli ever reads argv or the environment.
 */
import { isIP } from "node:net";
import { Command, InvalidArgumentError, Option } from "commander";
import { ConvergeError, reasonOf } from "../src/actors/errors.ts";
import { type LogLevel, logLevels } from "../src/io/log-levels.ts";
import { standardError, standardOutput } from "../src/io/standard-output.ts";
import { plainText } from "../src/io/text.ts";

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** `90s`, `30m`, `2h`; 0 is allowed where `zero` says so; at most a year. Milliseconds. */
export function duration(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,9})([smh])$/.exec(text) ?? [];
  const ms = Number(digits) * (unitMs[unit as keyof typeof unitMs] ?? Number.NaN);
  if (!(ms >= 0 && ms <= 8_784 * unitMs.h))
    throw new InvalidArgumentError("Write 90s, 30m or 2h, at most a year.");
  return ms;
}

/** A duration that activity, which is noticed up to a second late, can still put off. */
export function timeout(text: string): number {
  const ms = duration(text);
  if (ms < 3_000) throw new InvalidArgumentError("A timeout is at least 3s.");
  return ms;
}

/** `5m,1m,10s`, longest first, without repeats; empty for none. */
export function durations(text: string): number[] {
  const list = text === "" ? [] : text.split(",").map((part) => duration(part.trim()));
  return [...new Set(list)].sort((a, b) => b - a);
}

/** A file's name or any other text. */
export const asIs = (text: string): string => text;

export function names(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** An integer between the bounds, both included. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(n >= min && n <= max))
      throw new InvalidArgumentError(`Write a number from ${min} to ${max}.`);
    return n;
  };
}

export interface Listen {
  readonly host: string;
  readonly port: number;
}

/** `8000`, `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`. */
export function listenAddress(defaultHost: string): (text: string) => Listen {
  return (text) => {
    const [, bracketed, plain, digits = ""] =
      /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):)?(\d{1,5})$/.exec(text) ?? [];
    const port = digits === "" ? Number.NaN : Number(digits);
    if (!(port >= 0 && port <= 65_535))
      throw new InvalidArgumentError("Write PORT, HOST:PORT or [IPv6]:PORT.");
    if (bracketed && isIP(bracketed) !== 6)
      throw new InvalidArgumentError("Inside [ ] an IPv6 address is expected.");
    return { host: bracketed ?? plain ?? defaultHost, port };
  };
}

/** A relay's or client's URL with `http`, `https`, `ws` or `wss`; no user, query or fragment. */
export function relayUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !["http:", "https:", "ws:", "wss:"].includes(url.protocol))
    throw new InvalidArgumentError("Write https://host[/context], wss://…, http://… or ws://….");
  if (url.username || url.password || url.search || url.hash)
    throw new InvalidArgumentError("A relay's URL has no user, no ? and no #.");
  return url;
}

/** Any websocket server's URL, query and all, for `--raw`. */
export function socketServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !["http:", "https:", "ws:", "wss:"].includes(url.protocol))
    throw new InvalidArgumentError("Write ws://host/path, wss://…, http://… or https://….");
  return url;
}

/** The URL that is not an option but an argument; the error repeats nothing secret of it. */
export function urlArgument(parse: (text: string) => URL, text: string): URL {
  try {
    return parse(text);
  } catch (error) {
    const shown = text.replace(/\/\/[^/]*@/, "//").replace(/[?#].*$/s, "");
    throw new ConvergeError("CONVERGE_USAGE", `${plainText(shown)}: ${reasonOf(error)}`, error);
  }
}

/** An `http` or `https` URL, for keys. */
export function webUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new InvalidArgumentError("Write https://… or http://….");
  return url.href;
}

/** `/x` or `/x/y`, without the slash at the end; `""` for `/`. */
export function contextPath(text: string): string {
  const path = text.replace(/\/+$/, "");
  if (!/^(?:\/[A-Za-z0-9._~-]+)*$/.test(path) || /\/\.{1,2}(?:\/|$)/.test(path))
    throw new InvalidArgumentError("Write a path such as /converge.");
  return path;
}

/** An address or a range that may be believed: `10.0.0.0/8`, `::1`, `loopback`. */
export function proxyRange(text: string): string {
  const [address = "", bits, ...more] = text.split("/");
  const most = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1;
  const isRange = most > 0 && more.length === 0 && (bits === undefined || isBits(bits, most));
  if (!isRange && !["loopback", "linklocal", "uniquelocal"].includes(text))
    throw new InvalidArgumentError("Write an address, a CIDR range or loopback.");
  return text;
}

const isBits = (text: string, most: number): boolean =>
  /^\d{1,3}$/.test(text) && Number(text) <= most;

/**
 * A host name or address as a URL has it, without a port: `relay.internal`, `10.0.0.5`, `[::1]`, which
 * may be written without its brackets.
 */
export function hostName(text: string): string {
  const host = isIP(text) === 6 ? `[${text}]` : text;
  const isName = /^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(host) && URL.canParse(`http://${host}`);
  if (!isName)
    throw new InvalidArgumentError("Write a host name or an address, without https:// and port.");
  return new URL(`http://${host}`).hostname;
}

export function logLevel(text: string): LogLevel {
  const level = logLevels.find((name) => name === text);
  if (!level) throw new InvalidArgumentError(`Write one of ${logLevels.join(", ")}.`);
  return level;
}

/** Collects a value of an option that may be given several times, or comma-separated by its twin. */
export function several<T>(one: (text: string) => T): (text: string, before: T[]) => T[] {
  return (text, before) => [...(before ?? []), ...names(text).map(one)];
}

/** A program whose every option has its environment twin, and whose errors exit with 2. */
export function program(name: string, version: string, summary: string): Command {
  return new Command(name)
    .version(version)
    .description(summary)
    .helpOption("-h, --help", "show this help")
    .allowExcessArguments(false)
    .showHelpAfterError(false)
    .configureOutput({ writeOut: standardOutput.write, writeErr: standardError.write })
    .exitOverride();
}

/** An option of which the compiler knows under what name it is read, and as what. */
export type Flag<Name extends string, Value> = Option & { readonly __brand?: [Name, Value] };
type NameIn<One extends Flag<string, unknown>> = NonNullable<One["__brand"]>[0];
type ValueIn<One extends Flag<string, unknown>> = NonNullable<One["__brand"]>[1];

/** Commander's own rule: `--no-port-forwarding` is read as `portForwarding`. */
type NameOf<Usage> = Usage extends `--no-${infer Words}`
  ? CamelCase<Words>
  : Usage extends `--${infer Words} ${string}`
    ? CamelCase<Words>
    : Usage extends `--${infer Words}`
      ? CamelCase<Words>
      : never;
type CamelCase<Words> = Words extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Words;

/** Of an option that nothing reads but commander: a text, or a switch. */
type PlainOf<Usage> = Usage extends `--no-${string}`
  ? boolean
  : (Usage extends `${string} <${string}` ? string : boolean) | undefined;

interface Reading<Value> {
  readonly read: (text: string, before: Value) => Value;
}
interface Defaulted<Value> extends Reading<Value> {
  readonly otherwise: NoInfer<Value>;
  /** What the help says of it, where that is not the value itself. */
  readonly shown?: string;
}

/**
 * An option with its twin: `--max-duration` is also `CONVERGE_MAX_DURATION`. An empty twin is none,
 * and a switch is off for 0, false, no and off.
 */
export function option<Usage extends string>(
  usage: Usage,
  summary: string,
): Flag<NameOf<Usage>, PlainOf<Usage>>;
export function option<Usage extends string, Value>(
  usage: Usage,
  summary: string,
  how: Defaulted<Value>,
): Flag<NameOf<Usage>, Value>;
export function option<Usage extends string, Value>(
  usage: Usage,
  summary: string,
  how: Reading<Value>,
): Flag<NameOf<Usage>, Value | undefined>;
export function option(
  usage: string,
  summary: string,
  how?: Reading<unknown> & Partial<Defaulted<unknown>>,
): Option {
  const made = new Option(usage, summary);
  if (how) made.argParser(how.read);
  if (how?.otherwise !== undefined) made.default(how.otherwise, how.shown);
  const twin = `CONVERGE_${made.long?.replace(/^--/, "").replaceAll("-", "_").toUpperCase()}`;
  const value = process.env[twin]?.toLowerCase();
  const isSwitch = !made.required && !made.optional;
  // CI systems export empty variables, and commander takes any value of a switch for "on".
  const isOff = value === "" || (isSwitch && ["0", "false", "no", "off"].includes(value ?? ""));
  return isOff ? made : made.env(twin);
}

/**
 * Gives a program its flags. What comes back reads them, once the command line is parsed: one value
 * for each, under its name, so that a misspelt name does not compile.
 */
export function withFlags<One extends Flag<string, unknown>>(
  command: Command,
  flags: readonly One[],
): () => { readonly [Each in One as NameIn<Each>]: ValueIn<Each> } {
  for (const flag of flags) command.addOption(flag);
  return () => command.opts();
}

/**
 * Parses like `command.parse()`, except that it goes on after what it cannot use: everything that
 * is wrong comes back as one sentence each, with the environment's variable named where it came
 * from there. `--help` and `--version` still end it.
 */
export function parseWhole(command: Command): string[] {
  const wrong: { option: Option; text: string; why: string }[] = [];
  for (const option of command.options) {
    const parse = option.parseArg;
    if (parse)
      option.argParser((text: string, before: unknown) => {
        try {
          return parse(text, before);
        } catch (error) {
          wrong.push({ option, text, why: reasonOf(error) });
          return before;
        }
      });
  }
  command.allowUnknownOption().allowExcessArguments().parse();
  return [
    ...wrong.map(({ option, text, why }) => {
      const isTwin = command.getOptionValueSource(option.attributeName()) === "env";
      const name = isTwin ? `${option.envVar}=` : `${option.long} `;
      return `${name}${plainText(text)}: ${why}`;
    }),
    ...command.args.map(
      (arg) => `${plainText(arg)} is not understood: see converge --help for what is.`,
    ),
  ];
}

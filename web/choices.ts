/**
 * Choices: what somebody filled into the usage form, read from a query and written to one. The
 * query is also the share link and the cookie, so everything in it is taken for hostile.
 */
import { type SystemName, systemNames, systems } from "./systems.ts";

export const platforms = {
  linux: "Linux",
  macos: "macOS",
  powershell: "Windows, PowerShell",
  cmd: "Windows, cmd",
} as const;
export type Platform = keyof typeof platforms;

export const keySources = {
  actor: "Whoever started the job",
  url: "A URL",
  file: "A file of the job",
  text: "These keys",
} as const;
export type KeySource = keyof typeof keySources;

export interface Choices {
  readonly ci: SystemName;
  readonly agentOs: Platform;
  readonly clientOs: Platform;
  readonly idFrom: "fixed" | "variable";
  readonly id: string;
  /** The variable id's value in the run at hand, for the client's side. */
  readonly runId: string;
  readonly keys: KeySource;
  readonly keyUrl: string;
  readonly keyFile: string;
  readonly keyText: string;
  readonly shells: string;
  readonly timeout: string;
  readonly warn: string;
  readonly insecure: boolean;
  readonly fingerprint: string;
}

export const defaults: Choices = {
  ci: "github",
  agentOs: "linux",
  clientOs: "linux",
  idFrom: "variable",
  id: "",
  runId: "",
  keys: "actor",
  keyUrl: "",
  keyFile: "",
  keyText: "",
  shells: "",
  timeout: "",
  warn: "",
  insecure: false,
  fingerprint: "",
};

/** Letters and digits that are told apart when read aloud; 80 bits. */
export function randomId(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz023456789";
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const text = [...bytes].map((byte) => letters[byte % 32]).join("");
  return text.replace(/(.{4})(?=.)/g, "$1-");
}

const longest = { keyText: 4_000, other: 1_000 } as const;

/** Never throws: what is not known is the default, what is too long is cut. */
export function readChoices(query: URLSearchParams): Choices {
  const text = (name: keyof Choices, max: number = longest.other): string =>
    (query.get(name) ?? "").replaceAll("\r\n", "\n").slice(0, max).trim();
  const one = <T extends string>(name: keyof Choices, known: readonly T[], or: T): T =>
    known.find((value) => value === query.get(name)) ?? or;
  const names = <T extends string>(of: Record<T, string>): T[] => Object.keys(of) as T[];
  const ci = one("ci", systemNames, defaults.ci);
  const source = systems[ci].actorKeys ? "actor" : "url";
  // A link with an id means that one: the job's log and the list of sessions have such links.
  const idFrom = one("idFrom", ["fixed", "variable"], text("id") ? "fixed" : defaults.idFrom);
  const keyText = text("keyText", longest.keyText);
  return {
    ci,
    agentOs: one("agentOs", names(platforms), defaults.agentOs),
    clientOs: one("clientOs", names(platforms), defaults.clientOs),
    idFrom: systems[ci].id === null ? "fixed" : idFrom,
    id: text("id") || randomId(),
    runId: text("runId"),
    keys: one("keys", names(keySources), source),
    keyUrl: text("keyUrl"),
    keyFile: text("keyFile"),
    keyText,
    shells: text("shells"),
    timeout: text("timeout"),
    warn: text("warn"),
    insecure: query.get("insecure") === "1",
    fingerprint: text("fingerprint"),
  };
}

/** A private key that was pasted by mistake goes nowhere: not into a link, a cookie or a request. */
export const isPrivateKey = (text: string): boolean => text.includes("PRIVATE KEY");

/** The query that `readChoices` reads back; defaults are left out. */
export function writeChoices(choices: Choices): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) {
    if (value === defaults[name as keyof Choices] || isPrivateKey(String(value))) continue;
    if (name === (choices.idFrom === "fixed" ? "runId" : "id")) continue;
    query.set(name, value === true ? "1" : String(value));
  }
  return query.toString();
}

/** Whether they are of a job that runs: only its log, and the list of sessions, have a fingerprint. */
export const isOfRun = ({ idFrom, runId, fingerprint }: Choices): boolean =>
  fingerprint !== "" || (idFrom === "variable" && runId !== "");

/** What is still right for the next run; the rest of a run's choices would lead to a job that is gone. */
export function lasting(choices: Choices): Choices {
  if (!isOfRun(choices)) return choices;
  const { runId, fingerprint, idFrom, id } = defaults;
  const next = { ...choices, runId, fingerprint };
  return choices.fingerprint && choices.idFrom === "fixed" ? { ...next, idFrom, id } : next;
}

const duration = /^\d{1,9}[smh]$/;
/** Characters that nobody sees would go into a terminal with the rest. */
const invisible = /[^\P{C}\n\t]|[\u2028\u2029]/u;

/** What is wrong with the choices, by field, each with what to do; nothing for good ones. */
export function problemsOf(choices: Choices): Partial<Record<keyof Choices, string>> {
  const found: Partial<Record<keyof Choices, string>> = {};
  const must = (name: keyof Choices, isGood: boolean, sentence: string): void => {
    if (!isGood) found[name] ??= sentence;
  };
  for (const [name, value] of Object.entries(choices))
    must(
      name as keyof Choices,
      !invisible.test(String(value)),
      "There are invisible characters in it. Type it instead of pasting it.",
    );
  const { idFrom, id, runId, keys, keyUrl, keyFile, keyText, timeout, warn, fingerprint } = choices;
  const isId = (text: string): boolean => /^[\w.-]{1,128}$/.test(text) && !/^\.\.?$/.test(text);
  const idRule = "An id is 1 to 128 of A-Z a-z 0-9 . _ - and not . or .. alone.";
  if (idFrom === "fixed") must("id", isId(id), idRule);
  else must("runId", runId === "" || isId(runId), idRule);
  if (idFrom === "variable")
    must("idFrom", systems[choices.ci].id !== null, "A plain shell has no such variable.");
  if (keys === "actor")
    must(
      "keys",
      systems[choices.ci].actorKeys !== null,
      `${systems[choices.ci].label} does not tell whose keys those are. Name a URL, a file or the keys.`,
    );
  if (keys === "url")
    must(
      "keyUrl",
      URL.canParse(keyUrl) && /^https?:$/.test(new URL(keyUrl).protocol),
      "Write the URL of a list of keys, such as https://github.com/you.keys.",
    );
  if (keys === "file")
    must("keyFile", keyFile !== "", "Name the file, such as ci/authorized_keys.");
  if (isPrivateKey(keyText))
    found.keyText =
      "That is a PRIVATE key. It was not used; keep it to yourself, and paste the line of the .pub file.";
  else if (keys === "text")
    must(
      "keyText",
      keyLines(keyText).length > 0 &&
        keyLines(keyText).every((line) => /(?:^|\s)(?:ssh|ecdsa|sk)-\S+\s+\S{20,}/.test(line)),
      "Paste public keys, one a line, such as ssh-ed25519 AAAA… you@laptop.",
    );
  must("timeout", timeout === "" || duration.test(timeout), "Write 90s, 30m or 2h.");
  must(
    "warn",
    warn === "" || warn.split(",").every((part) => duration.test(part.trim())),
    "Write durations with commas between them, such as 5m,1m,10s.",
  );
  must(
    "fingerprint",
    fingerprint === "" || /^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint),
    "The job's log has it: SHA256: and 43 characters.",
  );
  return found;
}

/** The keys in a pasted text, one a line, without blank lines and comments. */
export function keyLines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

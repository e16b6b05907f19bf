/**
 * Keyring: where authorized keys come from, a file and URLs, and what they are right now.
 *
 * The file is read afresh whenever somebody asks, so an edit counts at the next login; URLs are
 * fetched in the background. Knows no logins and logs nothing: what is wrong comes back as sentences.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as realPause } from "node:timers/promises";
import { type Clock, every } from "../../../actors/clock.ts";
import { reasonOf } from "../../../actors/errors.ts";
import { markOf, watchFiles } from "../../file-watch.ts";
import { plainText } from "../../text.ts";
import { type AuthorizedKey, parseAuthorizedKeys } from "./authorized-keys.ts";
import { downloadKeys, faultInUrl, withoutSecrets } from "./key-download.ts";

/** Keys in the order of their sources and lines; problems are full sentences that name both. */
export interface KeySet {
  readonly keys: AuthorizedKey[];
  readonly problems: string[];
}

/** All authorized keys of one agent. */
export interface Keyring {
  /** The truth now: reads the file afresh (a login calls this). Never throws. */
  read(): Promise<KeySet>;
  /** Stops looking and fetching; `read` goes on working. */
  close(): void;
}

/** A file, URLs, or both; `refreshMs` between fetches of a URL, five minutes if not given. */
export interface KeyringConfig {
  readonly file: string | null;
  readonly urls: readonly string[];
  readonly refreshMs?: number;
  /** How to wait in a rename's gap. Real time if not given: editors do not follow a test's clock. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

/** Must settle soon after its signal aborts. */
export type FetchText = (url: string, signal: AbortSignal) => Promise<string>;

interface Source {
  /** Resolves when it was tried once; never rejects. */
  readonly ready: Promise<void>;
  read(): Promise<KeySet>;
  close(): void;
}

/** Counts in bytes. */
const largestFile = 1024 * 1024;
const refetchMs = 5 * 60_000;
const fetchTimeoutMs = 10_000;
/** A save by rename leaves a gap; in all 300 ms, and only if the file was there before. */
const gapMs: readonly number[] = [20, 40, 80, 160];
/** Refused lines of one source that are named one by one. */
const mostNamed = 20;

/**
 * Opens the sources and keeps them fresh. `onChange` is called once a change with what a notice
 * says ("keys file changed"); `ready` resolves, and never rejects, when each source was tried once.
 */
export function openKeyring(
  config: KeyringConfig,
  clock: Clock,
  onChange: (what: string) => void,
  fetchText: FetchText = downloadKeys,
): Keyring & { readonly ready: Promise<void> } {
  let isClosed = false;
  const tell = (what: string): void => {
    if (!isClosed) onChange(what);
  };
  const sources: Source[] = [...new Set(config.urls)].map((url) =>
    keysPage(url, config.refreshMs ?? refetchMs, clock, tell, fetchText),
  );
  if (config.file !== null)
    sources.unshift(keysFile(config.file, clock, config.pause ?? realPause, tell));
  return {
    ready: Promise.all(sources.map((source) => source.ready)).then(() => undefined),
    read: async () => {
      const sets = await Promise.all(sources.map((source) => source.read()));
      return {
        keys: sets.flatMap((set) => set.keys),
        problems: sets.flatMap((set) => set.problems),
      };
    },
    close: () => {
      isClosed = true;
      for (const source of sources) source.close();
    },
  };
}

function keysFile(
  path: string,
  clock: Clock,
  pause: (ms: number) => Promise<unknown>,
  tell: (what: string) => void,
): Source {
  const name = plainText(path);
  let wasThere = true;
  let last: { text: string; set: KeySet } = { text: "", set: { keys: [], problems: [] } };

  /** Tries until the file has been gone for longer than a rename takes; null when it is. */
  async function settled<T>(attempt: () => Promise<T>): Promise<T | null> {
    for (let n = 0; ; n++) {
      try {
        const found = await attempt();
        wasThere = true;
        return found;
      } catch (thrown) {
        const code = codeOf(thrown);
        // EBUSY and EPERM are how Windows shows a file that is just being replaced.
        if (code !== "ENOENT" && code !== "EBUSY" && code !== "EPERM") throw thrown;
        const waitMs = wasThere ? gapMs[n] : undefined;
        if (waitMs !== undefined) {
          await pause(waitMs);
        } else if (code === "ENOENT") {
          wasThere = false;
          return null;
        } else {
          throw thrown;
        }
      }
    }
  }

  const changed = (): void => tell("keys file changed");
  const watch = watchFiles([path], clock, changed, () => settled(() => markOf(path)));
  return {
    ready: watch.ready,
    close: watch.close,
    read: async () => {
      try {
        const text = (await settled(() => textOf(path))) ?? "";
        // The same text holds the same keys: a megabyte of them takes seconds to check.
        if (text !== last.text) last = { text, set: keySet(name, text) };
        return last.set;
      } catch (thrown) {
        const problem = `The keys file ${name} cannot be read: ${because(thrown)}.`;
        return { keys: [], problems: [problem] };
      }
    },
  };
}

function keysPage(
  url: string,
  everyMs: number,
  clock: Clock,
  tell: (what: string) => void,
  fetchText: FetchText,
): Source {
  const name = withoutSecrets(url);
  let text: string | null = null;
  let set: KeySet = { keys: [], problems: [] };
  let failure: string | null = "they have not been fetched yet";
  let isFirst = true;
  let isFetching = false;
  let stop = new AbortController();

  async function refresh(): Promise<void> {
    if (isFetching) return;
    isFetching = true;
    stop = new AbortController();
    const late = clock.setTimeout(
      () => stop.abort(new Error("it gave no answer within 10 s")),
      fetchTimeoutMs,
    );
    try {
      const fault = faultInUrl(url);
      if (fault !== null) throw new Error(fault);
      const fresh = await fetchText(url, stop.signal);
      const isNew = fresh !== text;
      text = fresh;
      failure = null;
      if (isNew) set = keySet(name, fresh);
      if (isNew && !isFirst) tell(`keys from ${name} changed`);
    } catch (thrown) {
      failure = because(thrown);
    } finally {
      clock.clearTimeout(late);
      isFirst = false;
      isFetching = false;
    }
  }

  const ready = refresh();
  const stopTimer = every(clock, everyMs, () => void refresh());
  return {
    ready,
    close: () => {
      stopTimer();
      stop.abort(new Error("the keyring was closed"));
    },
    read: () => {
      const kept = text === null ? "" : " The last good ones stay in force.";
      const problem = `The keys from ${name} cannot be fetched: ${failure}.${kept}`;
      const problems = failure === null ? set.problems : [problem, ...set.problems];
      return Promise.resolve({ keys: set.keys, problems });
    },
  };
}

/** What a text holds; the problems name the source and the line. */
function keySet(name: string, text: string): KeySet {
  const { keys, refused } = parseAuthorizedKeys(text);
  const problems = refused
    .slice(0, mostNamed)
    .map(({ line, reason }) => `Line ${line} of ${name} is refused: ${reason}.`);
  const more = refused.length - mostNamed;
  if (more > 0) problems.push(`${more} more lines of ${name} are refused.`);
  return { keys, problems };
}

async function textOf(path: string): Promise<string> {
  // Not blocking, because opening a pipe that nobody writes to would never end. Windows has no such flag.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    if (!(await file.stat()).isFile()) throw new Error("it is not a regular file");
    const chunks: Buffer[] = [];
    let size = 0;
    // `end` is inclusive: one byte more than is allowed, however fast the file grows.
    for await (const chunk of file.createReadStream({ end: largestFile, autoClose: false })) {
      chunks.push(chunk);
      size += chunk.length;
    }
    if (size > largestFile) throw new Error("it is larger than 1 MiB");
    return textIn(Buffer.concat(chunks));
  } finally {
    await file.close();
  }
}

/**
 * A file's text. Windows PowerShell writes UTF-16 by `>`, and appends it by `>>` to whatever is there;
 * since keys are ASCII, their zeros can go. A comment beyond ASCII is lost in that.
 */
function textIn(bytes: Buffer): string {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
  const text = bytes.subarray(isWide ? 2 : 0).toString("utf8");
  return text.replace(/^\ufeff/, "").replaceAll("\0", "");
}

/** The innermost cause, as a clause: fetch itself only says "fetch failed". */
function because(thrown: unknown): string {
  if (!(thrown instanceof Error)) return plainText(String(thrown));
  if (thrown.cause instanceof Error) return because(thrown.cause);
  return plainText(reasonOf(thrown) || codeOf(thrown) || thrown.name);
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

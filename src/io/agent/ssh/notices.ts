/**
 * Notices: what a person is told on the terminal of one session, between the output of its programs.
 * It chooses the moment and nudges the terminal's size, so that programs draw themselves again; what
 * the bytes are is `screen-notice.ts`'s business. It knows no ssh and no words.
 */
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../../../actors/clock.ts";
import type { Told } from "../../../actors/ports.ts";
import { plainText, terminalText } from "../../text.ts";
import { followModes } from "../shell/screen-modes.ts";
import { handBack, isPlain, isTaken, noticeFor, withPrefixes } from "../shell/screen-notice.ts";
import { onAlternate } from "../shell/terminal-bits.ts";

/** How a notice is made known beside its line; both off by default. */
export interface NoticeOptions {
  /** Rings the terminal's bell. */
  readonly bell: boolean;
  /** Shows how long there is in the window's title. */
  readonly title: boolean;
}

export interface NoticesConfig extends NoticeOptions {
  /** What the programs say; it is heard after `channel` got it, so pipe first. */
  readonly output: Readable;
  readonly channel: Writable;
  /** TERM, "" if it was not said. */
  readonly term: string;
  /** Of the client's terminal; 0 is not known. */
  readonly cols: number;
  readonly rows: number;
  /** Shows a clean text before all that the programs say. */
  greet(text: string): void;
  /** Tells the programs' terminal its size. */
  resize(cols: number, rows: number): void;
}

export interface Notices {
  /** At the start of a shell: lines that end in CR LF. */
  greet(text: string): void;
  show(told: Told): void;
  /** The client's terminal has another size; the programs' gets it too. */
  resize(cols: number, rows: number): void;
  /** The person has pressed a key. */
  typed(): void;
  /** Called when all output was taken. With a last line the terminal is handed back clean. */
  close(lastLine: string | null): void;
}

/** Nobody reads: what would wait beyond this is dropped. */
const waitingMostBytes = 65_536;
/** Of notices that wait for a moment; each of them is a line. */
const queueMost = 20;
/** How long an unfinished sequence, or a cursor that was saved, is waited for. */
const patienceMs = 1_000;
/** What a program gets to draw itself after its terminal's size has changed. */
const settleMs = 150;
/** How long a line keeps a row for itself, and how long when keys are pressed. */
const standMs = 10_000;
const leastMs = 2_000;
/** Below this a program has no row to give away. */
const rowsLeast = 3;
/** Characters of a line, which is cut to the terminal's width. */
const lineMost = 1_000;
/** What RFC 4254 6.2 leaves open. */
const usual = { cols: 80, rows: 24 } as const;

export function openNotices(config: NoticesConfig, clock: Clock): Notices {
  const { output, channel, term } = config;
  const screen = followModes();
  const looks = { term, cols: config.cols || usual.cols, rows: config.rows || usual.rows };
  const queue: Told[] = [];
  let isClosed = false;
  let isPatient = true;
  let waiting: unknown = null;
  /** The programs' terminal is one row smaller than the client's. */
  let isNudged = false;
  let settling: unknown = null;
  let putting: unknown = null;
  let stoodAtMs = Number.POSITIVE_INFINITY;
  let hasTitle = false;

  const isFree = (): boolean => !isTaken(screen.modes(), term);

  output.on("data", (chunk: Buffer) => {
    screen.take(chunk);
    if (queue.length > 0) go();
  });

  function say(text: string): void {
    const isRead = channel.writableLength < waitingMostBytes;
    if (channel.writable && isRead) channel.write(text); // made of cleaned lines
  }

  /** Shows what waits, if this is a moment for it. */
  function go(): void {
    if (isClosed || settling !== null || queue.length === 0) return;
    if ((screen.isInside() || !isFree()) && isPatient && !isPlain(term)) {
      waiting ??= clock.setTimeout(() => {
        waiting = null;
        isPatient = false;
        go();
      }, patienceMs);
      return;
    }
    if (!isNudged && nudge()) {
      settling = clock.setTimeout(() => {
        settling = null;
        go();
      }, settleMs);
      return;
    }
    clock.clearTimeout(waiting);
    waiting = null;
    isPatient = true;
    for (const told of queue.splice(0)) draw(told);
    if (isNudged) stand();
  }

  function draw({ text, title }: Told): void {
    const cut = screen.isInSequence() ? "\x18" : "";
    say(`${cut}${noticeFor(text, screen.modes(), isFree(), looks)}${config.bell ? "\x07" : ""}`);
    if (config.title && title !== null && !isPlain(term)) entitle(title);
  }

  /** xterm's ctlseqs: 22 and 23 keep a title and bring it back. */
  function entitle(title: string): void {
    if (title !== "") say(`${hasTitle ? "" : "\x1b[22;2t"}\x1b]2;${terminalText(title)}\x07`);
    else if (hasTitle) say("\x1b[23;2t");
    hasTitle = title !== "";
  }

  /** Whether there was a row to take away. */
  function nudge(): boolean {
    if (isPlain(term) || looks.rows < rowsLeast) return false;
    isNudged = true;
    config.resize(looks.cols, looks.rows - 1);
    return true;
  }

  function stand(): void {
    stoodAtMs = clock.now();
    putBackIn(standMs);
  }

  function putBackIn(ms: number): void {
    clock.clearTimeout(putting);
    putting = clock.setTimeout(putBack, ms);
  }

  function putBack(): void {
    clock.clearTimeout(putting);
    stoodAtMs = Number.POSITIVE_INFINITY;
    if (!isNudged || isClosed) return;
    isNudged = false;
    config.resize(looks.cols, looks.rows);
  }

  return {
    greet: (text) =>
      config.greet(isPlain(term) ? terminalText(text) : withPrefixes(terminalText(text))),
    show: ({ text, title }) => {
      if (isClosed || queue.length >= queueMost) return;
      queue.push({ text: plainText(text, lineMost), title });
      go();
    },
    resize: (cols, rows) => {
      if (cols > 0) looks.cols = cols;
      if (rows > 0) looks.rows = rows;
      config.resize(looks.cols, isNudged ? Math.max(1, looks.rows - 1) : looks.rows);
    },
    typed: () => {
      if (stoodAtMs === Number.POSITIVE_INFINITY) return;
      // On the main screen it stays above the prompt, and what is started next asks for the size.
      const isAway = (screen.modes() & onAlternate) !== 0;
      const leftMs = isAway ? stoodAtMs + leastMs - clock.now() : 0;
      stoodAtMs = Number.POSITIVE_INFINITY;
      if (leftMs > 0) putBackIn(leftMs);
      else putBack();
    },
    close: (lastLine) => {
      if (isClosed) return;
      isClosed = true;
      for (const timer of [waiting, settling, putting]) clock.clearTimeout(timer);
      if (hasTitle) entitle("");
      if (lastLine === null) return;
      const line = `[converge] ${terminalText(lastLine)}`;
      if (isPlain(term)) return say(`${screen.isAfterLine() ? "" : "\r\n"}${line}\r\n`);
      const clean = handBack(screen.modes(), screen.isInSequence(), screen.isAfterLine());
      say(`${clean}${withPrefixes(line)}\r\n`);
    },
  };
}

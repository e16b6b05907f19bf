/**
 * Screen modes: what the output of a session has done to the terminal that shows it, and whether its
 * last byte stands inside a sequence or a character. Pure; it holds no text, knows no cursor position
 * and no attributes (DECSC keeps those), and says nothing to anybody.
 *
 * Every byte of every terminal passes here: text without an escape costs one `indexOf` a chunk, and
 * nothing is allocated. Wire facts: ECMA-48 5 (control sequences), xterm's ctlseqs (private modes).
 */

import { bitOf, invertedBits, mode, onAlternate } from "./terminal-bits.ts";

export interface ScreenModes {
  /** Takes the next bytes of the output, cut anywhere; keeps no reference to them. */
  take(chunk: Uint8Array): void;
  /** Bits of `mode`. */
  modes(): number;
  /** Whether what comes next may belong to an unfinished sequence or character. */
  isInside(): boolean;
  /** Whether a sequence is unfinished, so that text would be eaten by it. */
  isInSequence(): boolean;
  /** Whether the last byte was a line feed, or nothing was said at all. */
  isAfterLine(): boolean;
}

const ground = 0;
const escaped = 1;
/** After ESC and an intermediate byte, such as `ESC ( B`. */
const escapedMore = 2;
const control = 3;
/** OSC, which BEL ends too. */
const command = 4;
/** DCS, SOS, PM, APC and the title of screen: until ST. */
const text = 5;

const ESC = 0x1b;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
/** Numbers of a control sequence that are looked at; no program of ours sets more modes at once. */
const numbersMost = 16;
/** No mode has a larger number. */
const numberMost = 65_535;
/** Between two sequences there is mostly less text than a search is worth; then it is searched. */
const nearBytes = 48;

/** Ends of control sequences that can change a mode; `m` only after `>`, and so it is none. */
const telling = new Uint8Array(0x80);
for (const final of "hlrsuqp") telling[final.charCodeAt(0)] = 1;

export function followModes(): ScreenModes {
  let state = ground;
  let on = 0;
  /** The last three bytes, the latest lowest; as if a line had just ended. */
  let tail = 0x0a;
  const numbers = new Int32Array(numbersMost);
  let count = 0;
  let prefix = 0;
  let intermediate = 0;

  function set(bit: number, isOn: boolean): void {
    on = isOn ? on | bit : on & ~bit;
  }

  const savedHere = (): number =>
    (on & onAlternate) === 0 ? mode.savedOnMain : mode.savedOnAlternate;

  function setPrivate(number: number, isSet: boolean): void {
    if (number === 1048) return set(savedHere(), isSet);
    const bit = bitOf(number);
    if ((bit & onAlternate) !== 0) {
      // Whichever of the three ends it, there is one other screen, and what was saved there is gone.
      if (isSet) set(bit, (on & onAlternate) === 0 || (on & bit) !== 0);
      else set(onAlternate | mode.savedOnAlternate, false);
    } else set(bit, isSet !== ((bit & invertedBits) !== 0));
  }

  /** ECMA-48 5.4: what a finished control sequence does to the modes. */
  function finish(final: number): void {
    const first = numbers[0] ?? 0;
    const given = Math.min(count + 1, numbersMost);
    if (prefix === 0x3f && intermediate === 0 && (final === 0x68 || final === 0x6c)) {
      for (let at = 0; at < given; at++) setPrivate(numbers[at] ?? 0, final === 0x68);
    } else if (prefix === 0x3e) {
      if (final === 0x6d && first === 4) set(mode.otherKeys, given > 1 && numbers[1] !== 0);
      if (final === 0x75) set(mode.kittyKeys, true);
    } else if (prefix === 0x3c) {
      if (final === 0x75) set(mode.kittyKeys, false);
    } else if (prefix !== 0) {
      if (prefix === 0x3d && final === 0x75) set(mode.kittyKeys, first !== 0);
    } else if (intermediate === 0x20) {
      if (final === 0x71) set(mode.cursorShape, first !== 0);
    } else if (intermediate === 0x21) {
      if (final === 0x70) softReset();
    } else if (intermediate === 0) finishPlain(final, first, given);
  }

  function finishPlain(final: number, first: number, given: number): void {
    if (final === 0x72) set(mode.region, first !== 0 || given > 1);
    else if (final === 0x73 && given === 1 && first === 0) set(savedHere(), true);
    else if (final === 0x75 && given === 1 && first === 0) set(savedHere(), false);
    else if (final === 0x68 || final === 0x6c)
      for (let at = 0; at < given; at++) if (numbers[at] === 4) set(mode.insert, final === 0x68);
  }

  /** DECSTR, `CSI ! p`. */
  function softReset(): void {
    const reset = mode.region | mode.origin | mode.cursorHidden | mode.cursorKeys | mode.keypad;
    set(reset | mode.insert | mode.noWrap | savedHere(), false);
  }

  /** What follows ESC. */
  function afterEscape(byte: number): void {
    state = ground;
    if (byte === 0x5b) {
      state = control;
      numbers[0] = count = prefix = intermediate = 0;
    } else if (byte === 0x5d) state = command;
    else if (byte === 0x50 || byte === 0x58 || byte === 0x5e || byte === 0x5f || byte === 0x6b)
      state = text;
    else if (byte >= 0x20 && byte <= 0x2f) state = escapedMore;
    else if (byte === ESC) state = escaped;
    else if (byte < 0x20 && byte !== CAN && byte !== SUB) state = escaped;
    else if (byte === 0x37) set(savedHere(), true);
    else if (byte === 0x38) set(savedHere(), false);
    else if (byte === 0x3d) set(mode.keypad, true);
    else if (byte === 0x3e) set(mode.keypad, false);
    else if (byte === 0x63) on = 0;
  }

  /** One byte of a control sequence. */
  function inControl(byte: number): void {
    if (byte >= 0x30 && byte <= 0x39) {
      if (count < numbersMost)
        numbers[count] = Math.min((numbers[count] ?? 0) * 10 + byte - 0x30, numberMost);
    } else if (byte === 0x3b || byte === 0x3a) {
      count += 1;
      if (count < numbersMost) numbers[count] = 0;
    } else if (byte >= 0x3c && byte <= 0x3f) prefix = byte;
    else if (byte >= 0x20 && byte <= 0x2f) intermediate = byte;
    else if (byte >= 0x40 && byte <= 0x7e) {
      state = ground;
      finish(byte);
    } else if (byte === ESC) state = escaped;
    else if (byte === CAN || byte === SUB) state = ground;
  }

  /**
   * Where a whole control sequence that changes nothing ends, nearly all of them being colours and
   * places; 0 for every other one. `from` is behind its `[`.
   */
  function idle(chunk: Uint8Array, from: number): number {
    const { length } = chunk;
    if (from >= length || (chunk[from] ?? 0) >= 0x3c) {
      // A private one, or the final byte itself.
      const byte = chunk[from] ?? 0;
      return byte >= 0x40 && byte <= 0x7e && telling[byte] === 0 ? from + 1 : 0;
    }
    let at = from;
    let byte = 0;
    while (at < length) {
      byte = chunk[at] ?? 0;
      if (byte < 0x20 || byte > 0x3f) break;
      at += 1;
    }
    return byte >= 0x40 && byte <= 0x7e && telling[byte] === 0 ? at + 1 : 0;
  }

  /** Where the next escape is, or the end. */
  function nextEscape(chunk: Uint8Array, from: number): number {
    const near = Math.min(chunk.length, from + nearBytes);
    for (let at = from; at < near; at++) if (chunk[at] === ESC) return at;
    const far = near < chunk.length ? chunk.indexOf(ESC, near) : -1;
    return far < 0 ? chunk.length : far;
  }

  /** From a byte that is not plain text to the end of its sequence, or of the chunk. */
  function sequence(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && state !== ground) {
      if (state === text) {
        at = chunk.indexOf(ESC, at);
        if (at < 0) return chunk.length;
        state = escaped;
        at += 1;
        continue;
      }
      const byte = chunk[at] ?? 0;
      at += 1;
      if (state === control) inControl(byte);
      else if (state === escaped) afterEscape(byte);
      else if (byte === ESC) state = escaped;
      else if (byte === CAN || byte === SUB || (state === command && byte === BEL)) state = ground;
      else if (state === escapedMore && byte >= 0x30) state = ground;
    }
    return at;
  }

  function take(chunk: Uint8Array): void {
    const { length } = chunk;
    let at = state === ground ? chunk.indexOf(ESC) : nextEscape(chunk, sequence(chunk, 0));
    while (at >= 0 && at < length) {
      const end = chunk[at + 1] === 0x5b ? idle(chunk, at + 2) : 0;
      if (end > 0) at = end;
      else {
        state = escaped;
        at = sequence(chunk, at + 1);
      }
      at = nextEscape(chunk, at);
    }
    for (let near = Math.max(0, length - 3); near < length; near++)
      tail = ((tail << 8) | (chunk[near] ?? 0)) & 0xffffff;
  }

  return {
    take,
    modes: () => on,
    isInside: () => state !== ground || isInCharacter(tail),
    isInSequence: () => state !== ground,
    isAfterLine: () => (tail & 0xff) === 0x0a,
  };
}

/** Whether three bytes end within a character of UTF-8 (RFC 3629 3). */
function isInCharacter(tail: number): boolean {
  const last = tail & 0xff;
  if (last >= 0xc2) return last <= 0xf4;
  if (last < 0x80 || last > 0xbf) return false;
  const before = (tail >> 8) & 0xff;
  if (before >= 0xe0) return before <= 0xf4;
  if (before < 0x80 || before > 0xbf) return false;
  const first = tail >> 16;
  return first >= 0xf0 && first <= 0xf4;
}

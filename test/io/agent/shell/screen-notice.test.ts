/** The bytes of a notice, and of a terminal that is handed back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { followModes } from "../../../../src/io/agent/shell/screen-modes.ts";
import { handBack, isTaken, noticeFor } from "../../../../src/io/agent/shell/screen-notice.ts";
import { mode } from "../../../../src/io/agent/shell/terminal-bits.ts";

const looks = { term: "xterm", cols: 40, rows: 24 };
const bold = "<ESC>[1m[converge]<ESC>[0m";

for (const [name, text, modes, isFree, more, want] of [
  [
    "above the prompt",
    "hello",
    0,
    true,
    {},
    `<ESC>D<ESC>[A<ESC>7<ESC>[0m<SI><ESC>(B<ESC>[L<CR>${bold} hello<ESC>8<ESC>[B`,
  ],
  ["below it where a cursor is kept", "hello", 0, false, {}, `<CR><LF>${bold} hello<CR><LF>`],
  [
    "the last row of the other screen",
    "hello",
    mode.alternate,
    true,
    {},
    `<ESC>7<ESC>[0m<SI><ESC>(B<ESC>[24;1H<ESC>[2K${bold} hello<ESC>8`,
  ],
  [
    "the same with origin",
    "hello",
    mode.alternateKept | mode.origin,
    true,
    {},
    `<ESC>7<ESC>[0m<SI><ESC>(B<ESC>[?6l<ESC>[24;1H<ESC>[2K${bold} hello<ESC>8`,
  ],
  [
    "the same where a cursor is kept",
    "hello",
    mode.alternate,
    false,
    {},
    `<ESC>[0m<SI><ESC>(B<ESC>[24;1H<ESC>[2K${bold} hello<ESC>[H`,
  ],
  [
    "cut to the width",
    "x".repeat(40),
    mode.alternate,
    true,
    {},
    `<ESC>7<ESC>[0m<SI><ESC>(B<ESC>[24;1H<ESC>[2K${bold} ${"x".repeat(27)}…<ESC>8`,
  ],
  [
    "wide characters count twice",
    "界".repeat(20),
    mode.alternate,
    true,
    {},
    `<ESC>7<ESC>[0m<SI><ESC>(B<ESC>[24;1H<ESC>[2K${bold} ${"界".repeat(13)}…<ESC>8`,
  ],
  [
    "a dumb terminal",
    "x".repeat(40),
    0,
    true,
    { term: "dumb" },
    `<CR><LF>[converge] ${"x".repeat(27)}…<CR><LF>`,
  ],
  [
    "a terminal that is not named",
    "hello",
    0,
    true,
    { term: "" },
    "<CR><LF>[converge] hello<CR><LF>",
  ],
  ["a terminal of a column", "hello", 0, false, { cols: 1 }, "<CR><LF><CR><LF>"],
] as const)
  test(`a notice: ${name}`, () => {
    assert.equal(seen(noticeFor(text, modes, isFree, { ...looks, ...more })), want);
  });

/** With its controls in letters. */
function seen(text: string): string {
  const names: Record<string, string> = {
    "\x1b": "ESC",
    "\r": "CR",
    "\n": "LF",
    "\x0f": "SI",
    "\x18": "CAN",
  };
  return text.replace(/\p{Cc}/gu, (control) => `<${names[control] ?? control.charCodeAt(0)}>`);
}

for (const [name, modes, term, want] of [
  ["nothing is kept", 0, "xterm", false],
  ["on the main screen", mode.savedOnMain, "xterm", true],
  ["on the other one", mode.alternate | mode.savedOnAlternate, "xterm", true],
  ["on the main one, and the other is up", mode.alternate | mode.savedOnMain, "xterm", false],
  ["the same where both share a place", mode.alternate | mode.savedOnMain, "tmux-256color", true],
] as const)
  test(`whether the place for a cursor is taken: ${name}`, () =>
    assert.equal(isTaken(modes, term), want));

test("a notice leaves the modes as they were, but for a cursor that was kept", () => {
  const screen = followModes();
  for (const modes of [0, mode.alternate, mode.alternateKept]) {
    if (modes !== 0)
      screen.take(Buffer.from(modes === mode.alternate ? "\x1b[?47h" : "\x1b[?1049h"));
    const before = screen.modes();
    screen.take(Buffer.from(noticeFor("hello", modes, true, looks)));
    assert.equal(screen.modes(), before);
    assert.equal(screen.isInside(), false);
    screen.take(Buffer.from("\x1bc"));
  }
});

const everything = Object.values(mode).reduce((all, bit) => all | bit, 0);
for (const [name, modes] of [
  ["each", null],
  ["all", everything],
  ["all on the main screen", everything & ~(mode.alternate | mode.alternateKept)],
] as const)
  test(`a terminal that is handed back has no mode on: ${name}`, () => {
    for (const bits of modes === null ? Object.values(mode) : [modes]) {
      const screen = followModes();
      screen.take(Buffer.from(turnedOn(bits)));
      assert.equal(screen.modes() & bits, bits & screen.modes());
      screen.take(Buffer.from(handBack(screen.modes(), false, true)));
      // A cursor that was kept is nobody's then.
      assert.equal(screen.modes() & ~(mode.savedOnMain | mode.savedOnAlternate), 0, `${bits}`);
    }
  });

/** Output that has these modes on. */
function turnedOn(bits: number): string {
  const on: [number, string][] = [
    [mode.savedOnMain, "7"],
    [mode.alternate, "[?47h"],
    [mode.alternateKept, "[?1049h"],
    [mode.region, "[2;5r"],
    [mode.origin, "[?6h"],
    [mode.mouse, "[?1003h"],
    [mode.mouseForm, "[?1006h"],
    [mode.focus, "[?1004h"],
    [mode.paste, "[?2004h"],
    [mode.cursorHidden, "[?25l"],
    [mode.cursorKeys, "[?1h"],
    [mode.keypad, "="],
    [mode.otherKeys, "[>4;1m"],
    [mode.kittyKeys, "[>1u"],
    [mode.cursorShape, "[6 q"],
    [mode.insert, "[4h"],
    [mode.noWrap, "[?7l"],
    [mode.synchronized, "[?2026h"],
    [mode.reverse, "[?5h"],
  ];
  return on.map(([bit, text]) => ((bits & bit) === 0 ? "" : `\x1b${text}`)).join("");
}

for (const [name, modes, isInSequence, isAfterLine, want] of [
  ["clean, after a line", 0, false, true, ""],
  ["clean, after half a line", 0, false, false, "<ESC>[0m<CR><LF>"],
  ["in a sequence", 0, true, false, "<CAN><ESC>[0m<CR><LF>"],
  ["the other screen", mode.alternateKept, false, false, "<ESC>[?1049l<ESC>[0m<CR><ESC>[K"],
  [
    "mc's",
    mode.alternate | mode.savedOnMain,
    false,
    false,
    "<ESC>[?1047l<ESC>8<ESC>[0m<CR><ESC>[K",
  ],
  [
    "one that keeps no cursor",
    mode.alternate,
    false,
    false,
    "<ESC>[?1047l<ESC>[999;1H<CR><LF><ESC>[0m<CR><ESC>[K",
  ],
] as const)
  test(`handed back: ${name}`, () => {
    assert.equal(seen(handBack(modes, isInSequence, isAfterLine)), want);
  });

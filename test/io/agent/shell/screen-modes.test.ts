/** What a session's output has done to its terminal, whatever way the bytes are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { followModes, type ScreenModes } from "../../../../src/io/agent/shell/screen-modes.ts";
import { mode } from "../../../../src/io/agent/shell/terminal-bits.ts";

const esc = "\u001b";

function after(...parts: readonly (string | Uint8Array)[]): ScreenModes {
  const screen = followModes();
  for (const part of parts) screen.take(Buffer.from(part));
  return screen;
}

/** The names of the modes that are on. */
const named = (bits: number): string[] =>
  Object.entries(mode).flatMap(([name, bit]) => ((bits & bit) === 0 ? [] : [name]));

const rules: [string, string, string[]][] = [
  ["nothing", "", []],
  ["text", "make: *** [all] Error 1\r\n", []],
  ["?47", "^[?47h", ["alternate"]],
  ["?1047 set and reset", "^[?1047h^[?1047l", []],
  ["?1049", "^[?1049h", ["alternateKept"]],
  ["?1049 left as ?47", "^[?1049h^[?47l", []],
  ["several at once", "^[?1049;25;1h", ["alternateKept", "cursorKeys"]],
  ["the cursor hidden", "^[?25l", ["cursorHidden"]],
  ["and shown", "^[?25l^[?25h", []],
  ["no autowrap", "^[?7l", ["noWrap"]],
  ["a scroll region", "^[2;20r", ["region"]],
  ["and none", "^[2;20r^[r", []],
  ["origin", "^[?6h", ["origin"]],
  ["DECSC", "^7", ["savedOnMain"]],
  ["DECSC and DECRC", "^7text^8", []],
  ["saved on the other screen", "^[?1049h^7", ["alternateKept", "savedOnAlternate"]],
  ["saved on both", "^7^[?47h^7", ["alternate", "savedOnMain", "savedOnAlternate"]],
  ["what mc does", "^7^[?47h^[?47l^8", []],
  ["?1048", "^[?1048h", ["savedOnMain"]],
  ["SCOSC and SCORC", "^[s", ["savedOnMain"]],
  ["margins are no SCOSC", "^[1;40s", []],
  ["mouse", "^[?1000h^[?1006h", ["mouse", "mouseForm"]],
  ["mouse off by another of its numbers", "^[?1000h^[?1002h^[?1002l", []],
  ["focus and paste", "^[?1004;2004h", ["focus", "paste"]],
  ["DECKPAM", "^=", ["keypad"]],
  ["DECKPNM", "^=^>", []],
  ["modifyOtherKeys", "^[>4;2m", ["otherKeys"]],
  ["and off", "^[>4;2m^[>4m", []],
  ["kitty's keyboard", "^[>1u", ["kittyKeys"]],
  ["and off", "^[>1u^[<u", []],
  ["the cursor's shape", "^[6 q", ["cursorShape"]],
  ["and its own again", "^[6 q^[0 q", []],
  ["insert", "^[4h", ["insert"]],
  ["colours are none of ours", "^[1;31;48;5;4m", []],
  ["DECSTR", "^[4h^[2;3r^7^[!p", []],
  ["RIS", "^[?1049h^[?1000h^[?25l^c", []],
  ["a control inside a sequence", "^[?10\n49h", ["alternateKept"]],
  ["a sequence cut off by CAN", "^[?104\u001849h", []],
  ["a sequence cut off by another", "^[?104^[?25l", ["cursorHidden"]],
  ["a title that looks like a mode", "^]0;^[?25l\u0007", ["cursorHidden"]],
  ["a title ended by ST", "^]0;[?1049h^\\", []],
  ["a device string", "^P+q[?1049h\u0007[?25l^\\", []],
  ["a charset", "^(0lqqk^(B", []],
  ["more numbers than are looked at", `^[?${"1;".repeat(40)}1049h`, ["cursorKeys"]],
  ["a number beyond all", "^[?99999999999999999999h", []],
];
for (const [name, output, want] of rules)
  test(`modes: ${name}`, () => {
    assert.deepEqual(named(after(output.replaceAll("^", esc)).modes()).sort(), [...want].sort());
  });

for (const [name, output, want] of [
  ["nothing", "", false],
  ["text", "abc", false],
  ["an escape", "a^", true],
  ["a sequence", "^[?10", true],
  ["a finished one", "^[?10h", false],
  ["a title", "^]0;a", true],
  ["its end begun", "^]0;a^", true],
  ["its end", "^]0;a^\\", false],
  ["a charset", "^(", true],
  ["half of é", Buffer.from([0xc3]), true],
  ["é", "é", false],
  ["two thirds of €", Buffer.from([0x61, 0xe2, 0x82]), true],
  ["€", "€", false],
  ["three quarters of 😀", Buffer.from([0xf0, 0x9f, 0x98]), true],
  ["😀", "😀", false],
  ["no UTF-8 at all", Buffer.from([0x80, 0x80, 0x80]), false],
  ["text of Latin-1 and a letter", Buffer.from([0xe9, 0x61]), false],
] as const)
  test(`inside: ${name}`, () => {
    const bytes = typeof output === "string" ? output.replaceAll("^", esc) : output;
    assert.equal(after(bytes).isInside(), want);
    assert.equal(
      after(...[...Buffer.from(bytes)].map((byte) => Buffer.from([byte]))).isInside(),
      want,
    );
  });

/** Output as programs make it, and as they do not. */
const output = fc
  .array(
    fc.oneof(
      fc.constantFrom(...rules.map(([, text]) => text.replaceAll("^", esc))),
      fc.constantFrom(esc, `${esc}[`, `${esc}]`, `${esc}P`, "?", ";", "1049", "h", "l", "7", "8"),
      fc.string({ unit: "grapheme", maxLength: 8 }),
      fc.uint8Array({ maxLength: 6 }),
    ),
    { maxLength: 24 },
  )
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part as string))));

test("however it is cut, the end is the same", () => {
  fc.assert(
    fc.property(output, fc.array(fc.nat(), { maxLength: 30 }), (whole, places) => {
      const cuts = [...places.map((place) => place % (whole.length + 1)), 0, whole.length];
      cuts.sort((a, b) => a - b);
      const parts = cuts.slice(1).map((cut, index) => whole.subarray(cuts[index], cut));
      const [one, many] = [after(whole), after(...parts)];
      assert.deepEqual(
        [many.modes(), many.isInside(), many.isInSequence(), many.isAfterLine()],
        [one.modes(), one.isInside(), one.isInSequence(), one.isAfterLine()],
      );
    }),
    { numRuns: 2_000 },
  );
});

/** Argument room: what is said to fit does, and what is said not to does not, to the byte. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { test } from "node:test";
import {
  fits,
  fitsOnWindows,
  roomHere,
  roomOn,
  tooLong,
} from "../../../../src/io/agent/shell/argument-room.ts";
import { openTerminal } from "../../../../src/io/agent/shell/terminal.ts";
import { all, env } from "../../../support/processes.ts";

const stack = (size: string): string =>
  `Max cpu time unlimited\nMax stack size   ${size}  unlimited bytes\n`;
for (const [name, platform, limits, want] of [
  ["the usual stack", "linux", stack("8388608"), { each: 131_072, all: 2_097_152 }],
  ["a small stack", "linux", stack("65536"), { each: 131_072, all: 131_072 }],
  ["a stack without end", "linux", stack("unlimited"), { each: 131_072, all: 6_291_456 }],
  ["no /proc", "linux", "", { each: 131_072, all: 6_291_456 }],
  ["macOS", "darwin", "", { each: 1_048_576, all: 1_048_576 }],
] as const)
  test(`room: ${name}`, () => assert.deepEqual(roomOn(platform, limits), want));

for (const [file, length, want] of [
  ["C:\\windows\\system32\\cmd.exe", 8_191, true],
  ["C:\\windows\\system32\\CMD.EXE", 8_192, false],
  ["C:\\pwsh.exe", 32_766, true],
  ["C:\\pwsh.exe", 32_767, false],
] as const)
  test(`a line of ${length} characters for ${file}: ${want}`, () => {
    assert.equal(fitsOnWindows([file, "x".repeat(length - file.length - 1)]), want);
  });

/** Whether the system itself starts it. */
const starts = (args: readonly string[], env: Record<string, string>): boolean =>
  spawnSync("/bin/true", args, { env }).error === undefined;

for (const [name, length] of [
  ["the longest argument", 131_071],
  ["one byte more", 131_072],
] as const)
  test(`as the system has it: ${name}`, () => {
    const args = ["x".repeat(length)];
    assert.equal(fits(["/bin/true", ...args], {}, roomHere()), starts(args, {}));
    const value = { A: "é".repeat((length - 2) >> 1), B: "" };
    assert.equal(fits(["/bin/true"], value, roomHere()), starts([], value));
    const variable = { A: "x".repeat(length - 2) };
    assert.equal(fits(["/bin/true"], variable, roomHere()), starts([], variable));
  });

test("as the system has it: all of them together", () => {
  const many = (count: number): string[] => Array.from({ length: count }, () => "x".repeat(999));
  const most = (isIn: (args: string[]) => boolean): number => {
    let [low, high] = [0, 10_000];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (isIn(many(middle))) low = middle;
      else high = middle;
    }
    return low;
  };
  const want = most((args) => starts(args, {}));
  const said = most((args) => fits(["/bin/true", ...args], {}, roomHere()));
  assert.ok(Math.abs(said - want) <= 2, `${said} of ${want}`);
});

for (const modes of [{}, { VINTR: 24 }])
  test(`a terminal says so, with 126, ${JSON.stringify(modes)}`, async () => {
    const what = { file: "/bin/sh", args: ["-c", `: ${"x".repeat(200_000)}`], cwd: tmpdir(), env };
    const terminal = openTerminal({ ...what, cols: 80, rows: 24, modes });
    assert.equal((await all(terminal.stdout)).toString(), `/bin/sh: ${tooLong}\r\n`);
    assert.deepEqual(await terminal.exited, { code: 126, signal: null });
  });

/** Terminal modes: what a client may say, and what of it becomes a word of a shell. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { openTerminal } from "../../../../src/io/agent/shell/terminal.ts";
import {
  addonModes,
  sttyLine,
  sttyWords,
  withModes,
} from "../../../../src/io/agent/shell/terminal-modes.ts";
import { all, env } from "../../../support/processes.ts";

for (const [name, modes, want] of [
  ["none at all", {}, []],
  ["what it is already", addonModes, []],
  [
    "a control character",
    { VERASE: 8, VINTR: 24 },
    [
      ["erase", "^H"],
      ["intr", "^X"],
    ],
  ],
  [
    "the zero character, and delete",
    { VKILL: 0, VWERASE: 127 },
    [
      ["kill", "^@"],
      ["werase", "^?"],
    ],
  ],
  [
    "a printed one, a shell's among them",
    { VEOL: 59, VEOL2: 36 },
    [
      ["eol", ";"],
      ["eol2", "$"],
    ],
  ],
  ["a digit is a character and no number", { VEOL: 56 }, [["eol", "8"]]],
  ["beyond ASCII", { VSTART: 200 }, [["start", "200"]]],
  [
    "255 is none",
    { VSUSP: 255, VDISCARD: 255 },
    [
      ["susp", "undef"],
      ["discard", "undef"],
    ],
  ],
  ["switches off", { ECHO: 0, ICRNL: 0 }, [["-echo"], ["-icrnl"]]],
  ["switches on, by any number", { TOSTOP: 1, IXOFF: 7, ECHO: 9 }, [["tostop"], ["ixoff"]]],
  ["UTF-8", { IUTF8: 0 }, [["-iutf8"]]],
  ["speeds that there are", { TTY_OP_ISPEED: 9_600, TTY_OP_OSPEED: 31 }, [["ispeed", "9600"]]],
  ["characters beyond a byte", { VINTR: 256, VQUIT: -1, VKILL: 2 ** 32 - 1, VEOF: 1.5 }, []],
  ["what a terminal of ours cannot be", { CS7: 1, CS8: 0, PARENB: 1, PENDIN: 1 }, []],
  ["names of nobody's", { "; touch x": 1, __proto__: 1, constructor: 1, VNEW: 3 }, []],
] as const)
  test(`modes as stty's words: ${name}`, () => {
    assert.deepEqual(sttyWords(modes as Record<string, number>, addonModes), want);
  });

test("every character is one word of the shell, whatever it is", () => {
  for (let code = 0; code < 256; code += 1) {
    const line = sttyLine(sttyWords({ VEOL: code }, {})).replaceAll(/\bstty /g, "printf '%s|' ");
    const said = execFileSync("/bin/sh", ["-c", line], { encoding: "utf8" });
    assert.match(said, /^eol\|(?:\^.|[ -~]|\d{3}|undef)\|$/, String(code));
  }
});

/** What a program on a new terminal says with these modes. */
async function said(command: string, modes: Record<string, number>, more = {}): Promise<string> {
  const what = { file: "/bin/sh", args: ["-c", command], cwd: tmpdir(), env: { ...env, ...more } };
  const terminal = openTerminal({ ...what, cols: 91, rows: 33, modes });
  return (await all(terminal.stdout)).toString();
}

test("the table is what the addon sets, and each mode of it can be set", async () => {
  const before = await said("stty -a", {});
  const other = Object.entries(addonModes).map(([name, value = 0]) => {
    if (name.startsWith("TTY_OP")) return [name, 9_600] as const;
    return [name, name.startsWith("V") ? 65 : 1 - value] as const;
  });
  // Characters that are the same anyway, and output as it is; then back again.
  const modes = { ...Object.fromEntries(other), ICANON: 1, ISIG: 1 };
  const changed = sttyLine(sttyWords(modes, addonModes));
  const back = sttyLine(sttyWords(addonModes, {}));
  const after = await said(`${changed} stty -a >&2; ${back} stty -a`, {});
  const plain = (text: string): string => text.replaceAll("\r", "");
  assert.ok(plain(after).endsWith(plain(before)), after);
  assert.match(after, /intr = A; quit = A; erase = A;/);
  assert.match(after, /^speed 9600 baud/);
});

test("a program starts with the modes, its words and its whole environment", async () => {
  const more = { "BASH_FUNC_f%%": "() { echo 'f'; }", "odd-name": "it's $HOME" };
  const command = `stty -a | head -2 | tail -1; tr '\\0' '\\n' </proc/$$/environ | grep -a odd`;
  const text = await said(command, { VINTR: 24, VEOL: 255 }, more);
  assert.equal(
    text,
    "intr = ^X; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; eol = <undef>;\r\nodd-name=it's $HOME\r\n",
  );
});

test("where stty is missing or knows not all, the program starts, with what it knows", async () => {
  assert.equal(await said("echo $((40+2))", { VINTR: 24 }, { PATH: "/nowhere" }), "42\r\n");
  const line = sttyLine([["no-such-mode"], ["intr", "^X"]]);
  assert.match(await said(`${line} stty -a`, {}), /intr = \^X/);
});

test("nothing is started in between when there is nothing to set", () => {
  const start = { file: "/bin/bash", args: ["-l"], env };
  assert.equal(withModes(start, {}), start);
  assert.equal(withModes(start, { VINTR: 3 }), start);
});

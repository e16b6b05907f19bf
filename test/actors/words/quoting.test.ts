/** Quoting: words as each shell wants them. That real shells read them so is in test/web/commands.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cmd, powershell, rsyncWord, type Shell, sh } from "../../../src/actors/words/quoting.ts";

/** What CI systems replace before a shell sees it. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: that is what they look for
const replaced = ["${{ x }}", "$(x)", "${x}", "$[x]", "<< x >>"];

const words: [Shell, string, string][] = [
  [sh, "plain/word-1.2:3,@%+", "plain/word-1.2:3,@%+"],
  [sh, "--flag=value", "--flag=value"],
  [sh, "=word", "'=word'"], // zsh would look for a program of that name
  [sh, "", "''"],
  [sh, "two words", "'two words'"],
  [sh, "it's", "'it'\\''s'"],
  [sh, "$(x)", "'$''(x)'"],
  [sh, "<< x >>", "'<''<'' x >>'"],
  [powershell, "-Flag", "-Flag"],
  [powershell, "a,b", "'a,b'"], // else a list of two
  [powershell, "", "''"],
  [powershell, "it's", "'it''s'"],
  [powershell, "it\u2019s", "'it\u2019\u2019s'"],
  [powershell, "$(x)", "('$'+'(x)')"],
  [cmd, "C:/dir/file-1.txt", "C:/dir/file-1.txt"],
  [cmd, "", '""'],
  [cmd, "two words", '"two words"'],
];
for (const [shell, text, want] of words)
  test(`${shell.name} is given ${JSON.stringify(text)} as ${want}`, () =>
    assert.equal(shell.word(text), want));

for (const shell of [sh, powershell])
  for (const text of replaced)
    test(`${shell.name} is given ${text} with nothing in it that a CI system would replace`, () =>
      assert.doesNotMatch(shell.word(text), /\$[{([]|<</));

for (const [shell, want] of [
  [sh, '"$CI_ID-x"'],
  [powershell, '"$env:CI_ID-x"'],
  [cmd, '"%CI_ID%-x"'],
] as const)
  test(`${shell.name} fills in a variable as ${want}`, () =>
    assert.equal(shell.filled("{CI_ID}-x"), want));

for (const [shell, text, want] of [
  [sh, `"%!$<>&|^\n`, null],
  [powershell, "%!$<>&|^\n", null],
  [powershell, 'a"b', "a double quote"],
  [cmd, "a b,c;d'e", null],
  ...[...`"%!$<>&|^\n`].map(
    (one) => [cmd, `a${one}b`, 'one of " % ! $ < > & | ^ or a line end'] as const,
  ),
] as const)
  test(`${shell.name} ${want ? "cannot" : "can"} write ${JSON.stringify(text)}`, () =>
    assert.equal(shell.cannot(text), want));

for (const [text, want] of [
  ["-oPort=22", "-oPort=22"],
  ["two words", '"two words"'],
  ['a "b"', '"a ""b"""'],
  ["", '""'],
] as const)
  test(`rsync's -e is given ${JSON.stringify(text)} as ${want}`, () =>
    assert.equal(rsyncWord(text), want));

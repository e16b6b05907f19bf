import assert from "node:assert/strict";
import { test } from "node:test";
import { helpText, spoken, wordsFor } from "../../../src/actors/words/sentences.ts";
import type { Notice } from "../../../src/machines/vocabulary.ts";

for (const [ms, want] of [
  [0, "0s"],
  [400, "0s"],
  [45_000, "45s"],
  [60_000, "1m"],
  [599_000, "9m 59s"],
  [7_500_000, "2h 5m"],
  [7_200_000, "2h"],
  [90_000_000, "1d 1h"],
] as const)
  test(`${ms} ms is said as ${want}`, () => assert.equal(spoken(ms), want));

const notices: [Notice, string][] = [
  [
    { about: "expiry near", leftMs: 60_000, cause: "inactivity" },
    "The session ends in 1m without activity. Press any key to extend it.",
  ],
  [
    { about: "expiry near", leftMs: 60_000, cause: "hard cap" },
    "The job ends in 1m, its longest duration. Nothing extends it: save your work.",
  ],
  [
    { about: "expiry extended", leftMs: 600_000 },
    "Extended: the session now ends in 10m without activity.",
  ],
  [{ about: "client joined", who: "ann" }, "ann joined."],
  [
    { about: "keys changed", what: "keys file changed" },
    "Keys file changed. The next login obeys it.",
  ],
  [
    { about: "ending", ending: { kind: "last client left" } },
    "The last client left. The job goes on without this session.",
  ],
];
for (const [notice, want] of notices)
  test(`"${want}" is one line`, () => {
    assert.equal(wordsFor(notice), want);
    assert.doesNotMatch(want, /[\r\n]/);
  });

const dated = "(ni $env:agentdir\\.hold -Force).LastWriteTime = (Get-Date).AddHours(2)";
for (const [platform, shell, hold, longer] of [
  ["linux", "fish", "touch $agentdir/.hold", "touch -d '+2 hours' $agentdir/.hold"],
  ["darwin", "zsh", "touch $agentdir/.hold", "touch -t $(date -v+2H +%Y%m%d%H%M) $agentdir/.hold"],
  ["win32", "cmd", 'echo > "%agentdir%\\.hold"', `powershell -c "${dated}"`],
  ["win32", "powershell", "ni $env:agentdir\\.hold -Force", dated],
  ["win32", "PWSH", "ni $env:agentdir\\.hold -Force", dated],
  ["win32", "bash", 'touch "$agentdir/.hold"', "touch -d '+2 hours' \"$agentdir/.hold\""],
] as const)
  test(`the help on ${platform} shows what ${shell} understands`, () => {
    const help = helpText({
      platform,
      shell,
      agentdir: "/job",
      leftMs: 1_000,
      timeoutMs: 1_000,
      held: false,
    });
    assert.ok(help.includes(`To make it wait:  ${hold}\r\n`));
    assert.ok(help.includes(`To hold it for two hours:  ${longer}\r\n`));
    for (const line of help.trimEnd().split("\r\n")) assert.match(line, /^\[converge\] /);
  });

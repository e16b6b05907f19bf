import assert from "node:assert/strict";
import { test } from "node:test";
import { spoken, titleFor, wordsFor } from "../../../src/actors/words/sentences.ts";
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
    "The job ends in 1m, and nothing extends it: save your work.",
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
    "The last client left. The job goes on.",
  ],
];
for (const [notice, want] of notices)
  test(`"${want}" is one line`, () => {
    assert.equal(wordsFor(notice), want);
    assert.doesNotMatch(want, /[\r\n]/);
  });

for (const [notice, want] of [
  [{ about: "expiry near", leftMs: 240_000, cause: "inactivity" }, "ends in 4m"],
  [{ about: "relay ending", leftMs: 30_000, isKept: false }, "cut in 30s"],
  [{ about: "relay ending", leftMs: 30_000, isKept: true }, null],
  [{ about: "expiry extended", leftMs: 1_000 }, ""],
  [{ about: "client joined", who: "ann" }, null],
] as const)
  test(`the title for ${notice.about}`, () => assert.equal(titleFor(notice), want));

test("every notice fits into 80 columns, with its prefix and one to spare", () => {
  const leftMs = 7_500_000;
  const all: Notice[] = [
    ...(["inactivity", "hard cap"] as const).map(
      (cause): Notice => ({ about: "expiry near", leftMs: 300_000, cause }),
    ),
    { about: "expiry extended", leftMs },
    { about: "hold set", leftMs },
    { about: "hold cleared" },
    { about: "relay lost" },
    { about: "relay found" },
    { about: "relay ending", leftMs: 30_000, isKept: false },
    { about: "relay ending", leftMs: 30_000, isKept: true },
    { about: "link back", outageMs: 7_500_000 },
    { about: "keys changed", what: "keys file changed" },
    ...(["last client left", "inactivity", "hard cap", "interrupted"] as const).map(
      (kind): Notice => ({ about: "ending", ending: { kind } }),
    ),
  ];
  for (const text of all.map(wordsFor)) assert.ok(`[converge] ${text}`.length <= 79, text);
});

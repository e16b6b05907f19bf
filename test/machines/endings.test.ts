import assert from "node:assert/strict";
import { test } from "node:test";
import { Endings } from "../../src/machines/endings.ts";
import type { RendezvousId } from "../../src/machines/vocabulary.ts";

const id = (n: number) => `job-${n}` as RendezvousId;
const hour = 60 * 60_000;

test("an ending is known for an hour, and not once somebody has the id again", () => {
  const endings = new Endings();
  const ending = { atMs: 0, kind: "inactivity" } as const;
  endings.note(id(1), ending);
  endings.note(id(2), ending);
  endings.forget(id(2));
  assert.equal(endings.of(id(1), hour - 1), ending);
  assert.equal(endings.of(id(1), hour), null);
  assert.equal(endings.of(id(2), 1), null);
});

test("of too many the one that ended first is forgotten, however often an id ends", () => {
  const endings = new Endings();
  for (let n = 0; n < 10_000; n += 1) endings.note(id(n), { atMs: n, kind: null });
  endings.note(id(0), { atMs: 10_000, kind: "hard cap" });
  endings.note(id(10_000), { atMs: 10_001, kind: null });
  assert.deepEqual(
    [0, 1, 2].map((n) => endings.of(id(n), 10_001)?.atMs),
    [10_000, undefined, 2],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { bucket } from "../../../../src/io/relay/admission/rates.ts";
import { HandClock } from "../../../support/processes.ts";

test("so many at once, then so many a second, and no more saved up than at the start", () => {
  const clock = new HandClock();
  const may = bucket(clock, 3, 2);
  const tries = (n: number): number => Array.from({ length: n }, may).filter(Boolean).length;
  assert.equal(tries(5), 3);
  clock.increment(499);
  assert.equal(tries(1), 0);
  clock.increment(1);
  assert.equal(tries(2), 1);
  clock.increment(60_000);
  assert.equal(tries(9), 3);
});

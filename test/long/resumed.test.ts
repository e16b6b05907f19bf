/**
 * Resumed: what test/slow shows of sessions that outlive their links, in full size and with the times
 * that are promised.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { endPrograms } from "../support/child.ts";
import { storm } from "../support/storm.ts";

after(endPrograms);

test("600 MiB each way are exact while the relay is killed every other second", async (t) => {
  const { resumes, tookMs } = await storm(600 * 1024 * 1024, (upMs) => upMs > 2_000);
  t.diagnostic(`${resumes} resumes, ${Math.round(tookMs / 1_000)} s`);
  assert.ok(resumes >= 5, `${resumes} resumes`);
  assert.ok(tookMs < 120_000, `${tookMs} ms`);
});

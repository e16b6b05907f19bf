/** Resumed in a storm: both ways at once, while the relay is killed at every seventh of the way. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { endPrograms } from "../support/child.ts";
import { storm } from "../support/storm.ts";

after(endPrograms);

const bytes = 60 * 1024 * 1024;

test("60 MiB each way are exact, however often the relay is killed", async (t) => {
  const { resumes, tookMs } = await storm(bytes, (_, more) => more > bytes / 7);
  t.diagnostic(`${resumes} resumes, ${Math.round(tookMs / 1_000)} s`);
  assert.ok(resumes >= 5, `${resumes} resumes`);
});

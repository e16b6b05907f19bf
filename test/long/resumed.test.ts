/**
 * Resumed: what test/slow shows of sessions that outlive their links, in full size and with the times
 * that are promised.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { asleep, crowdGone, relayGone } from "../support/away.ts";
import { endPrograms } from "../support/child.ts";
import { times } from "../support/outage.ts";
import { storm } from "../support/storm.ts";
import { until } from "../support/until.ts";

after(endPrograms);

test("600 MiB each way are exact while the relay is killed every other second", async (t) => {
  const { resumes, tookMs } = await storm(600 * 1024 * 1024, (upMs) => upMs > 2_000);
  t.diagnostic(`${resumes} resumes, ${Math.round(tookMs / 1_000)} s`);
  assert.ok(resumes >= 5, `${resumes} resumes`);
  assert.ok(tookMs < 120_000, `${tookMs} ms`);
});

test("the relay is gone for 90 s: one that is idle and one that is busy are back within 5 s", async (t) => {
  const { idleMs, busyMs } = await relayGone(90_000);
  t.diagnostic(`back after ${Math.round(idleMs)} and ${Math.round(busyMs)} ms`);
  assert.ok(Math.max(idleMs, busyMs) < 5_000);
});

test("a wsproxy that is stopped for as long as the relay waits for its pings goes on within 2 s", async (t) => {
  const backMs = await asleep(async ({ agent }) => {
    await until("the relay has cut it", () => times(agent, "client detached") === 1, 90_000);
  });
  t.diagnostic(`back after ${Math.round(backMs)} ms`);
  assert.ok(backMs < 2_000);
});

test("100 sessions at once lose the relay for 30 s: all are back within 10 s, and spread", async (t) => {
  const { backMs, share } = await crowdGone(100, 30_000);
  t.diagnostic(`back after ${backMs.map(Math.round).join(", ")} ms`);
  t.diagnostic(`at most ${Math.round(100 * share)} % in one second`);
  assert.ok((backMs.at(-1) ?? 0) < 10_000);
  assert.ok(share <= 1 / 3);
});

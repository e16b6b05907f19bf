/** Resumed after a while: the relay is gone for seconds, wsproxy is stopped, and many come back at once. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { asleep, crowdGone, relayGone } from "../support/away.ts";
import { endPrograms } from "../support/child.ts";
import { times } from "../support/outage.ts";
import { until } from "../support/until.ts";

after(endPrograms);

test("the relay is gone for 15 s: one that is idle and one that is busy are soon back", async (t) => {
  const { idleMs, busyMs } = await relayGone(15_000);
  t.diagnostic(`back after ${Math.round(idleMs)} and ${Math.round(busyMs)} ms`);
  assert.ok(Math.max(idleMs, busyMs) < 10_000);
});

test("a wsproxy that is stopped while the relay is killed goes on", async (t) => {
  const backMs = await asleep(async ({ agent, kill, revive }) => {
    await kill();
    await revive();
    await until("the agent has lost it", () => times(agent, "client detached") === 1);
  });
  t.diagnostic(`back after ${Math.round(backMs)} ms`);
});

test("30 sessions at once lose the relay for 8 s: all are back, and not all at once", async (t) => {
  const { backMs, share } = await crowdGone(30, 8_000);
  t.diagnostic(`back after ${backMs.map(Math.round).join(", ")} ms`);
  t.diagnostic(`at most ${Math.round(100 * share)} % in one second`);
  assert.ok((backMs.at(-1) ?? 0) < 20_000);
});

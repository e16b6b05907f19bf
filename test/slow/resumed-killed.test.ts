/** Resumed or gone: an ssh that is killed leaves nothing, whether its link stands or not. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxyOf } from "../support/away.ts";
import { endPrograms } from "../support/child.ts";
import { outage, times } from "../support/outage.ts";
import { runs } from "../support/processes.ts";
import { ssh } from "../support/programs.ts";
import { until } from "../support/until.ts";

after(endPrograms);

const kills = 20;
/** Generous beside what is promised, for a machine that does other things too. */
const proxyGoneMs = 3_000;
const clientOutMs = 5_000;
const detachedGoneMs = 12_000;

test(`${kills} times ssh is killed: no wsproxy and no client is left`, async (t) => {
  const { agent } = await outage();
  let [proxyMs, clientMs] = [0, 0];
  for (let n = 1; n <= kills; n += 1) {
    // Now one that says nothing, now one that prints without end.
    const run = ssh(agent, [n % 2 ? "echo in; sleep 1000" : "yes in"], { input: "open" });
    await run.see("in\n");
    const proxy = proxyOf(run);
    run.kill("SIGKILL");
    const began = performance.now();
    await until("wsproxy is gone", () => !runs(proxy), proxyGoneMs);
    proxyMs = Math.max(proxyMs, performance.now() - began);
    await until("the client is lost", () => times(agent, "client lost") === n, clientOutMs);
    clientMs = Math.max(clientMs, performance.now() - began);
  }
  assert.equal(times(agent, "client detached"), 0);
  t.diagnostic(
    `at the latest after ${Math.round(proxyMs)} ms wsproxy is gone, after ${Math.round(clientMs)} ms the client`,
  );
});

test("ssh is killed while the relay is gone: wsproxy gives up, and the client is out when its grace ends", async (t) => {
  const { agent, kill } = await outage([], ["--resume-timeout", "14s"]);
  const run = ssh(agent, ["echo in; sleep 1000"], { input: "open" });
  await run.see("in\n");
  const proxy = proxyOf(run);
  await kill();
  await until("it is away", () => times(agent, "client detached") === 1);
  run.kill("SIGKILL");
  const began = performance.now();
  await until("wsproxy is gone", () => !runs(proxy), detachedGoneMs);
  t.diagnostic(`wsproxy is gone after ${Math.round(performance.now() - began)} ms`);
  await until("the client is lost", () => times(agent, "client lost") === 1);
});

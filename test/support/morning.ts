/**
 * Morning: a relay with a real Prometheus that scrapes it, and all that happens to it before noon:
 * sessions, a transfer, a hold, an agent that falls silent, names that are taken, and those who come in vain.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { finished, program } from "./child.ts";
import { type AgentProgram, agentProgram, ours, relayProgram, ssh, sshArgs } from "./programs.ts";
import { prometheus } from "./prometheus.ts";
import { screen } from "./screen.ts";
import { register, stranger } from "./stranger.ts";
import { until } from "./until.ts";

/** Halves that only the far end joins, so that a whole one was typed or held by a session. */
export const canary = ["canary7f3a", "bird91"] as const;
export const whole = canary.join("");

export const allSeries = 'count({job="converge", __name__=~"converge_.*"})';

export type Morning = Awaited<ReturnType<typeof spendMorning>>;

/** All of it, up to the last who came; what it started goes with `endPrograms`. */
export async function spendMorning() {
  const relay = await relayProgram(["--metrics-listen", "0", "--log-level", "debug"]);
  const agents: AgentProgram[] = [];
  const lines = (msg: string): Record<string, unknown>[] =>
    relay.lines().filter((line) => line["msg"] === msg);
  const metricsUrl = (): URL => {
    const at = lines("relay listening")[0]?.["metrics"] as { host: string; port: number };
    return new URL(`http://${at.host}:${at.port}/metrics`);
  };
  const scraped = async (): Promise<string> => (await fetch(metricsUrl())).text();
  const prom = await prometheus(metricsUrl());
  const seriesAtStart = await prom.sum(allSeries);
  const counted = (name: string, labels = ""): Promise<number> => prom.sum(`${name}{${labels}}`);
  /** Waits for the scrape that has it, and for the number to be this and no other. */
  const equals = async (expr: string, want: number): Promise<void> => {
    let seen = Number.NaN;
    await until(`${expr} is ${want}`, async () => {
      seen = await prom.sum(expr);
      return seen === want;
    }).catch(() => assert.equal(seen, want, expr));
  };

  const agent = await agentProgram(relay.url, ["--id", "build-4711"]);
  agents.push(agent);
  writeFileSync(join(agent.dir, ".hold"), "");
  await until("the hold is counted", () => lines("agent held").length === 1);

  // Five commands, one after the other: each is over long before the agent's next full report.
  for (const n of [1, 2, 3, 4, 5]) {
    const said = await finished(ssh(agent, [`echo ${canary[0]}''${canary[1]} ${n}; cat`]));
    assert.equal(said.out, `${whole} ${n}\n`, said.err);
  }
  // One transfer with contents, one terminal with keys.
  writeFileSync(join(agent.dir, "secret.txt"), `${whole}\n`);
  const batch = program("sftp", [...sshArgs(agent)], {
    input: `get ${agent.dir}/secret.txt ${agent.dir}/got.txt\n`,
  });
  assert.equal((await finished(batch)).status, 0, batch.err());
  assert.equal(readFileSync(join(agent.dir, "got.txt"), "utf8"), `${whole}\n`);
  const seen = screen("ssh", ["-tt", ...sshArgs(agent)]);
  await seen.see("$ ");
  await equals('converge_connected_clients{kind="shell"}', 1);
  await equals('converge_clients{state="connected"}', 1);
  seen.type(`echo ${canary[0]}''${canary[1]}\r`);
  await seen.see(whole);
  for (const path of ["", "sessions", "usage", "faq", "downloads", "api/sessions"])
    assert.ok(!(await (await fetch(`${relay.url}/${path}`)).text()).includes(whole), path);
  seen.type("exit\r");
  assert.equal(await seen.exited, 0);

  // A job that falls silent: one warning, then its end.
  const silent = await agentProgram(relay.url, ["--timeout", "4s", "--warn", "2s"]);
  agents.push(silent);
  assert.deepEqual(await silent.exited, { status: 0, signal: null });

  // A name that is taken; one that comes back after it was lost; one that is killed.
  const identity = newIdentity();
  const first = await register(new URL(relay.url), "flaky", { identity });
  const taken = await register(new URL(relay.url), "flaky");
  assert.match(taken.id ?? "", /^flaky-/);
  first.socket.terminate();
  await until("it is lost", () => lines("agent session ended").length === 2);
  const back = await register(new URL(relay.url), "flaky", { identity });
  assert.equal(back.id, "flaky");
  back.say({ type: "status", status: "nonsense" });
  assert.equal((await back.end).code, 4400);
  taken.socket.close(1000);
  await taken.end;

  // Those who come in vain.
  for (const _ of [1, 2]) {
    const nobody = await finished(ours("wsproxy", [`${relay.url}/client/no`], { input: "open" }));
    assert.equal(nobody.status, 7);
  }
  const waiting = ours("wsproxy", ["--wait", "1m", `${relay.url}/client/later`], {
    input: "open",
  });
  await waiting.see("waiting for it");
  await equals('converge_clients{state="waiting"}', 1);
  waiting.kill("SIGKILL");
  await until("it is gone", () => lines("client session ended").length === 10);
  for (const [path, status] of [
    ["nowhere?token=letmein", 404],
    ["dial/AAAAAAAAAAAAAAAAAAAAAA", 404],
    ["client/a%20b", 400],
  ] as const) {
    const refused = stranger(`${relay.url}/${path}`);
    assert.equal((await until("a refusal", refused.refusal)).status, status);
  }
  const old = stranger(`${relay.url}/client/build-4711`, "converge.client.v0");
  assert.equal((await old.end).code, 4426);
  return { relay, prom, agent, agents, lines, counted, equals, metricsUrl, scraped, seriesAtStart };
}

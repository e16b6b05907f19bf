/**
 * An upgrade of the relay under twenty people at their terminals: told at once, given time, then
 * cut in order, and let in again by the next relay.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms, finished } from "../support/child.ts";
import { faultOf } from "../support/log-schema.ts";
import { agentProgram, ours, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { until } from "../support/until.ts";

after(endPrograms);

test("SIGTERM under twenty live sessions: ten end by themselves, ten are cut, all agents come back", async () => {
  const relay = await relayProgram(["--drain-timeout", "10s"]);
  const agents = await Promise.all(
    [1, 2, 3, 4].map((n) => agentProgram(relay.url, ["--id", `job-${n}`])),
  );
  for (const { dir } of agents) writeFileSync(join(dir, ".hold"), "");
  const seats = agents.flatMap((agent) => Array.from({ length: 5 }, () => agent));
  const people = seats.map((agent) => screen("ssh", ["-tt", ...sshArgs(agent)]));
  await Promise.all(people.map((person) => person.see("$ ")));
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${relay.url}/metrics`)).text();
    const line = text.split("\n").find((line) => line.startsWith(`${name} `));
    return Number(line?.split(" ").at(-1));
  };
  assert.equal(await metric('converge_clients{state="connected"}'), 20);
  assert.equal(await metric("converge_draining"), 0);
  await until("all are in the list", async () => {
    const list = await (await fetch(`${relay.url}/api/sessions`)).text();
    return list.split('"kinds":["shell"]').length === 21;
  });

  relay.kill("SIGTERM");
  await relay.see("relay draining");
  assert.equal((await fetch(`${relay.url}/readyz`)).status, 503);
  assert.equal((await fetch(`${relay.url}/healthz`)).status, 200);
  assert.equal(await metric("converge_draining"), 1);
  const late = ours("wsproxy", [agents[0]?.ready.clientUrl ?? ""], { input: "open" });
  // Everybody is told in the terminal, the agents' own output says it too.
  const told = "[converge] The relay restarts in 10s: a pause then, and you go on here.";
  await Promise.all(people.map((person) => person.see(told)));
  for (const agent of agents)
    assert.deepEqual(
      agent.news().filter(({ event }) => event === "relay ending"),
      [{ event: "relay ending", leftMs: 10_000 }],
    );
  assert.equal((await finished(late)).status, 3, "no new pairings");

  // Half of them finish what they do, and their status arrives whole.
  const [stay, leave] = [people.slice(0, 10), people.slice(10)];
  for (const person of leave) person.type("echo done $((6*7)); exit 5\r");
  for (const person of leave) {
    await person.see("done 42");
    assert.equal(await person.exited, 5);
  }
  assert.deepEqual(await relay.exited, { status: 143, signal: null });

  const lines = relay.lines();
  const ended = lines.filter(({ msg }) => msg === "client session ended");
  assert.equal(ended.length, 20);
  assert.equal(ended.filter(({ endedBy }) => endedBy === "relay").length, 10);
  for (const { outcome, kinds, login } of ended) {
    assert.deepEqual([outcome, kinds], ["served", ["shell"]]);
    assert.ok(login);
  }
  assert.deepEqual(
    lines.filter(({ msg }) => msg === "agent session ended").map(({ outcome }) => outcome),
    ["relay ended", "relay ended", "relay ended", "relay ended"],
  );
  assert.deepEqual(
    lines.map(faultOf).filter((fault) => fault !== null),
    [],
  );
  assert.equal(lines.at(-1)?.["msg"], "relay ended");

  // The next relay, where the former one was.
  const next = await relayProgram([], { port: relay.port });
  await until("all agents are back", () => {
    const back = next.lines().filter(({ msg }) => msg === "agent session started");
    return back.length === 4;
  });
  // Who stayed goes on in the very same shell.
  for (const person of stay) person.type("echo here $((6*9)); exit 6\r");
  for (const person of stay) {
    await person.see("here 54");
    assert.equal(await person.exited, 6);
  }
  for (const agent of agents) {
    assert.equal(agent.ended(), null);
    assert.equal((await finished(ssh(agent, ["echo again"]))).out, "again\n");
  }
});

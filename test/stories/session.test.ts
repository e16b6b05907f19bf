/** A person in a shell: the terminal, what it is told, and how it ends. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet({ id: "shell" });
});
after(() => world.close());

test("a shell with help, size, resize, signals and exit status", async () => {
  const held = await world.ssh(["touch $agentdir/.hold"]);
  assert.equal(held.status, 0, held.stderr);
  const screen = world.terminal();
  await screen.see("[converge] You are in the job.");
  await screen.see(`agentdir is ${world.agent.dir}`);
  await screen.see("$ ");
  screen.type("stty size\r");
  await screen.see("24 80");
  screen.resize(132, 43);
  screen.type("sleep 0.1; stty size\r");
  await screen.see("43 132");
  screen.type("sleep 1000\r");
  await screen.see("sleep 1000");
  screen.type("\u0003");
  await screen.see("$ ");
  screen.type("echo $?\r");
  await screen.see("130");
  screen.type("exit 42\r");
  assert.equal(await screen.exited, 42);
  assert.equal(world.agent.ending(), null);
});

test("removing the hold with nobody in ends the agent", async () => {
  await world.ssh(["rm $agentdir/.hold"]);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "last client left" });
});

/** Commands and variables of a hundred kilobytes and more, beside others on the same connection. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endPrograms, program, result } from "../support/child.ts";
import { hold, startMaster } from "../support/started.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet({ id: "long-commands" });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

const sentence = "/bin/bash: the command, or its environment, is longer than this system allows";
/** In two arguments, for the person's own system has the bound too; ssh puts a blank between them. */
const command = (bytes: number): string[] => {
  const half = "x".repeat(bytes / 2 - 8);
  return [`: ${half}`, `${half}; echo in`];
};

test("120 kB work, 200 kB are 126 with a sentence, and the neighbours stay", async () => {
  const env = { LC_LONG: "x".repeat(100_000) };
  const { master, options } = await startMaster(world);
  const neighbour = program("ssh", [...options, "job@agent", "cat"], { input: "open" });
  neighbour.type("before\n");
  await neighbour.see("before");
  const run = (args: readonly string[], how = {}) =>
    result(program("ssh", [...options, ...args], { input: "open", ...how }));

  const fine = await run(["job@agent", ...command(120_000)]);
  assert.deepEqual([fine.status, fine.stdout.toString()], [0, "in\n"]);
  const long = await run(["job@agent", ...command(200_000)]);
  assert.deepEqual([long.status, long.stdout.toString(), long.stderr], [126, "", `${sentence}\n`]);
  const onTerminal = await run(["-tt", "job@agent", ...command(120_000)]);
  assert.deepEqual([onTerminal.status, onTerminal.stdout.toString().trim()], [0, "in"]);
  const tooLong = await run(["-tt", "job@agent", ...command(200_000)]);
  assert.deepEqual([tooLong.status, tooLong.stdout.toString()], [126, `${sentence}\r\n`]);
  const variable = await run(["-oSendEnv=LC_LONG", "job@agent", "printenv LC_LONG | wc -c"], {
    env,
  });
  assert.deepEqual([variable.status, variable.stdout.toString()], [0, "0\n"]);

  neighbour.type("after\n");
  await neighbour.see("after");
  neighbour.end();
  assert.equal((await neighbour.exited).status, 0);
  master.child.kill();
});

/** Confined: a fault in the handling of one ssh connection ends that one, with one line in the log. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endPrograms } from "../support/child.ts";
import { hold, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let isFaulty = false;
before(async () => {
  // The job's environment is looked at when a session begins, in the middle of the handling.
  const job = new Proxy(
    { PATH: process.env["PATH"] ?? "" },
    {
      ownKeys: (target) => {
        if (isFaulty) throw new Error("injected");
        return Reflect.ownKeys(target);
      },
    },
  );
  world = await meet();
  world.agent = await world.startAgent({ job, isJobWhole: true });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

for (const [name, args] of [
  ["a command", ["true"]],
  ["a terminal", ["-tt", "true"]],
] as const)
  test(`${name} whose start throws ends its connection; another goes on`, async () => {
    const other = startSsh(world, ["cat"]);
    other.type("one\n");
    await other.see("one");
    const before = world.agent.log.lines.length;
    isFaulty = true;
    const { status } = await world.ssh([...args]);
    isFaulty = false;
    assert.equal(status, 255);
    other.type("two\n");
    await other.see("two");
    other.end();
    assert.equal((await other.exited).status, 0);
    const lines = await until("the line", () => {
      const found = world.agent.log.lines
        .slice(before)
        .filter((line) => line.message === "ssh error");
      return found.length > 0 ? found : null;
    });
    assert.deepEqual(
      lines.map(({ fields }) => fields["reason"]),
      ["injected"],
    );
    assert.equal((await world.ssh(["echo in"])).stdout.toString(), "in\n");
  });

/** The first process of a container inherits what sessions leave behind, and must not keep it as zombies. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { allStats } from "../../src/io/agent/shell/proc.ts";
import { endPrograms, finished, folder } from "../support/child.ts";
import { faultOf } from "../support/log-schema.ts";
import { agentProgram, type RelayProgram, relayProgram, ssh } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { until } from "../support/until.ts";

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram();
});
after(endPrograms);

/** How a program is started as process 1, which goes with the one that starts it. */
const asFirst = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"] as const;

/** The script that the relay serves, as a file. */
async function script(): Promise<string> {
  const file = join(folder(), "agent.sh");
  writeFileSync(file, await (await fetch(`${relay.url}/agent.sh`)).text());
  return file;
}

const childOf = (parent: number): number =>
  allStats().find((stat) => stat.parent === parent)?.pid ?? 0;

test("agent.sh as process 1: what a session leaves behind ends without a trace", async () => {
  const env = { CONVERGE_CACHE: folder() };
  const agent = await agentProgram(relay.url, [], { env }, [...asFirst, "sh", await script()]);
  writeFileSync(join(agent.dir, ".hold"), "");
  // A process without a parent that says its number, and is looked for after its end.
  const orphan = `
    (sh -c 'echo $$ >orphan; exec true' &)
    until [ -s orphan ]; do :; done
    for turn in 1 2 3 4 5 6 7 8 9 10; do
      [ -e "/proc/$(cat orphan)" ] || exit 0
      sleep 0.1
    done
    cat "/proc/$(cat orphan)/stat"; exit 1`;
  const { status, out } = await finished(ssh(agent, [orphan]));
  assert.deepEqual([status, out], [0, ""]);
  assert.equal((await finished(ssh(agent, ["cat /proc/1/comm"]))).out, "sh\n");
});

for (const [signal, want] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
  ["SIGHUP", 129],
] as const)
  test(`agent.sh as process 1 hands ${signal} on, and ends with the agent's status`, async () => {
    const env = { CONVERGE_CACHE: folder() };
    const agent = await agentProgram(relay.url, [], { env }, [...asFirst, "sh", await script()]);
    process.kill(childOf(agent.pid), signal);
    assert.equal((await agent.exited).status, want);
    assert.deepEqual(agent.news().at(-1), { event: "ended", ending: "interrupted" });
  });

test("agent.sh as process 1 ends with 0 when the last client has left", async () => {
  const env = { CONVERGE_CACHE: folder() };
  const agent = await agentProgram(relay.url, [], { env }, [...asFirst, "sh", await script()]);
  assert.equal((await finished(ssh(agent, ["true"]))).status, 0);
  assert.equal((await agent.exited).status, 0);
});

test("an agent that is process 1 itself says what to do, once", async () => {
  const command = [...asFirst, process.execPath, built("agent")] as const;
  const agent = await agentProgram(relay.url, [], {}, command);
  const sentence = "agent is process 1: ended processes stay, use docker run --init or agent.sh";
  const said = (): string[] =>
    agent
      .err()
      .split("\n")
      .filter((line) => line.includes(sentence));
  await until("the line", () => said().length > 0);
  assert.equal(said().length, 1);
  assert.equal(faultOf(JSON.parse(said()[0] ?? "")), null);
});

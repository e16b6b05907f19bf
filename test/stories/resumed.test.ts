/** Resumed: ssh goes on when its link, or the whole relay, goes away. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms, program } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  type RelayProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { until } from "../support/until.ts";

after(endPrograms);

const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");

/** A relay that can be killed and comes back at its port, and an agent. */
async function scene(
  ...args: string[]
): Promise<{ agent: AgentProgram; kill(): Promise<void>; revive(): Promise<RelayProgram> }> {
  let relay = await relayProgram();
  const { port, url } = relay;
  const agent = await agentProgram(url, [...args, "--log-level", "debug"]);
  return {
    agent,
    kill: async () => {
      relay.kill("SIGKILL");
      await relay.exited;
    },
    revive: async () => {
      relay = await relayProgram([], { port });
      return relay;
    },
  };
}

/** Programs that were started with that word among their arguments. */
const pidsWith = (word: string): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word);
      } catch {
        return false; // it has ended meanwhile
      }
    });

const times = (agent: AgentProgram, event: string): number =>
  agent.news().filter((news) => news["event"] === event).length;

test("a command goes on while its relay is killed and comes back", async () => {
  const { agent, kill, revive } = await scene();
  const stop = join(agent.dir, "stop");
  const counter = ssh(agent, [
    `n=0; until test -e ${stop}; do n=$((n + 1)); echo line-$n; sleep 0.02; done; exit 7`,
  ]);
  for (const kills of [1, 2, 3]) {
    const before = counter.bytes().length;
    await until("it goes on counting", () => counter.bytes().length > before + 100);
    await kill();
    await revive();
    await until("it is back", () => times(agent, "client resumed") === kills);
  }
  writeFileSync(stop, "");
  const { status } = await counter.exited;
  assert.equal(status, 7, counter.err());
  const lines = counter.out().trim().split("\n");
  assert.deepEqual(
    lines,
    lines.map((_, n) => `line-${n + 1}`),
  );
  assert.equal(times(agent, "client joined"), 1);
});

test("bytes are exact both ways, however often the relay goes away", async () => {
  const { agent, kill, revive } = await scene();
  const file = join(agent.dir, "file");
  const there = randomBytes(48_000_000);
  writeFileSync(file, there);
  const down = ssh(agent, [`cat ${file}`]);
  const here = randomBytes(48_000_000);
  const up = ssh(agent, [`cat > ${file}.up`], { input: here });
  await until("both are in", () => times(agent, "client joined") === 2);
  for (let n = 0; n < 4; n += 1) {
    await until("more has come", () => down.bytes().length > n * 10_000_000 || down.ended());
    await kill();
    await revive();
  }
  assert.deepEqual(
    [(await down.exited).status, (await up.exited).status],
    [0, 0],
    `${down.err()}\n${up.err()}\n${agent.err()}`,
  );
  assert.equal(sha256(down.bytes()), sha256(there));
  assert.equal(sha256(readFileSync(`${file}.up`)), sha256(here));
  assert.ok(times(agent, "client resumed") >= 2);
});

test("what was typed and what a command ended with during an outage arrive after it", async () => {
  const { agent, kill, revive } = await scene();
  const typed = ssh(agent, ["read line; echo got $line; exit 42"], { input: "open" });
  await until("it is in", () => times(agent, "client joined") === 1);
  const quick = ssh(agent, [`while ! test -e ${agent.dir}/go; do sleep 0.05; done; exit 17`]);
  await until("both are in", () => times(agent, "client joined") === 2);
  await kill();
  await until("both are away", () => times(agent, "client detached") === 2);
  typed.type("hello\n");
  writeFileSync(join(agent.dir, "go"), "");
  await revive();
  assert.deepEqual([(await typed.exited).status, (await quick.exited).status], [42, 17]);
  assert.equal(typed.out(), "got hello\n");
});

test("ssh that is killed while away is out as soon as the relay is back, and leaves no wsproxy", async () => {
  const { agent, kill, revive } = await scene();
  const shell = ssh(agent, ["sleep 1000"], { input: "open" });
  await until("it is in", () => times(agent, "client joined") === 1);
  await kill();
  await until("it is away", () => times(agent, "client detached") === 1);
  shell.kill("SIGKILL");
  await revive();
  await until("it is lost", () => times(agent, "client lost") === 1);
  await until("wsproxy is gone", () => pidsWith(agent.ready.clientUrl).length === 0);
});

test("ssh that is killed is out at once", async () => {
  const { agent } = await scene();
  const shell = program("ssh", [...sshArgs(agent, "--log-level debug"), "sleep 1000"], {
    input: "open",
  });
  await until("it is in", () => times(agent, "client joined") === 1);
  shell.kill("SIGKILL");
  await until("it is lost", () => times(agent, "client lost") === 1);
  assert.equal(times(agent, "client detached"), 0, shell.err());
});

test("who is away too long is lost, and the shell ended; who comes after that hears so", async () => {
  const { agent, kill, revive } = await scene("--resume-timeout", "3s");
  const shell = ssh(agent, ["sleep 1000"], { input: "open" });
  await until("it is in", () => times(agent, "client joined") === 1);
  await kill();
  await until("it is lost", () => times(agent, "client lost") === 1);
  await revive();
  assert.equal((await shell.exited).status, 255);
  assert.match(shell.err(), /The connection was lost: the agent knows of it no more\./);
});

test("an agent that ends while a client is away: the client ends too, and is told", async () => {
  const { agent, kill, revive } = await scene("--timeout", "1h");
  const shell = ssh(agent, ["sleep 1000"], { input: "open" });
  await until("it is in", () => times(agent, "client joined") === 1);
  await kill();
  await until("it is away", () => times(agent, "client detached") === 1);
  // Stopped, so that it does not come back before that.
  const proxies = pidsWith(agent.ready.clientUrl).map(Number);
  for (const pid of proxies) process.kill(pid, "SIGSTOP");
  const relay = await revive();
  await until("the agent is back", () =>
    relay.lines().some(({ msg }) => msg === "agent session started"),
  );
  agent.kill("SIGTERM");
  await agent.exited;
  for (const pid of proxies) process.kill(pid, "SIGCONT");
  assert.equal((await shell.exited).status, 255);
  assert.match(
    shell.err(),
    /The session is over: .*it ended \d+s ago: it was told to stop\. The job has gone on\./,
  );
});

test("without the will of both it is as it was: a lost link ends ssh", async () => {
  for (const [agentArgs, flag] of [
    [["--resume-timeout", "0s"], ""],
    [[], "--resume-timeout 0s"],
  ] as const) {
    const { agent, kill } = await scene(...agentArgs);
    const shell = program("ssh", [...sshArgs(agent, flag), "sleep 1000"], { input: "open" });
    await until("it is in", () => times(agent, "client joined") === 1);
    await kill();
    assert.equal((await shell.exited).status, 255);
    assert.match(shell.err(), /The connection was lost/);
    await until("it is lost", () => times(agent, "client lost") === 1);
  }
});

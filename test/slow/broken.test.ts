/** What breaks: every program killed in turn, and peers that go silent. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { endPrograms, finished, type Program, program } from "../support/child.ts";
import { pidsWhere, runs } from "../support/processes.ts";
import {
  type AgentProgram,
  agentProgram,
  ours,
  type RelayProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { type Screen, screen } from "../support/screen.ts";
import { messages, register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

describe("a program that is killed while output flows", () => {
  let relay: RelayProgram;
  let agent: AgentProgram;
  let shell: Screen;
  let shellPid: number;
  const extra: Screen[] = [];

  afterEach(async () => {
    for (const one of extra.splice(0)) {
      try {
        process.kill(one.pid, "SIGKILL");
      } catch {
        // it has ended, as it should
      }
    }
    await endPrograms();
  });

  /** `flags` are wsproxy's. */
  async function begin(args: string[] = [], flags = ""): Promise<void> {
    relay = await relayProgram();
    agent = await agentProgram(relay.url, args);
    shell = screen("ssh", ["-tt", ...sshArgs(agent, flags)]);
    extra.push(shell);
    await shell.see("$ ");
    shell.type("echo pid $$.; while sleep 0.01; do echo tick; done\r");
    shellPid = Number(/\d+/.exec(await shell.see(/pid \d+\./))?.[0]);
    await shell.see("tick\r\ntick");
    assert.ok(runs(shellPid));
  }
  const clientsOf = async (): Promise<unknown[]> => {
    const answer = await fetch(`${relay.url}/api/sessions`);
    const { agents } = (await answer.json()) as { agents: { clients: unknown[] }[] };
    return agents.flatMap(({ clients }) => clients);
  };
  const childOf = async (pid: number): Promise<number> => {
    const { out } = await finished(program("pgrep", ["-P", String(pid)]));
    return Number(out.trim());
  };
  const eventsOf = (one: AgentProgram): unknown[] => one.news().map(({ event }) => event);
  const shellIsGone = (): Promise<boolean> => until("the shell is gone", () => !runs(shellPid));

  test("ssh: its shell is hung up, the agent says that a client was lost, and waits for it", async () => {
    await begin();
    const proxy = await childOf(shell.pid);
    process.kill(shell.pid, "SIGKILL");
    await shellIsGone();
    await until("wsproxy is gone", () => !runs(proxy), 4_000);
    await agent.see('{"event":"client lost","who":"dev@laptop from 127.0.0.1"}');
    await until("the relay forgot it", async () => (await clientsOf()).length === 0);
    const line = relay.lines().find(({ msg }) => msg === "client session ended");
    assert.deepEqual([line?.["outcome"], line?.["endedBy"]], ["served", "client"]);
    const back = await finished(ssh(agent, ["echo back"]));
    assert.equal(back.out, "back\n", back.err);
    assert.deepEqual(await agent.exited, { status: 0, signal: null });
    assert.deepEqual(eventsOf(agent), [
      "ready",
      "client joined",
      "client lost",
      "waiting",
      "client joined",
      "client left",
      "ended",
    ]);
  });

  test("wsproxy: ssh ends at once; as nobody can tell it from a network that is gone, the shell is hung up later", async () => {
    await begin(["--resume-timeout", "2s"]);
    process.kill(await childOf(shell.pid), "SIGKILL");
    assert.equal(await shell.exited, 255);
    await agent.see('"event":"client detached"');
    await shellIsGone();
    await agent.see('"event":"client lost"');
    await until("the relay forgot it", async () => (await clientsOf()).length === 0);
    assert.equal(agent.ended(), null);
  });

  test("the relay: ssh ends and says why, the shell goes, and the agent takes its own id back", async () => {
    await begin([], "--resume-timeout 0s");
    relay.kill("SIGKILL");
    assert.equal(await shell.exited, 255);
    await shell.see("converge: The connection was lost: no more was heard. Connect again.");
    await shellIsGone();
    await agent.see('"event":"relay lost"');
    await agent.see('"event":"client lost"');
    const { port } = relay;
    relay = await relayProgram([], { port });
    await relay.see("agent session started");
    const registered = relay.lines().find(({ msg }) => msg === "agent session started");
    assert.equal(registered?.["id"], agent.ready.id);
    const back = await finished(ssh(agent, ["echo back"]));
    assert.equal(back.out, "back\n", back.err);
    assert.deepEqual(await agent.exited, { status: 0, signal: null });
  });

  test("the agent: ssh and the relay notice at once, and its shell is hung up by the kernel", async () => {
    await begin([], "--resume-timeout 0s");
    agent.kill("SIGKILL");
    assert.equal(await shell.exited, 255);
    await shell.see(
      "converge: The connection was lost: the agent's connection was lost. Connect again.",
    );
    await shellIsGone();
    await relay.see("agent session ended");
    await until("the relay forgot the client", async () => (await clientsOf()).length === 0);
  });

  test("the agent by SIGTERM: the client is told, and nothing of its sessions is left", async () => {
    await begin();
    const mark = `81${process.pid}`;
    const sleeps = (): number[] =>
      pidsWhere(({ pid }) => runs(pid) && argumentsOf(pid) === `sleep ${mark}`);
    const other = screen("ssh", ["-tt", ...sshArgs(agent)]);
    extra.push(other);
    await other.see("$ ");
    other.type(
      `nohup sleep ${mark} > /dev/null 2>&1 & setsid sleep ${mark} & (sleep ${mark} &) ; echo begun $((1+1))\r`,
    );
    await other.see("begun 2");
    await until("all three", () => sleeps().length === 3);
    agent.kill("SIGTERM");
    await other.see("[converge] The agent was told to stop: the session ends now.");
    assert.deepEqual(await agent.exited, { status: 143, signal: null });
    assert.deepEqual([await shell.exited, await other.exited], [129, 129]);
    assert.deepEqual(sleeps(), []);
    assert.equal(runs(shellPid), false);
    assert.deepEqual(agent.news().at(-1), { event: "ended", ending: "interrupted" });
    await until("the relay forgot it", async () => (await clientsOf()).length === 0);
  });

  test("a shell that ignores the hang-up is killed after five seconds", async () => {
    relay = await relayProgram();
    agent = await agentProgram(relay.url);
    const stubborn: Program = ssh(agent, [
      "trap '' HUP TERM; echo pid $$.; while :; do sleep 1; done",
    ]);
    await stubborn.see(/pid \d+\./);
    const pid = Number(/\d+/.exec(stubborn.out())?.[0]);
    agent.kill("SIGTERM");
    assert.deepEqual(await agent.exited, { status: 143, signal: null });
    assert.equal(runs(pid), false);
    assert.notEqual((await stubborn.exited).status, 0);
  });

  test("an agent that cannot reach the relay tries, and ends at once when it is told to", async () => {
    relay = await relayProgram();
    const { url } = relay;
    relay.kill("SIGKILL");
    await relay.exited;
    const spare = await relayProgram(); // gives a folder with keys, by way of an agent
    const { dir } = await agentProgram(spare.url);
    const lonely = ours("agent", [url], { cwd: dir, env: { SHELL: "/bin/sh" } });
    await lonely.see("relay not reached, trying again");
    assert.equal(lonely.ended(), null);
    lonely.kill("SIGTERM");
    assert.deepEqual(await lonely.exited, { status: 143, signal: null });
  });
});

describe("a peer that goes silent", () => {
  let world: World;
  afterEach(async () => {
    await endPrograms();
    await world.close();
  });

  test("an agent that answers no pings is counted out within a minute, one that does is not", async () => {
    world = await meet(null);
    const silent = await register(world.relay.url, "silent", { options: { autoPong: false } });
    const alive = await register(world.relay.url, "alive");
    await world.clock.advance(45_000);
    assert.equal(silent.closed(), null);
    await world.clock.advance(15_000);
    await until("it is counted out", silent.closed, 5_000);
    assert.equal(silent.closed()?.code, 1006);
    await world.clock.advance(300_000);
    assert.equal(alive.closed(), null);
    assert.deepEqual(
      world.relay.log.lines
        .filter(({ message }) => message === "agent session ended")
        .map(({ fields }) => fields["id"]),
      ["silent"],
    );
    alive.socket.terminate();
  });

  test("a client that answers no pings is counted out, waiting or spliced, and the agent's side with it", async () => {
    world = await meet(null);
    const base = world.relay.url.href.replace(/\/$/, "");
    const agent = await register(world.relay.url, "served");
    const parked = stranger(`${base}/client/awaited?wait=3600000`, subprotocols.client, {
      autoPong: false,
    });
    const client = stranger(`${base}/client/served`, null, { autoPong: false });
    const summons = await until("a summons", () =>
      messages(agent).find(({ type }) => type === "summon"),
    );
    const data = stranger(`${base}/dial/${summons["ticket"]}`, subprotocols.data);
    await until("a splice", () => data.isOpen());
    await until("two rows", () => world.relay.rows().length === 2);
    await world.clock.advance(61_000);
    await until("it is counted out", client.closed, 5_000);
    assert.equal(client.closed()?.code, 1006);
    assert.equal((await parked.end).code, 1006);
    assert.deepEqual(await data.end, { code: 4410, reason: "the client's connection was lost" });
    await until("no client is left", () =>
      world.relay.rows().every(({ clients }) => clients.length === 0),
    );
    agent.socket.terminate();
  });

  test("a client whose network is gone is counted out, its shell is hung up, and others are told", async () => {
    world = await meet({ id: "shared", resumeTimeoutMs: 0 });
    const one = world.terminal();
    await one.see("$ ");
    const two = world.terminal();
    await two.see("$ ");
    two.type("echo pid $$.\r");
    const pid = Number(/\d+/.exec(await two.see(/pid \d+\./))?.[0]);
    const proxy = Number(
      (await finished(program("pgrep", ["-P", String(two.pid), "-f", "wsproxy"]))).out.trim(),
    );
    process.kill(proxy, "SIGSTOP");
    await world.clock.advance(61_000);
    await until("its shell is gone", () => !runs(pid), 8_000);
    await one.see("[converge] The connection of dev@laptop from 127.0.0.1 was lost.");
    assert.equal(world.relay.rows()[0]?.clients.length, 1);
    process.kill(proxy, "SIGCONT");
    assert.equal(await two.exited, 255);
    writeFileSync(join(world.agent.dir, ".hold"), "");
    one.type("exit\r");
    assert.equal(await one.exited, 0);
  });
});

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").join(" ").trim();
  } catch {
    return "";
  }
}

/** Forwarding of the person's ssh-agent, and clients that do nothing but forward. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, type Program, program, result, run } from "../support/child.ts";
import { exchange, freePort, listen } from "../support/ports.ts";
import { screen } from "../support/screen.ts";
import { hold, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const minute = 60_000;
let world: World;
let echo: Awaited<ReturnType<typeof listen>>;
before(async () => {
  world = await meet({ id: "forwarding" });
  hold(world.agent);
  echo = await listen((socket) => void socket.pipe(socket));
});
after(async () => {
  await endPrograms();
  await echo.close();
  await world.close();
});

const options = "-oExitOnForwardFailure=yes";

/** An `ssh -N` whose forwards stand. */
async function forwards(
  args: string[],
  how: { agent?: Agent; key?: string; env?: Record<string, string> } = {},
): Promise<Program> {
  const ssh = startSsh(world, [options, "-v", "-N", ...args], how);
  await ssh.see("Entering interactive session");
  return ssh;
}

async function leave(ssh: Program, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  ssh.child.kill(signal);
  // OpenSSH 9.2 overlooks a signal that comes just before it starts to wait; it is sent again then.
  const again = setInterval(() => ssh.child.kill(signal), 1_000);
  await ssh.exited.finally(() => clearInterval(again));
}

/** An ssh-agent with one key. */
async function keyAgent(): Promise<{ env: Record<string, string>; end(): Promise<unknown> }> {
  const socket = join(world.dir, `ssh-agent-${agents}`);
  agents += 1;
  const sshAgent = program("ssh-agent", ["-D", "-a", socket]);
  await until("the agent is there", () => existsSync(socket));
  const env = { SSH_AUTH_SOCK: socket };
  const added = await run("ssh-add", ["-q", world.newKey("borrowed").file], { env });
  assert.equal(added.status, 0, added.stderr);
  return {
    env,
    end: () => {
      sshAgent.child.kill();
      return sshAgent.exited;
    },
  };
}
let agents = 0;

test("-A shows the keys of the person's ssh-agent, and leaves no socket behind", async () => {
  const keys = await keyAgent();
  const ssh = startSsh(world, ["-A", "echo sock=$SSH_AUTH_SOCK=; ssh-add -l; cat"], keys);
  await ssh.see(/256 SHA256:\S+ borrowed \(ED25519\)/);
  const path = /sock=(.*)=/.exec(ssh.out())?.[1] ?? "";
  assert.ok(statSync(path).isSocket());
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  ssh.end();
  assert.equal((await ssh.exited).status, 0);
  await until("the folder is gone", () => !existsSync(dirname(path)));
  const without = await world.ssh(["echo [$SSH_AUTH_SOCK]"]);
  assert.equal(without.stdout.toString(), "[]\n");
  await keys.end();
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => join(tmpdir(), name) === dirname(path)),
    [],
  );
});

for (const [how, options] of [
  ["by the agent's flags", { allowed: { portForwarding: false, agentForwarding: false } }],
  ["by the key", { keys: "no-port-forwarding,no-agent-forwarding" }],
  ["by restrict", { keys: "restrict" }],
] as const) {
  test(`forwarding that is forbidden ${how} is refused in ssh's own words`, async () => {
    const agent = await world.startAgent(
      "keys" in options ? { keys: `${options.keys} ${world.publicKey}` } : options,
    );
    hold(agent);
    const there = await world.ssh(["-W", `127.0.0.1:${echo.port}`], { agent });
    assert.equal(there.status, 255);
    assert.match(there.stderr, /open failed: administratively prohibited/);
    const path = join(world.dir, "unseen.sock");
    const beyond = await listen((socket) => void socket.pipe(socket), path);
    const port = await freePort();
    const local = await forwards(["-L", `${port}:${path}`], { agent });
    assert.equal((await exchange(port, "x").catch(() => Buffer.from(""))).toString(), "");
    await local.see("open failed: administratively prohibited");
    await leave(local);
    await beyond.close();
    for (const spec of ["0:127.0.0.1:1", `${path}:127.0.0.1:1`]) {
      const back = await result(
        startSsh(world, ["-N", "-oExitOnForwardFailure=yes", "-R", spec], { agent }),
      );
      assert.equal(back.status, 255);
      assert.match(back.stderr, /remote port forwarding failed for listen (port|path)/);
    }
    const keys = await keyAgent();
    const ssh = startSsh(world, ["-A", "echo [$SSH_AUTH_SOCK]"], { agent, env: keys.env });
    ssh.end();
    const { status, stdout } = await result(ssh);
    assert.deepEqual([status, stdout.toString()], [0, "[]\n"]);
    await keys.end();
    agent.stop();
  });
}

test("a client that only forwards is a client, and the agent ends when it leaves", async () => {
  const agent = await world.startAgent({ timeoutMs: 10 * minute, warnAtMs: [] });
  const ssh = await forwards(["-L", `${await freePort()}:127.0.0.1:${echo.port}`], { agent });
  await world.clock.advance(5 * minute);
  assert.equal(agent.ending(), null);
  assert.deepEqual(
    agent.news.map(({ event }) => event),
    ["ready", "client joined"],
  );
  await leave(ssh);
  await until("the end", () => agent.ending());
  assert.deepEqual(agent.ending(), { kind: "last client left" });
});

const lastOf = (agent: Agent): string | undefined =>
  agent.news.filter(({ event }) => event.startsWith("client")).at(-1)?.event;

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"] as const) {
  const event = signal === "SIGKILL" ? "client lost" : "client left";
  test(`an ssh -N that ends by ${signal} counts as: ${event}`, async () => {
    const ssh = await forwards([]);
    await until("it joined", () => lastOf(world.agent) === "client joined");
    await leave(ssh, signal);
    await until("the agent noticed", () => lastOf(world.agent) !== "client joined");
    assert.equal(lastOf(world.agent), event);
  });
}

test("Ctrl-C at an ssh -N, which wsproxy feels too, is leaving in order", async () => {
  const shown = screen("ssh", [
    ...[...world.options(), "-i", world.keyFile],
    ...["-v", "-N", "job@agent"],
  ]);
  await shown.see("Entering interactive session");
  await until("it joined", () => lastOf(world.agent) === "client joined");
  shown.type("\u0003");
  await shown.exited;
  await until("the agent noticed", () => lastOf(world.agent) !== "client joined");
  assert.equal(lastOf(world.agent), "client left");
});

test("forwarded bytes are activity, and those of the forwarded ssh-agent are not", async () => {
  const agent = await world.startAgent({ timeoutMs: 10 * minute, warnAtMs: [] });
  hold(agent);
  const keys = await keyAgent();
  const port = await freePort();
  const ssh = startSsh(
    world,
    ["-A", "-L", `${port}:127.0.0.1:${echo.port}`, "echo sock=$SSH_AUTH_SOCK=; exec sleep 10000"],
    { agent, env: keys.env },
  );
  const path = (await ssh.see(/sock=.*=/)).slice(5, -1);
  await world.clock.advance(2_000);
  await world.clock.advance(5 * minute);
  const listed = await run("ssh-add", ["-l"], { env: { SSH_AUTH_SOCK: path } });
  assert.match(listed.stdout.toString(), /borrowed/);
  await world.clock.advance(2_000);
  assert.ok(agent.running.leftMs() < 5 * minute, `${agent.running.leftMs()} ms are left`);
  assert.equal((await exchange(port, "x")).toString(), "x");
  await world.clock.advance(2_000);
  assert.ok(agent.running.leftMs() > 9 * minute, `${agent.running.leftMs()} ms are left`);
  await leave(ssh);
  await keys.end();
  agent.stop();
});

/** Keys that do not get in: types, passwords, certificates, and the wrong ones. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, program, type Result, result, run } from "../support/child.ts";
import { hold, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const denied = /Permission denied \(publickey\)/;
let world: World;
before(async () => {
  world = await meet({ id: "keys" });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

/** An agent with these lines, that stays. */
async function agentWith(...keys: string[]): Promise<Agent> {
  const agent = await world.startAgent({ keys: keys.join("\n") });
  hold(agent);
  return agent;
}

/** Asks an agent for one command by one key. */
const ask = (agent: Agent, key: string, args: string[] = ["echo in"]): Promise<Result> =>
  world.ssh(args, { agent, key });

const reasons = (agent: Agent): string[] =>
  agent.log.lines.map(({ fields }) => String(fields["problem"] ?? fields["reason"] ?? ""));

for (const [type, args] of [
  ["RSA", ["-t", "rsa", "-b", "3072"]],
  ["ECDSA", ["-t", "ecdsa", "-b", "256"]],
  ["ECDSA 521", ["-t", "ecdsa", "-b", "521"]],
  ["Ed25519", ["-t", "ed25519"]],
] as const) {
  test(`an ${type} key made by ssh-keygen gets in`, async () => {
    const file = join(world.dir, `made-${type.replace(" ", "-")}`);
    const made = await run("ssh-keygen", ["-q", "-N", "", "-C", "made", "-f", file, ...args]);
    assert.equal(made.status, 0, made.stderr);
    const agent = await agentWith(readFileSync(`${file}.pub`, "utf8").trim());
    const { status, stderr } = await ask(agent, file);
    assert.equal(status, 0, stderr);
    assert.ok(agent.news.some((item) => "who" in item && item.who === "made from 127.0.0.1"));
    agent.stop();
  });
}

test("passwords and questions are not even offered", async () => {
  for (const method of ["password", "keyboard-interactive", "hostbased"]) {
    const options = [`-oPreferredAuthentications=${method}`, "-oBatchMode=no"];
    const { status, stderr } = await world.ssh([...options, "echo in"]);
    assert.equal(status, 255);
    assert.match(stderr, denied);
  }
  assert.equal(world.agent.ending(), null);
});

test("a certificate is refused, as a login and as a line", async () => {
  const authority = world.newKey("authority");
  const key = world.newKey("certified");
  writeFileSync(`${key.file}.pub`, `${key.publicKey}\n`);
  const signed = ["-q", "-s", authority.file, "-I", "id", "-n", "job", `${key.file}.pub`];
  const made = await run("ssh-keygen", signed);
  assert.equal(made.status, 0, made.stderr);
  const certificate = readFileSync(`${key.file}-cert.pub`, "utf8").trim();
  const agent = await agentWith(
    world.publicKey,
    `cert-authority ${authority.publicKey}`,
    certificate,
  );
  const { status, stderr } = await ask(agent, key.file, [
    `-oCertificateFile=${key.file}-cert.pub`,
    "echo in",
  ]);
  assert.equal(status, 255);
  assert.match(stderr, denied);
  const told = reasons(agent).join("\n");
  assert.match(told, /Line 2 of .* "cert-authority" is not supported/);
  assert.match(told, /Line 3 of .* it is a certificate, and certificates are not supported/);
  agent.stop();
});

test("a wrong key is refused in ssh's words, is no activity, and the agent goes on waiting", async () => {
  const agent = await world.startAgent({ timeoutMs: 600_000, warnAtMs: [] });
  await world.clock.advance(300_000);
  const { status, stderr } = await ask(agent, world.newKey().file);
  assert.equal(status, 255);
  assert.match(stderr, /job@agent: Permission denied \(publickey\)\./);
  await world.clock.advance(2_000);
  assert.ok(agent.running.leftMs() < 300_000);
  assert.equal(agent.ending(), null);
  assert.deepEqual(
    agent.news.map(({ event }) => event),
    ["ready"],
  );
  assert.equal((await ask(agent, world.keyFile)).status, 0);
  await until("the end", () => agent.ending());
});

test("the seventh key of an ssh-agent gets in", async () => {
  const socket = join(world.dir, "seven.sock");
  const sshAgent = program("ssh-agent", ["-D", "-a", socket]);
  const env = { SSH_AUTH_SOCK: socket };
  const keys = Array.from({ length: 7 }, (_, n) => world.newKey(`key ${n + 1}`));
  await until("the agent is there", async () => {
    const { status } = await run("ssh-add", ["-l"], { env });
    return status === 1; // "The agent has no identities."
  });
  for (const { file } of keys) {
    chmodSync(file, 0o600);
    assert.equal((await run("ssh-add", ["-q", file], { env })).status, 0);
  }
  const agent = await agentWith(keys[6]?.publicKey ?? "");
  const ssh = startSsh(world, ["-oIdentitiesOnly=no", "echo in"], { agent, key: "", env });
  ssh.end();
  const { status, stderr } = await result(ssh);
  // Options given first win, and the world says IdentitiesOnly=yes.
  if (status !== 0) {
    const rest = world.options(agent).filter((option) => !option.includes("IdentitiesOnly"));
    const again = await run("ssh", [...rest, "job@agent", "echo in"], { env });
    assert.equal(again.status, 0, stderr + again.stderr);
    assert.equal(again.stdout.toString(), "in\n");
  }
  sshAgent.child.kill();
  await sshAgent.exited;
  agent.stop();
});

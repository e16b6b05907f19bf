/**
 * Advertised: what the agent's ssh server says it takes is what it takes, and what it refuses it
 * refuses with a reason, to the client and once in the log.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { extensions } from "../../src/io/agent/ssh/algorithms.ts";
import { endPrograms, program, type Result, run } from "../support/child.ts";
import { messages, rawClient } from "../support/raw-client.ts";
import { hold, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let rsa: string;
before(async () => {
  world = await meet();
  rsa = join(world.dir, "rsa");
  await run("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa]);
  const keys = join(world.agent.dir, ".authorized_keys");
  writeFileSync(keys, `${world.publicKey}\n${readFileSync(`${rsa}.pub`, "utf8")}`);
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

test("server-sig-algs is what can log in, and RSA only with SHA-2", async () => {
  const { stderr, status } = await world.ssh(["-vvv", "true"]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, new RegExp(`server-sig-algs=<${extensions["server-sig-algs"]}>`));
  assert.equal(
    extensions["server-sig-algs"],
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com",
  );
});

for (const algorithm of ["rsa-sha2-512", "rsa-sha2-256"])
  test(`a client that takes ${algorithm} alone logs in`, async () => {
    const narrow = await run("ssh", [
      ...world.options(),
      `-oPubkeyAcceptedAlgorithms=${algorithm}`,
      "-i",
      rsa,
      "job@agent",
      "echo in",
    ]);
    assert.deepEqual([narrow.status, narrow.stdout.toString()], [0, "in\n"], narrow.stderr);
  });

test("a person with 25 keys is told what to do, and the log has one line", async () => {
  const socket = join(world.dir, "agent.sock");
  const keys = program("ssh-agent", ["-D", "-a", socket]);
  const env = { SSH_AUTH_SOCK: socket };
  await until("the ssh-agent is there", async () => {
    const { status } = await run("ssh-add", ["-q", world.newKey("stranger").file], { env });
    return status === 0;
  });
  for (let n = 1; n < 25; n += 1)
    assert.equal((await run("ssh-add", ["-q", world.newKey(`n${n}`).file], { env })).status, 0);
  const before = world.agent.log.lines.length;
  const options = world.options().filter((option) => option !== "-oIdentitiesOnly=yes");
  const { status, stderr } = await run("ssh", [...options, "job@agent", "true"], { env });
  assert.equal(status, 255);
  assert.match(stderr, /Too many authentication failures: use ssh -i KEY -oIdentitiesOnly=yes/);
  const refused = await until("the line", () => {
    const found = world.agent.log.lines
      .slice(before)
      .filter(({ message }) => message === "login refused");
    return found.length > 0 ? found : null;
  });
  assert.equal(refused.length, 1);
  const { reason } = refused[0]?.fields ?? {};
  assert.match(
    String(reason),
    /^the key SHA256:\S+ is not authorized; (?:the key SHA256:\S+ is not authorized; ){3}and \d+ more; which is too many$/,
  );
  keys.child.kill();
  await keys.exited;
});

test("who knocks on and on with unknown keys has thirty lines a minute, and a count", async () => {
  const before = world.agent.log.lines.length;
  const { file } = world.newKey("nobody");
  for (let n = 0; n < 33; n += 3) {
    const knock = (): Promise<Result> => world.ssh(["true"], { key: file });
    for (const { status } of await Promise.all([knock(), knock(), knock()]))
      assert.equal(status, 255);
  }
  const said = (message: string): unknown[] =>
    world.agent.log.lines.slice(before).filter((line) => line.message === message);
  assert.ok(said("login refused").length <= 30, `${said("login refused").length} lines`);
  await world.clock.advance(61_000);
  await until("the count", () => said("lines left out").length > 0);
});

test("keystroke chaff is answered, and is no activity", async () => {
  const url = `${world.relay.url.href}client/${world.agent.rendezvous()}`;
  const raw = await rawClient(url, world.keyFile);
  await world.clock.advance(5_000);
  const left = world.agent.running.leftMs();
  await world.clock.advance(60_000);
  for (let n = 0; n < 20; n += 1) raw.send(messages.ping, "chaff");
  for (let n = 0; n < 20; n += 1) await raw.hear(messages.pong);
  await world.clock.advance(3_000);
  assert.ok(world.agent.running.leftMs() <= left - 60_000, "pings have extended the session");
  raw.end();
});

test("over a master a refused request ends at once, and so does the master", async () => {
  const path = `-oControlPath=${join(world.dir, "ctl")}`;
  const master = startSsh(world, ["-M", path, "-oControlPersist=4", "-N"]);
  const over = ["-F/dev/null", path, "-oBatchMode=yes"];
  await until("the master listens", async () => {
    const { status } = await run("ssh", [...over, "-O", "check", "job@agent"]);
    return status === 0;
  });
  const refused = await run("ssh", [...over, "-s", "job@agent", "netconf"]);
  assert.equal(refused.status, 255);
  // It waits four seconds for another session, and for ever for one that is not closed.
  assert.notEqual((await master.exited).status, null);
});

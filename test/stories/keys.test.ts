/** Keys: who gets in by which line, what the line allows, and edits while people are in. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, type Result, run } from "../support/child.ts";
import { hold } from "../support/started.ts";
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

const keysFile = (agent: Agent): string => join(agent.dir, ".authorized_keys");

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

async function sftp(agent: Agent, key: string, batch: string): Promise<Result> {
  const options = [...world.options(agent), "-i", key, "-b", "-", "job@agent"];
  return await run("sftp", options, { input: batch });
}

test("several lines: each key gets in, with its own options, and comments are skipped", async () => {
  const [one, two, none] = [world.newKey("one"), world.newKey("two"), world.newKey("none")];
  const agent = await agentWith(
    "# the team",
    "",
    one.publicKey,
    `  no-pty,environment="WHO=two" ${two.publicKey}\r`,
  );
  assert.equal((await ask(agent, one.file)).stdout.toString(), "in\n");
  assert.equal((await ask(agent, two.file, ["echo $WHO"])).stdout.toString(), "two\n");
  const refused = await ask(agent, none.file);
  assert.equal(refused.status, 255);
  assert.match(refused.stderr, denied);
  assert.equal(agent.ending(), null);
  assert.equal((await ask(agent, one.file)).status, 0);
  agent.stop();
});

test("command= runs instead of a command, a shell or sftp, and is told what was asked for", async () => {
  const key = world.newKey();
  const agent = await agentWith(
    `command="echo forced [$SSH_ORIGINAL_COMMAND] \\"quoted\\"; exit 3" ${key.publicKey}`,
  );
  for (const [args, asked] of [
    [["rm -rf /important"], "rm -rf /important"],
    [["-T"], ""],
  ] as const) {
    const { status, stdout } = await ask(agent, key.file, [...args]);
    assert.deepEqual([status, stdout.toString()], [3, `forced [${asked}] quoted\n`]);
  }
  const over = await sftp(agent, key.file, "ls\n");
  assert.notEqual(over.status, 0);
  const raw = await ask(agent, key.file, ["-s", "sftp"]);
  assert.deepEqual([raw.status, raw.stdout.toString()], [3, "forced [internal-sftp] quoted\n"]);
  agent.stop();
});

test('command="internal-sftp" allows sftp and nothing else', async () => {
  const key = world.newKey();
  const agent = await agentWith(`restrict,command="internal-sftp" ${key.publicKey}`);
  const listed = await sftp(agent, key.file, "pwd\n");
  assert.equal(listed.status, 0, listed.stderr);
  assert.match(listed.stdout.toString(), new RegExp(agent.dir));
  const command = await ask(agent, key.file, ["echo escaped"]);
  assert.doesNotMatch(command.stdout.toString(), /escaped/);
  agent.stop();
});

for (const [options, hasPty] of [
  ["no-pty", false],
  ["restrict", false],
  ["restrict,pty", true],
  ["no-pty,pty", true],
] as const) {
  test(`${options}: ${hasPty ? "a terminal" : "no terminal"}, and commands run`, async () => {
    const key = world.newKey();
    const agent = await agentWith(`${options} ${key.publicKey}`);
    assert.equal((await ask(agent, key.file)).stdout.toString(), "in\n");
    const { status, stdout, stderr } = await ask(agent, key.file, ["-tt", "tty; exit 5"]);
    if (hasPty) assert.match(stdout.toString(), /^\/dev\/pts\//);
    else assert.match(stderr, /PTY allocation request failed on channel 0/);
    // OpenSSH 9.2 gives up by itself when it is refused a terminal that it was told to have.
    assert.equal(status, hasPty ? 5 : 255);
    agent.stop();
  });
}

for (const [options, isIn] of [
  ['from="127.0.0.1"', true],
  ['from="127.0.0.0/8,10.0.0.0/8"', true],
  ['from="*.0.0.1"', true],
  ['from="10.0.0.0/8"', false],
  ['from="!127.0.0.1,*"', false],
  ['expiry-time="20200101"', false],
  ['expiry-time="209901012359Z"', true],
  ['expiry-time="20200101",from="127.0.0.1"', false],
] as const) {
  test(`${options} ${isIn ? "lets in" : "keeps out"} somebody from 127.0.0.1 today`, async () => {
    const key = world.newKey();
    const agent = await agentWith(world.publicKey, `${options} ${key.publicKey}`);
    const { status, stderr } = await ask(agent, key.file);
    assert.equal(status, isIn ? 0 : 255, stderr);
    if (!isIn) {
      assert.match(stderr, denied);
      const why = /expired at 2020-01-0|expired at 2019-12-31|may not be used from 127\.0\.0\.1/;
      assert.ok(reasons(agent).some((reason) => why.test(reason)));
    }
    agent.stop();
  });
}

test("environment= sets variables that the client may not, the first of one name", async () => {
  const key = world.newKey();
  const options = 'environment="A=1 and 2",environment="A=3",environment="B=\\"x\\""';
  const agent = await agentWith(`${options} ${key.publicKey}`);
  const { stdout } = await ask(agent, key.file, ["-oSetEnv=A=mine", 'echo "$A|$B"']);
  assert.equal(stdout.toString(), '1 and 2|"x"\n');
  agent.stop();
});

test("a line with an unknown option is refused with its number and the reason; others apply", async () => {
  const [bad, good] = [world.newKey("bad"), world.newKey("good")];
  const agent = await agentWith(good.publicKey, `tunnel="1" ${bad.publicKey}`, "no key at all");
  assert.match((await ask(agent, bad.file)).stderr, denied);
  assert.equal((await ask(agent, good.file)).status, 0);
  const file = keysFile(agent);
  assert.ok(
    reasons(agent).includes(`Line 2 of ${file} is refused: its option "tunnel" is not supported.`),
    JSON.stringify(reasons(agent)),
  );
  assert.ok(reasons(agent).some((reason) => reason.startsWith(`Line 3 of ${file} is refused:`)));
  agent.stop();
});

test("a key added is in at once; one removed stays until it leaves, and is told in the terminal", async () => {
  const [one, two] = [world.newKey("one"), world.newKey("two")];
  const agent = await agentWith(one.publicKey);
  const screen = world.terminal([], { agent, key: one.file });
  await screen.see("$ ");
  assert.match((await ask(agent, two.file)).stderr, denied);
  writeFileSync(keysFile(agent), `${one.publicKey}\n${two.publicKey}\n`);
  assert.equal((await ask(agent, two.file)).stdout.toString(), "in\n");
  await world.clock.advance(2_000);
  await screen.see("[converge] Keys file changed. The next login obeys it.");
  writeFileSync(keysFile(agent), `${two.publicKey}\n`);
  await world.clock.advance(2_000);
  await screen.see("[converge] Keys file changed.");
  screen.type("echo still $((40 + 2))\r");
  await screen.see("still 42");
  assert.match((await ask(agent, one.file)).stderr, denied);
  assert.equal((await ask(agent, two.file)).status, 0);
  screen.type("exit 4\r");
  assert.equal(await screen.exited, 4);
  agent.stop();
});

test("a keys file saved by rename, emptied, deleted, replaced by a folder, and back again", async () => {
  const key = world.newKey();
  const agent = await agentWith(key.publicKey);
  const file = keysFile(agent);
  const text = readFileSync(file);
  const isIn = async (): Promise<boolean> => {
    const { status, stderr } = await ask(agent, key.file);
    if (status !== 0) assert.match(stderr, denied);
    return status === 0;
  };
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  assert.equal(await isIn(), true, "saved by rename");
  writeFileSync(file, "");
  assert.equal(await isIn(), false, "empty");
  writeFileSync(file, text);
  assert.equal(await isIn(), true, "written again");
  // The way of an editor that keeps a backup: away, and a moment later a new one.
  renameSync(file, `${file}~`);
  const login = isIn();
  await until("a login is under way", () => world.relay.rows().some((row) => row.clients.length));
  writeFileSync(file, text);
  assert.equal(await login, true, "a gap");
  unlinkSync(file);
  assert.equal(await isIn(), false, "deleted");
  mkdirSync(file);
  assert.equal(await isIn(), false, "a folder");
  assert.ok(
    reasons(agent).some((reason) => reason.startsWith(`The keys file ${file} cannot be read`)),
  );
  rmSync(file, { recursive: true });
  writeFileSync(file, text);
  assert.equal(await isIn(), true, "back again");
  assert.equal(agent.ending(), null);
  agent.stop();
});

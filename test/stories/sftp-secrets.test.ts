/**
 * Secrets and sftp: who has a key for sftp alone, or an agent that only lets read, cannot have the
 * environment of the agent, nor of the step that started it. The real sftp, and the shipped agent.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  type RelayProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";

const secret = "the-secret-that-makes-the-host-key";
const token = "the-token-of-this-job";

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram();
});
after(() => endPrograms());

/** As in a job: a shell with the variables starts the agent. */
const step = [
  "sh",
  "-c",
  '"$@"; exit $?',
  "sh",
  process.execPath,
  shippedFile("agent.cjs"),
] as const;

async function agentWithSecrets(flags: readonly string[], line: string): Promise<AgentProgram> {
  const env = { CONVERGE_REGISTER_TOKEN: token, HOST_SECRET: secret };
  const args = ["--host-key-secret-env", "HOST_SECRET", ...flags];
  const agent = await agentProgram(relay.url, args, { env }, step);
  const keys = join(agent.dir, ".authorized_keys");
  writeFileSync(keys, `${line}${readFileSync(keys, "utf8")}`);
  return agent;
}

const rows = [
  ["a key for sftp alone", [], 'restrict,command="internal-sftp" '],
  ["an agent that only lets read", ["--read-only"], ""],
] as const;

for (const [name, flags, line] of rows)
  test(`${name} leads to no environment of the agent or of its step`, async () => {
    const agent = await agentWithSecrets(flags, line);
    const shell = agent.pid;
    const own = readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim();
    for (const pid of [shell, own])
      assert.ok(readFileSync(`/proc/${pid}/environ`, "utf8").includes(secret), `${pid} has it`);
    const asked = [
      "self",
      "thread-self",
      own,
      shell,
      `${own}/task/${own}`,
      `${own}/root/proc/${own}`,
    ];
    const lines = [
      ...asked.map((of) => `-get /proc/${of}/environ got`),
      ...["/proc/self", `/proc/${own}`, "/dev/fd/..", "/dev/stdin"].flatMap((target, i) => [
        `-symlink ${target} link${i}`,
        `-get link${i}/environ got`,
        `-get link${i} got`,
      ]),
      `-ls /proc/${own}/`,
      "get /proc/loadavg rest",
    ];
    const to = sshArgs(agent);
    const run = program("sftp", [...to.slice(0, -1), "-b", "-", ...to.slice(-1)], {
      cwd: agent.dir,
      input: `${lines.join("\n")}\n`,
    });
    const { status, err } = await finished(run);
    assert.equal(status, 0, err);
    assert.match(err, /not for sftp|Permission denied/i);
    assert.ok(existsSync(join(agent.dir, "rest")));
    assert.ok(!existsSync(join(agent.dir, "got")), "it was given an environment");
    assert.ok(!`${run.out()}${err}`.includes(secret));
  });

test("a procfs in another place leads there no more than /proc", async () => {
  const at = folder();
  for (const name of ["whole", "one"]) mkdirSync(join(at, name));
  const mounts = `mount -t proc proc ${at}/whole; mount --bind /proc/1 ${at}/one; exec "$@"`;
  const agent = await agentProgram(relay.url, [], {}, [
    ...(["unshare", "--mount", "sh", "-c", mounts, "sh", process.execPath] as const),
    shippedFile("agent.cjs"),
  ]);
  const asked = [
    `whole/self/environ`,
    `whole/${agent.pid}/environ`,
    "one/status",
    "whole/1/root/etc/passwd",
  ];
  const lines = [
    ...asked.map((path) => `-get ${at}/${path} got`),
    `-symlink ${at}/whole link`,
    "-get link/self/environ got",
    `-ls ${at}/one`,
    "get /proc/loadavg rest",
  ];
  const to = sshArgs(agent);
  const run = program("sftp", [...to.slice(0, -1), "-b", "-", ...to.slice(-1)], {
    cwd: agent.dir,
    input: `${lines.join("\n")}\n`,
  });
  const { status, err, out } = await finished(run);
  assert.equal(status, 0, err);
  assert.ok(existsSync(join(agent.dir, "rest")));
  assert.ok(!existsSync(join(agent.dir, "got")), "it was given what is a process's");
  assert.doesNotMatch(out, /environ\b.*\bmaps\b/s);
});

test("secrets come by descriptor: in no environment, with the same key, and a token for each link", async () => {
  const at = folder();
  writeFileSync(join(at, "agents"), `${token}\n`);
  writeFileSync(join(at, "policy.json"), '{"register":[{"tokenFile":"agents"}]}');
  const policy = ["--policy", join(at, "policy.json")];
  const picky = await relayProgram(policy);
  const derived = await agentProgram(relay.url, ["--host-key-secret-env", "HOST_SECRET"], {
    env: { HOST_SECRET: secret },
  });
  const given = `exec "$@" 3< <(echo ${secret}) 4< <(echo ${token})`;
  const flags = ["--host-key-secret-file", "/dev/fd/3", "--register-token-file", "/dev/fd/4"];
  const agent = await agentProgram(picky.url, [...flags, "--log-level", "info"], {}, [
    ...(["bash", "-c", given, "bash", process.execPath] as const),
    shippedFile("agent.cjs"),
  ]);
  writeFileSync(join(agent.dir, ".hold"), "");
  assert.equal(agent.ready.fingerprint, derived.ready.fingerprint);
  assert.ok(!readFileSync(`/proc/${agent.pid}/environ`, "utf8").includes(token));
  const { out } = await finished(ssh(agent, ["ls /proc/self/fd; env"]));
  assert.doesNotMatch(out, new RegExp(`${secret}|${token}`));
  picky.kill("SIGKILL");
  await picky.exited;
  await relayProgram(policy, { port: picky.port });
  await until("it is registered again", () => /"isFirst":false.*"registered"/.test(agent.err()));
});

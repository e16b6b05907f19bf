/**
 * A uid that nobody knows: without an entry in passwd, without a home and with an empty environment,
 * as containers run jobs. Commands, sftp and a terminal work; the shipped agent, as that user.
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  jobFolder,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { shippedFile } from "../support/shipped.ts";

const uid = 54_321;
const isRoot = process.getuid?.() === 0;
let agent: AgentProgram;
let dir: string;

before(async () => {
  if (!isRoot) return;
  const relay = await relayProgram();
  const at = folder();
  chmodSync(at, 0o755);
  const file = join(at, "agent.cjs");
  writeFileSync(file, readFileSync(shippedFile("agent.cjs")), { mode: 0o644 });
  const job = jobFolder();
  ({ dir } = job);
  for (const path of [dir, join(dir, ".authorized_keys")]) chownSync(path, uid, uid);
  const path = "PATH=/usr/local/bin:/usr/bin:/bin";
  const as = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"] as const;
  const started = await agentProgram(relay.url, [], { cwd: dir }, [
    ...as,
    ...["env", "-i", path, process.execPath, file],
  ]);
  writeFileSync(join(dir, ".hold"), "");
  agent = Object.assign(started, { dir, keyFile: job.keyFile });
});
after(endPrograms);

test("a command runs", { skip: !isRoot }, async () => {
  const { status, out, err } = await finished(ssh(agent, ['id -u; pwd; echo "home:$HOME"']));
  assert.equal(status, 0, err);
  assert.equal(out.split("\n").slice(0, 2).join("\n"), `${uid}\n${dir}`);
});

test("sftp answers: where it is, put, get, and what ~ means", { skip: !isRoot }, async () => {
  const at = folder();
  writeFileSync(join(at, "up"), "one file");
  const to = sshArgs(agent);
  const input = "pwd\nput up\nget up back\nls -l\n";
  const run = program("sftp", [...to.slice(0, -1), "-b", "-", ...to.slice(-1)], { cwd: at, input });
  const { status, out, err } = await finished(run);
  assert.equal(status, 0, err);
  assert.ok(out.includes(`Remote working directory: ${dir}`), out);
  assert.equal(readFileSync(join(at, "back"), "utf8"), "one file");
  assert.equal(statSync(join(dir, "up")).uid, uid);
  const copied = await finished(
    program("scp", [...to.slice(0, -1), join(at, "up"), "job@agent:~/tilde"]),
  );
  assert.equal(copied.status, 0, copied.err);
  assert.ok(existsSync(join(dir, "tilde")), "~ is the agent's folder");
});

test("a terminal opens, and is one", { skip: !isRoot }, async () => {
  const run = program("ssh", ["-tt", ...sshArgs(agent)], { input: "tty; id -u; exit 3\n" });
  const { status, out, err } = await finished(run);
  assert.equal(status, 3, out + err);
  assert.match(out, /\/dev\/pts\/\d+/);
  assert.match(out, new RegExp(`^${uid}\r?$`, "m"));
});

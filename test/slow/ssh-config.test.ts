/** wsproxy ssh-config: a block for ssh's configuration, used by a real ssh. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { agentProgram, ours, type RelayProgram, relayProgram } from "../support/programs.ts";

const [_sshRelease = ""] = spawnSync("ssh", ["-V"], { encoding: "utf8" }).stderr.split(",");

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram(["--context-path", "/ci"]);
});
after(endPrograms);

describe("ssh-config", () => {
  test("prints a block with which ssh needs an alias only", async () => {
    const agent = await agentProgram(`${relay.url}/ci`, ["--id", "my.job"]);
    const { clientUrl, fingerprint } = agent.ready;
    const pin = ["--fingerprint", fingerprint];
    const run = await finished(
      ours("wsproxy", ["ssh-config", "--host-alias", "job1", ...pin, clientUrl]),
    );
    assert.deepEqual([run.status, run.err], [0, ""]);
    assert.equal(
      run.out,
      `Host job1
  HostName my.job
  User job
  ProxyCommand wsproxy --fingerprint ${fingerprint} ${relay.url}/ci/client/my.job
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking accept-new
  LogLevel ERROR
  ServerAliveInterval 0
`,
    );
    const config = join(folder(), "config");
    const wsproxy = `${process.execPath} ${join(import.meta.dirname, "../../dist/cli/wsproxy.js")}`;
    writeFileSync(config, run.out.replace("ProxyCommand wsproxy", `ProxyCommand ${wsproxy}`));
    const key = ["-i", agent.keyFile, "-oIdentitiesOnly=yes"];
    const ssh = await finished(program("ssh", ["-F", config, ...key, "job1", "echo hello"]));
    assert.deepEqual([ssh.status, ssh.out], [0, "hello\n"], ssh.err);
  });

  test("of a relay prints one block for all its agents, whatever the case of their ids", async () => {
    const agent = await agentProgram(`${relay.url}/ci`, ["--id", "My.Job"]);
    const run = await finished(ours("wsproxy", ["ssh-config", `${relay.url}/ci`]));
    assert.match(run.out, /^Host \*\.converge\n {2}# unchecked: /);
    const config = join(folder(), "config");
    const wsproxy = `${process.execPath} ${join(import.meta.dirname, "../../dist/cli/wsproxy.js")}`;
    writeFileSync(config, run.out.replace("ProxyCommand wsproxy", `ProxyCommand ${wsproxy}`));
    const args = ["-F", config, "-i", agent.keyFile, "-oIdentitiesOnly=yes"];
    const ssh = await finished(program("ssh", [...args, "My.Job.converge", "echo hello"]));
    assert.deepEqual([ssh.status, ssh.out], [0, "hello\n"], ssh.err);
    assert.doesNotMatch(ssh.err, /Permanently added/);
  });

  test("without an alias it is the id, and a file with spaces is one word", async () => {
    const args = ["ssh-config", "--ca", "/my ca's.pem", "https://r.example/50%25/client/x"];
    const { out } = await finished(ours("wsproxy", args));
    assert.match(out, /^Host x\.converge\n/);
    assert.ok(
      out.includes(
        `ProxyCommand wsproxy --ca '/my ca'\\''s.pem' https://r.example/50%%25/client/x\n`,
      ),
      out,
    );
  });

  for (const [name, args, want] of [
    [
      "no id",
      ["https://r.example/client/"],
      "The URL is the relay's, or ends with /client/ID, as the job prints it.",
    ],
    [
      "a name for all agents",
      ["--host-alias", "x", "https://r.example/"],
      "A --host-alias is one agent's: give its URL, which ends with /client/ID.",
    ],
    [
      "an alias for two",
      ["--host-alias", "a b", "https://r.example/client/x"],
      "A --host-alias is of A-Z a-z 0-9 . _ - only.",
    ],
    [
      "half a fingerprint",
      ["--fingerprint", "SHA256:x", "https://r.example/client/x"],
      "--fingerprint is SHA256: and 43 characters, as the agent prints it.",
    ],
  ] as const)
    test(`${name} is refused`, async () => {
      const { status, out, err } = await finished(ours("wsproxy", ["ssh-config", ...args]));
      assert.deepEqual([status, out, err], [2, "", `converge: ${want}\n`]);
    });
});

/** Trust: a relay that puts its own agent in the middle, and a relay that keeps every byte. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endPrograms, finished, program } from "../support/child.ts";
import { type Forwarder, forwarder } from "../support/forwarder.ts";
import {
  agentProgram,
  jobFolder,
  ours,
  type RelayProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";

after(endPrograms);

describe("a relay with an agent of its own in the middle", () => {
  test("is refused before the client authenticates, when the fingerprint is known", async () => {
    const honest = await relayProgram();
    const evil = await relayProgram();
    const agent = await agentProgram(honest.url, ["--id", "job"]);
    // The evil one has everything that a relay can have: the id, and the client's public key.
    const keys = readFileSync(join(agent.dir, ".authorized_keys"), "utf8");
    const imposter = await agentProgram(evil.url, ["--id", "job", "--log-level", "debug"]);
    writeFileSync(join(imposter.dir, ".authorized_keys"), keys);

    const through = `${evil.url}/client/job`;
    const caught = await finished(
      program("ssh", [...sshArgs(agent, "", through), "-v", "echo reached"]),
    );
    assert.equal(caught.status, 255);
    assert.match(caught.err, /The host key does not match: expected SHA256:/);
    assert.doesNotMatch(caught.err, /NEWKEYS|Offering public key/);
    assert.doesNotMatch(imposter.err() + imposter.out(), /login refused|client joined/);

    // Without the pin it works: that is what the pin is for.
    const blind = sshArgs(agent, "", through).map((arg) =>
      arg.replace(/--fingerprint SHA256:\S+ /, ""),
    );
    const fooled = await finished(program("ssh", [...blind, "echo reached"]));
    assert.deepEqual([fooled.status, fooled.out], [0, "reached\n"], fooled.err);
  });

  test("a host key from a CI secret is the same in the next run, and the secret is in no shell", async () => {
    const relay = await relayProgram();
    const secret = "long enough and from the CI";
    const how = { env: { MY_SECRET: secret } };
    const args = ["--host-key-secret-env", "MY_SECRET"];
    const first = await agentProgram(relay.url, args, how);
    const second = await agentProgram(relay.url, args, how);
    assert.equal(second.ready.fingerprint, first.ready.fingerprint);
    const { out } = await finished(ssh(second, ["env; cat /proc/$PPID/cmdline | tr '\\0' ' '"]));
    assert.match(out, /^agentdir=/m);
    assert.doesNotMatch(out, /MY_SECRET=|long enough/);
    for (const [args, want] of [
      [
        ["--host-key-secret-env", "NOT_SET"],
        /^converge: --host-key-secret-env: NOT_SET is not set\.\n$/,
      ],
      [
        ["--host-key-secret-env", "X", "--host-key", "f"],
        /Give one of --host-key, --host-key-secret-env and --host-key-secret-file/,
      ],
    ] as const) {
      const { dir } = jobFolder();
      const { status, err } = await finished(ours("agent", [...args, relay.url], { cwd: dir }));
      assert.equal(status, 2);
      assert.match(err, want);
    }
  });
});

describe("a relay that keeps every byte", () => {
  let relay: RelayProgram;
  let tap: Forwarder;
  const kept: Buffer[] = [];
  before(async () => {
    relay = await relayProgram();
    tap = await forwarder(
      () => relay.port,
      (data) => kept.push(Buffer.from(data)),
    );
  });
  after(() => tap.close());

  test("finds nothing of what was typed, printed, copied or forwarded", async () => {
    const url = `http://127.0.0.1:${tap.port}`;
    const agent = await agentProgram(url);
    writeFileSync(join(agent.dir, ".hold"), "");
    const canary = "Xq7-canary-Xq7";
    const typed = await finished(ssh(agent, ["cat"], { input: `typed ${canary}\n` }));
    assert.equal(typed.out, `typed ${canary}\n`);
    writeFileSync(join(agent.dir, "secret"), `copied ${canary}\n`.repeat(1_000));
    const got = join(agent.dir, "got");
    const scp = sshArgs(agent).slice(0, -1);
    const copied = await finished(program("scp", [...scp, "job@agent:secret", got]));
    assert.equal(copied.status, 0, copied.err);
    assert.equal(readFileSync(got, "utf8"), readFileSync(join(agent.dir, "secret"), "utf8"));
    const server = createServer((socket) => socket.end(`forwarded ${canary}\n`));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const address = server.address();
    const there = typeof address === "object" && address ? address.port : 0;
    const stdio = await finished(
      program("ssh", [...sshArgs(agent).slice(0, -1), "-W", `127.0.0.1:${there}`, "job@agent"]),
    );
    assert.equal(stdio.out, `forwarded ${canary}\n`);
    server.close();

    const all = Buffer.concat(kept);
    for (const secret of [canary, "ssh-connection", "secret", "publickey"])
      assert.equal(all.includes(secret), false, secret);
    // The same search finds what is not secret: the capture is whole and not compressed.
    assert.ok(all.length > 15_000 * 2);
    for (const known of ["SSH-2.0-converge", "SSH-2.0-OpenSSH", "converge.agent.v1", "ssh-ed25519"])
      assert.equal(all.includes(known), true, known);
  });
});

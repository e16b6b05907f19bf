/** The job's one-liner on machines that have nothing: Debian's smallest root, and one that holds only busybox. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { finished, folder, run } from "../support/child.ts";
import { mirror, relay } from "../support/mirrored.ts";
import { ended, oneLiner, sshTo, useTerminal, withKey } from "../support/one-liner.ts";
import { busyboxOnly, copyOf, inRoot, minbase } from "../support/roots.ts";

describe("in Debian's smallest root", () => {
  let dir: string;
  let keyFile: string;
  before(() => {
    dir = copyOf(minbase(), join(folder(), "root"));
    keyFile = withKey(dir);
    for (const name of ["curl", "wget", "python3", "node"])
      assert.equal(existsSync(join(dir, "usr/bin", name)), false, name);
  });
  /** Nothing can fetch the script there but apt's helper, so it comes as a file. */
  const script = async (url: string): Promise<void> =>
    writeFileSync(join(dir, "job/agent.sh"), await (await fetch(`${url}/agent.sh`)).text());

  test("the script gives a shell with a terminal", async () => {
    await script(relay.url);
    const agent = inRoot(dir, "sh -s -- --id minbase < agent.sh");
    await agent.see("rendez-vous id   minbase");
    await useTerminal(relay, "minbase", keyFile);
    await ended(agent);
    assert.match(agent.err(), /converge: fetching agent-linux-x64\n/);
  });

  test("the second time nothing is fetched, and a damaged cache is mended", async () => {
    await script(mirror.url);
    const again = inRoot(dir, `sh -s -- --id again ${relay.url} < agent.sh`);
    await again.see("rendez-vous id   again");
    await run("ssh", [...sshTo(relay, "again", keyFile), "true"]);
    await ended(again);
    assert.deepEqual(mirror.fetched, []);
    const cache = join(dir, "root/.cache/converge");
    const [kept = ""] = readdirSync(cache);
    writeFileSync(join(cache, kept), "#!/bin/sh\necho not this\n");
    const third = inRoot(dir, `sh -s -- --id third ${relay.url} < agent.sh`);
    await third.see("rendez-vous id   third");
    third.kill("SIGKILL");
    assert.deepEqual(mirror.fetched, ["/static/agent-linux-x64.gz"]);
    assert.deepEqual(readdirSync(cache), [kept]);
  });

  test("a damaged download starts nothing and leaves nothing", async () => {
    mirror.isDamaging = true;
    await script(mirror.url);
    const agent = inRoot(dir, `CONVERGE_CACHE=/job/fresh sh -s -- ${relay.url} < agent.sh`);
    const { status, err } = await finished(agent);
    assert.equal(status, 1);
    assert.match(err, /is damaged\. Try again\.|Nothing was started\./);
    assert.deepEqual(readdirSync(join(dir, "job/fresh")), []);
  });

  test("a home that is read-only and a /tmp that runs nothing are worked round", async () => {
    await script(relay.url);
    const before = `mount -t tmpfs -o noexec none "$1/tmp"; mount -t tmpfs -o ro none "$1/root"`;
    const agent = inRoot(dir, "sh -s -- --id cramped < agent.sh", { before });
    await agent.see("rendez-vous id   cramped");
    await useTerminal(relay, "cramped", keyFile);
    await ended(agent);
    assert.deepEqual(readdirSync(join(dir, "var/tmp")), ["converge-0"]);
  });
});

test("in a root that holds only busybox, the one-liner gives a shell with a terminal", async () => {
  const dir = busyboxOnly(join(folder(), "root"));
  const keyFile = withKey(dir);
  const agent = inRoot(dir, oneLiner(relay.url, "--id busybox"));
  await agent.see("rendez-vous id   busybox");
  await useTerminal(relay, "busybox", keyFile);
  await ended(agent);
  assert.match(agent.err(), /fetching libs-linux-x64\.tar\.gz/);
});

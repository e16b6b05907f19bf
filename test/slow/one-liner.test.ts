/** The job's one-liner on a machine with Node: what fetches it, damage on the way, and its cache. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { program, run } from "../support/child.ts";
import { mirror, relay } from "../support/mirrored.ts";
import { clean, ended, oneLiner, sshTo } from "../support/one-liner.ts";
import { jobFolder } from "../support/programs.ts";

describe("on a machine with Node", () => {
  test("the job's NODE_OPTIONS does not reach the agent and comes back in the shell", async () => {
    const { dir, keyFile } = jobFolder();
    const options = "--require /nowhere/at-all.js";
    const agent = program("sh", ["-c", oneLiner(relay.url, "--id options")], {
      cwd: dir,
      env: { ...clean, HOME: dir, NODE_OPTIONS: options },
    });
    await agent.see("rendez-vous id   options");
    const { stdout } = await run("ssh", [
      ...sshTo(relay, "options", keyFile),
      'echo "$NODE_OPTIONS"',
    ]);
    assert.equal(stdout.toString(), `${options}\n`);
    await ended(agent);
    assert.match(agent.err(), /converge: fetching agent\.cjs\n/);
    // Nothing is left of it but the cache and what the test itself made.
    assert.deepEqual(readdirSync(dir).sort(), [".authorized_keys", ".bashrc", ".cache", "id"]);
    assert.equal(readdirSync(join(dir, ".cache/converge")).length, 1);
  });

  for (const tool of ["curl", "wget", "python3", "node"])
    test(`${tool} alone can fetch it`, async () => {
      const { dir } = jobFolder();
      const bin = join(dir, "bin");
      mkdirSync(bin);
      const needed = "sh id ls mkdir chmod rm mv sha256sum printf cat node env".split(" ");
      for (const name of new Set([...needed, tool])) {
        const found = ["/usr/bin", "/usr/local/bin"].map((at) => join(at, name)).find(existsSync);
        if (found) symlinkSync(found, join(bin, name));
      }
      writeFileSync(join(dir, "agent.sh"), await (await fetch(`${mirror.url}/agent.sh`)).text());
      const { status, stdout, stderr } = await run("/bin/sh", ["agent.sh", "--version"], {
        cwd: dir,
        env: { PATH: bin, HOME: dir },
      });
      assert.deepEqual([status, stdout.toString()], [0, "0.1.0\n"], stderr);
      assert.deepEqual(mirror.fetched, ["/static/agent.cjs"]);
    });

  test("a file with another hash is refused in a sentence", async () => {
    mirror.isDamaging = true;
    const { dir } = jobFolder();
    const { status, stderr } = await run("sh", ["-c", oneLiner(mirror.url, "--version")], {
      cwd: dir,
      env: { ...clean, HOME: dir },
    });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^converge: fetching agent\.cjs\nconverge: agent\.cjs has the SHA-256 [0-9a-f]{64} and should have [0-9a-f]{64}\. Nothing was started\.\n$/,
    );
    assert.deepEqual(readdirSync(join(dir, ".cache/converge")), []);
  });
});

test("another release in the same cache leaves a wsproxy that is installed alone", async () => {
  const { dir } = jobFolder();
  const env = { ...clean, HOME: dir };
  const install = `curl -fsSL ${relay.url}/wsproxy.sh | sh`;
  assert.equal((await run("sh", ["-c", install], { env })).status, 0);
  const cache = join(dir, ".cache/converge");
  const [own = ""] = readdirSync(cache).filter((name) => name.endsWith("-wsproxy.cjs"));
  const other = `${"0".repeat(64)}-wsproxy.cjs`;
  const ancient = `${"1".repeat(64)}-wsproxy.cjs`;
  for (const name of [other, ancient]) writeFileSync(join(cache, name), "");
  utimesSync(join(cache, ancient), 0, 0);
  rmSync(join(cache, own)); // so that it is mirror.fetched, and the cache is tidied
  assert.equal((await run("sh", ["-c", install], { env })).status, 0);
  const left = readdirSync(cache).filter((name) => name.endsWith("-wsproxy.cjs"));
  assert.deepEqual(left.sort(), [other, own].sort());
});

test("a cache folder that others may write to is not used", async () => {
  const { dir } = jobFolder();
  const open = join(dir, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const { status, stdout } = await run("sh", ["-c", oneLiner(relay.url, "--version")], {
    cwd: dir,
    env: { ...clean, HOME: dir, CONVERGE_CACHE: open },
  });
  assert.deepEqual([status, stdout.toString()], [0, "0.1.0\n"]);
  assert.deepEqual(readdirSync(open), []);
});

/** wsproxy as ssh and a person meet it: bytes on stdout, sentences on stderr. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { endPrograms, finished, program } from "../support/child.ts";
import { ours } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { sshWith } from "../support/ssh-through.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");

let world: World;
before(async () => {
  world = await meet(null);
});
afterEach(endPrograms);
after(() => world.close());

describe("what it says, and where", () => {
  test("stdout is the bytes of the other side, and sentences are on stderr", async () => {
    const agent = await world.startAgent();
    const proxy = ours("wsproxy", [`${base(world)}/client/${agent.rendezvous()}`], {
      input: "open",
    });
    proxy.child.stdin?.write("SSH-2.0-nobody\r\n");
    await proxy.see("[converge] Found the agent: ");
    await until("a key exchange", () => proxy.out().length > 200);
    proxy.child.stdin?.end();
    const { status, out, err } = await finished(proxy);
    assert.equal(status, 0);
    assert.match(out, /^SSH-2\.0-converge[^\n]*\r\n\0/);
    assert.match(
      err,
      /^\[converge\] Found the agent: \S+@\S+, Linux \S+, shell \/bin\/bash, ends in (?:10m|9m 5\ds) without activity\.\n$/,
    );
  });

  test("--quiet says nothing but errors", async () => {
    const agent = await world.startAgent();
    const quiet = await finished(sshWith(world, agent, { flags: "--quiet" }));
    assert.deepEqual([quiet.status, quiet.out], [0, "in\n"]);
    assert.doesNotMatch(quiet.err, /converge/);
    const failed = await finished(
      ours("wsproxy", ["--quiet", `${base(world)}/client/nobody`], { input: "open" }),
    );
    assert.equal(failed.status, 7);
    assert.match(failed.err, /^converge: No agent is registered as nobody\./);
  });

  test("no URL: the help, and status 2; --help and --version: status 0", async () => {
    const none = await finished(ours("wsproxy", []));
    assert.deepEqual([none.status, none.out], [2, ""]);
    assert.match(none.err, /^Usage: wsproxy \[options\] \[client-url\]\n/);
    const help = await finished(ours("wsproxy", ["--help"]));
    assert.equal(help.status, 0);
    assert.match(help.out, /^Usage: wsproxy \[options\] \[client-url\]\n/);
    for (const flag of ["--wait", "--raw", "--listen", "--fingerprint", "--ca", "--insecure"])
      assert.ok(help.out.includes(flag), flag);
    const version = await finished(ours("wsproxy", ["--version"]));
    assert.equal(version.status, 0);
    assert.match(version.out, /^\d+\.\d+\.\d+\S*\n$/);
  });

  test("CONVERGE_CLIENT_URL is the URL when none is given", async () => {
    const said = await finished(
      ours("wsproxy", [], {
        input: "open",
        env: { CONVERGE_CLIENT_URL: `${base(world)}/client/from-env` },
      }),
    );
    assert.equal(said.status, 7);
    assert.match(said.err, /No agent is registered as from-env\./);
  });
});

test("--log-level debug says where it dials, and how that ended", async () => {
  const args = [built("wsproxy"), "--log-level", "debug", "http://127.0.0.1:9/client/x"];
  const { status, err } = await finished(program(process.execPath, args, { input: "open" }));
  assert.equal(status, 3);
  assert.match(err, /^\[converge\] Dialling 127\.0\.0\.1:9\/client\/x\.\nconverge: The relay /);
});

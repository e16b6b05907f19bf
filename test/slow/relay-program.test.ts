/** The relay as a program: its log, how it drains and ends, and what keeps it from starting. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { version } from "../../src/io/version.ts";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { agentProgram, ours, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";

describe("as a program", () => {
  afterEach(endPrograms);

  test("its log has one line with the facts of a session, and nothing that was typed or shown", async () => {
    const relay = await relayProgram(["--log-level", "debug"]);
    const agent = await agentProgram(relay.url, ["--id", "logged", "--log-level", "debug"]);
    const seen = screen("ssh", ["-tt", ...sshArgs(agent)]);
    await seen.see("$ ");
    // The shell joins the halves, so the whole is printed too.
    seen.type("echo canary''bird\r");
    await seen.see("canarybird");
    await until("the relay knows who it is", async () =>
      (await (await fetch(`${relay.url}/api/sessions`)).text()).includes('"kinds":["shell"]'),
    );
    seen.type("exit\r");
    assert.equal(await seen.exited, 0);
    const line = await until("its line", () =>
      relay.lines().find(({ msg }) => msg === "client session ended"),
    );
    // Who hung up first is a race: the last client leaves, and the agent ends for that.
    const { clientBytes, agentBytes, seconds, login, ...others } = line as {
      [key: string]: unknown;
    };
    assert.ok(Number(clientBytes) > 1_000 && Number(agentBytes) > 1_000);
    assert.ok(Number(seconds) >= 0 && Number(seconds) < 60);
    assert.equal((login as { comment: string }).comment, "dev@laptop");
    assert.deepEqual(
      ["id", "client", "outcome", "kinds"].map((key) => others[key]),
      ["logged", "127.0.0.1", "served", ["shell"]],
    );
    await agent.exited;
    relay.kill("SIGTERM");
    await relay.exited;
    for (const text of [relay.err(), relay.out(), agent.err(), agent.out()])
      assert.doesNotMatch(text, /canary|bird/);
  });

  test("SIGTERM drains: no new ones, the running session may end by itself, agents go on looking", async () => {
    const relay = await relayProgram(["--drain-timeout", "50s"]);
    const agent = await agentProgram(relay.url, ["--id", "drained"]);
    writeFileSync(join(agent.dir, ".hold"), "");
    const seen = screen("ssh", ["-tt", ...sshArgs(agent, "--resume-timeout 0s")]);
    await seen.see("$ ");
    relay.kill("SIGTERM");
    await relay.see("relay draining");
    for (const [path, status, body] of [
      ["readyz", 503, { status: "draining", version }],
      ["healthz", 200, { status: "ok" }],
    ] as const) {
      const answer = await fetch(`${relay.url}/${path}`);
      assert.deepEqual([answer.status, await answer.json()], [status, body]);
    }
    await seen.see("[converge] The relay restarts in 50s: this connection is cut then.");
    for (const door of ["client/drained", "agent/other"]) {
      const refused = stranger(`${relay.url}/${door}`);
      assert.deepEqual(await until("the refusal", refused.refusal), {
        status: 503,
        body: "The relay is restarting: try again.\n",
      });
    }
    const late = await finished(ours("wsproxy", [agent.ready.clientUrl], { input: "open" }));
    assert.equal(late.status, 3);
    assert.match(late.err, /\(The relay is restarting: try again\.\)/);
    seen.type("echo going $((1+1))\r");
    await seen.see("going 2");
    seen.type("exit 3\r");
    assert.equal(await seen.exited, 3);
    assert.deepEqual(await relay.exited, { status: 143, signal: null });
    assert.deepEqual(relay.lines().at(-1)?.["msg"], "relay ended", relay.err());
    await agent.see('"event":"relay lost"');
    assert.equal(agent.ended(), null);
    const again = await relayProgram([], { port: relay.port });
    await again.see("agent session started");
    const back = await finished(ssh(agent, ["rm .hold; echo back"]));
    assert.equal(back.out, "back\n", back.err);
  });

  test("what does not end while it drains is cut at the end, told why, and logged", async () => {
    const relay = await relayProgram(["--drain-timeout", "1s"]);
    const agent = await agentProgram(relay.url);
    const cut = sshArgs(agent, "--resume-timeout 0s");
    const running = program("ssh", [...cut, "echo begun; sleep 1000"]);
    await running.see("begun");
    relay.kill("SIGTERM");
    const { status, err } = await finished(running);
    assert.equal(status, 255);
    assert.match(
      err,
      /converge: The connection was lost: the relay is restarting\. Connect again\./,
    );
    await relay.exited;
    const line = relay.lines().find(({ msg }) => msg === "client session ended");
    assert.deepEqual([line?.["outcome"], line?.["endedBy"]], ["served", "relay"], relay.err());
  });

  test("a client that waits for an agent does not keep a draining relay", async () => {
    const relay = await relayProgram(["--drain-timeout", "50s"]);
    const waiting = ours("wsproxy", ["--wait", "50s", `${relay.url}/client/x`], { input: "open" });
    await waiting.see("waiting for it");
    relay.kill("SIGTERM");
    await relay.exited;
    await waiting.see("Trying again");
  });

  test("a second SIGTERM ends it at once", async () => {
    const relay = await relayProgram(["--drain-timeout", "50s"]);
    const agent = await agentProgram(relay.url);
    const running = ssh(agent, ["echo begun; sleep 1000"]);
    await running.see("begun");
    relay.kill("SIGTERM");
    await relay.see("relay draining");
    assert.equal(relay.ended(), null);
    relay.kill("SIGTERM");
    assert.deepEqual(await relay.exited, { status: 143, signal: null });
  });

  test("a port in use, and a certificate that cannot be used: a sentence and status 2", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const where = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    const said = await finished(ours("converge", ["--listen", where]));
    assert.deepEqual(
      [said.status, said.err],
      [2, `converge: Cannot listen on ${where}. Choose another address or port with --listen.\n`],
    );
    const onBoth = await finished(ours("converge", ["--listen", where, "--metrics-listen", "0"]));
    assert.equal(onBoth.status, 2, "the port for metrics, which was free, does not keep it");
    const metrics = await finished(ours("converge", ["--listen", "0", "--metrics-listen", where]));
    assert.deepEqual(
      [metrics.status, metrics.err],
      [
        2,
        `converge: Cannot listen on ${where}. Choose another address or port with --metrics-listen.\n`,
      ],
    );
    taken.close();
    const dir = folder();
    const authority = certificates(dir);
    const [one, two] = [authority.issue("one", "DNS:a"), authority.issue("two", "DNS:b")];
    for (const [cert, key, sentence] of [
      ["/nowhere.pem", one.keyFile, /^converge: Cannot read \/nowhere\.pem: ENOENT.*\.$/],
      [
        one.certFile,
        two.keyFile,
        /^converge: The certificate .* and the key .* cannot be used: .*\.$/,
      ],
    ] as const)
      for (const more of [[], ["--check-config"]]) {
        const tls = ["--tls-cert", cert, "--tls-key", key, "--listen", "127.0.0.1:0"];
        const bad = await finished(ours("converge", [...tls, ...more]));
        assert.equal(bad.status, 2, `${more} ${bad.err}`);
        assert.match(bad.err.trimEnd(), sentence);
      }
  });

  test("--check-config says yes to a good configuration and does not listen", async () => {
    const said = await finished(ours("converge", ["--check-config", "--context-path", "/a"]));
    assert.deepEqual([said.status, said.err], [0, ""]);
  });
});

/** One session in real seconds, with the clock of the machine: warned, extended, held, and ended. */
import assert from "node:assert/strict";
import { existsSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { endPrograms, finished } from "../support/child.ts";
import { agentProgram, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { until } from "../support/until.ts";

describe("a session in real seconds", () => {
  afterEach(endPrograms);

  test("a warning, a key that extends, a hold by touch, a hold in the future, its removal, the end", async () => {
    const relay = await relayProgram();
    const agent = await agentProgram(relay.url, ["--timeout", "6s", "--warn", "3s"]);
    const hold = join(agent.dir, ".hold");
    const shell = screen("ssh", ["-tt", ...sshArgs(agent)]);
    const warning =
      "[converge] The session ends in 3s without activity. Press any key to extend it.";
    await shell.see("[converge] stay    any key gives 6s again; nobody active: it ends in 6s");
    await shell.see("$ ");
    await shell.see(warning);
    shell.type("x\u0015");
    await shell.see("[converge] Extended: the session now ends in 6s without activity.");
    assert.equal((await finished(ssh(agent, ["touch $agentdir/.hold"]))).status, 0);
    await shell.see(
      /\[converge\] \.hold is set: when all left the job waits, [56]s without activity\./,
    );
    const later = Date.now() / 1_000 + 3_600;
    utimesSync(hold, later, later);
    assert.ok(statSync(hold).mtimeMs > Date.now() + 3_000_000);
    await shell.see(/waits, (?:1h|1h [1-9]s|59m 5\ds|60m)/);
    // Held, and nobody in: it stays.
    shell.type("exit\r");
    assert.equal(await shell.exited, 0);
    assert.equal(agent.ended(), null);
    const again = screen("ssh", ["-tt", ...sshArgs(agent)]);
    await again.see(".hold is set: the job waits when the last one leaves");
    await again.see("$ ");
    again.type("rm $agentdir/.hold\r");
    await until("the hold is gone", () => !existsSync(hold));
    await again.see("[converge] .hold is gone: the job ends when the last client leaves.");
    await again.see(warning);
    await again.see("[converge] Nobody was active: the session ends now.");
    assert.equal(await again.exited, 129);
    assert.deepEqual(await agent.exited, { status: 0, signal: null });
    assert.deepEqual(agent.news().at(-1), { event: "ended", ending: "inactivity" });
  });

  test("--exit-code-on-timeout, and a join timeout that nobody met", async () => {
    const relay = await relayProgram();
    const agent = await agentProgram(relay.url, [
      "--join-timeout",
      "3s",
      "--exit-code-on-timeout",
      "17",
    ]);
    assert.deepEqual(await agent.exited, { status: 17, signal: null });
  });
});

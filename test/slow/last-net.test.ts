/**
 * Last net: a fault that nobody caught, in each of the three programs. It is told in a sentence with a
 * few frames, then comes the ordinary end, and no process of a session stays behind.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, folder, type Program, program } from "../support/child.ts";
import { runs } from "../support/processes.ts";
import { agentProgram, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";

let faulty: Record<string, string>;
before(() => {
  const file = join(folder(), "faulty.cjs");
  // SIGUSR2 throws, SIGWINCH rejects; the message is as long as a line of minified source.
  writeFileSync(
    file,
    `const fault = () => Object.assign(new Error("injected\\x1b[2J" + "x".repeat(100_000)));
process.on("SIGUSR2", () => setImmediate(() => { throw fault(); }));
process.on("SIGWINCH", () => void Promise.reject(fault()));
`,
  );
  faulty = { NODE_OPTIONS: `--require ${file}` };
});
after(endPrograms);

/** One sentence and three frames at most, and nothing that a terminal would obey. */
function assertTold(run: Program): void {
  const told = run.err().split("\n");
  const at = told.findIndex((line) =>
    /^converge: Something went wrong inside: injected/.test(line),
  );
  assert.ok(at >= 0, run.err().slice(0, 500));
  const frames = told.slice(at + 1).filter((line) => /^ {2}at /.test(line));
  assert.ok(frames.length >= 1 && frames.length <= 3, `${frames.length} frames`);
  assert.ok(run.err().length < 4_000, `${run.err().length} characters`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  assert.doesNotMatch(run.err(), /\x1b/);
}

for (const [what, signal] of [
  ["an exception", "SIGUSR2"],
  ["a rejection", "SIGWINCH"],
] as const) {
  test(`agent: ${what} that nobody caught ends it with status 1, and its sessions with it`, async () => {
    const relay = await relayProgram();
    const agent = await agentProgram(relay.url, [], { env: faulty }, [
      process.execPath,
      shippedFile("agent.cjs"),
    ]);
    const shell = ssh(agent, ["-tt", "echo pids=$$; nohup sleep 301 & echo job=$!; sleep 302"], {
      input: "open",
    });
    await shell.see(/pids=\d+[\s\S]*job=\d+/);
    const pids = [...shell.out().matchAll(/(?:pids|job)=(\d+)/g)].map(([, pid]) => Number(pid));
    assert.equal(pids.filter(runs).length, 2);
    agent.kill(signal);
    assert.deepEqual(await agent.exited, { status: 1, signal: null });
    assertTold(agent);
    await shell.see("[converge] The agent was told to stop");
    await shell.exited;
    await until("no process is left", () => pids.filter(runs).length === 0);
    relay.kill("SIGTERM");
    await relay.exited;
  });

  test(`relay: ${what} that nobody caught ends it with status 1; the agent goes on`, async () => {
    const relay = await relayProgram(["--drain-timeout", "0s"], { env: faulty });
    const agent = await agentProgram(relay.url);
    relay.kill(signal);
    assert.deepEqual(await relay.exited, { status: 1, signal: null });
    const lines = relay.err().split("\n");
    assert.ok(lines.some((line) => /^converge: Something went wrong inside: injected/.test(line)));
    await agent.see('"event":"relay lost"');
    assert.equal(agent.ended(), null);
    agent.kill("SIGTERM");
    await agent.exited;
  });

  test(`wsproxy: ${what} that nobody caught ends it, and ssh with it`, async () => {
    const relay = await relayProgram();
    const agent = await agentProgram(relay.url, ["--linger", "1m"]);
    const file = join(folder(), "pid");
    const [config, proxy = "", ...rest] = sshArgs(agent);
    const wrapper = `${file}.sh`;
    writeFileSync(wrapper, `echo $$ > ${file}\nexec "$@"\n`);
    const command = proxy.replace("-oProxyCommand=", `-oProxyCommand=/bin/sh ${wrapper} `);
    const run = program("ssh", [config ?? "", command, ...rest, "echo ready; sleep 300"], {
      env: faulty,
    });
    await run.see("ready");
    process.kill(Number(readFileSync(file, "utf8")), signal);
    assert.equal((await run.exited).status, 255);
    assertTold(run);
    agent.kill("SIGTERM");
    await agent.exited;
    relay.kill("SIGTERM");
    await relay.exited;
  });
}

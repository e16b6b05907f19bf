/** The life of an agent on Windows, under Wine: its shells, its ends, and what it leaves behind. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { result } from "../support/child.ts";
import { faultOf } from "../support/log-schema.ts";
import { type AgentProgram, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { root } from "../support/shipped.ts";
import { stands, until } from "../support/until.ts";
import { endWine, windowsAgent } from "../support/wine.ts";

const quiet = "-oLogLevel=ERROR";

let relay: string;
before(async () => {
  relay = (await relayProgram()).url;
});
after(endWine);

const logged = (agent: AgentProgram): Record<string, unknown>[] =>
  agent
    .err()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

const endings = (agent: AgentProgram): unknown[] =>
  agent
    .news()
    .filter(({ event }) => event === "ended")
    .map(({ ending }) => ending);

test("a shell that is not there, and one that does nothing, are passed over", async () => {
  // Wine's PowerShell is a program that ends at once, with 0.
  const agent = await windowsAgent(relay, ["--shells", "nosuchshell,powershell"]);
  assert.deepEqual(
    logged(agent).map(({ msg, why }) => [msg, why]),
    [["shell passed over: it runs no commands", "it ended with 0"]],
  );
  assert.deepEqual(logged(agent).map(faultOf), [null]);
  const { status, stdout } = await result(ssh(agent, [quiet, "echo %ComSpec%"]));
  assert.deepEqual([status, stdout.toString()], [0, "C:\\windows\\system32\\cmd.exe\r\n"]);
  assert.deepEqual([await agent.exited, endings(agent)], [exit(0), ["last client left"]]);
});

const exit = (status: number) => ({ status, signal: null });

test("silence is warned of and ends it, with the status that was asked for", async () => {
  const flags = ["--timeout", "5s", "--warn", "2s", "--exit-code-on-timeout", "9"];
  const agent = await windowsAgent(relay, ["--shells", "cmd", ...flags]);
  const session = ssh(agent, [quiet, "-T"], { input: "open" });
  // What Windows gives a program that is ended by another.
  assert.equal((await session.exited).status, 1);
  assert.deepEqual(await agent.exited, exit(9));
  const news = agent.news().slice(1);
  assert.deepEqual(
    news.map(({ event }) => event),
    ["client joined", "warning", "ended"],
  );
  assert.deepEqual(endings(agent), ["inactivity"]);
});

test("Ctrl-C ends it in order", async () => {
  const agent = await windowsAgent(relay);
  // Wine makes a Ctrl-C of it.
  agent.kill("SIGINT");
  assert.deepEqual([await agent.exited, endings(agent)], [exit(130), ["interrupted"]]);
});

test("a host key is kept in its file from run to run", async () => {
  const first = await windowsAgent(relay, ["--host-key", "key"]);
  const kept = join(first.dir, "key");
  assert.match(readFileSync(kept, "utf8"), /^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
  const path = `Z:${kept}`;
  const second = await windowsAgent(relay, ["--host-key", path]);
  assert.equal(second.ready.fingerprint, first.ready.fingerprint);
});

test("a hold is a file that is made, dated ahead, and removed", async () => {
  const agent = await windowsAgent(relay, ["--shells", "cmd", "--timeout", "10m"]);
  const hold = join(agent.dir, ".hold");
  const run = (line: string) => result(ssh(agent, [quiet, line]));
  const standing = ssh(agent, [quiet, "-T"], { input: "open" });
  await standing.see("Microsoft Windows");
  const seen = (event: string) =>
    until(event, () => agent.news().some((news) => news["event"] === event));
  assert.equal((await run('echo > "%agentdir%\\.hold"')).status, 0);
  await seen("hold set");
  const ahead = Date.now() / 1_000 + 7_200;
  utimesSync(hold, ahead, ahead);
  await until("two hours", () =>
    agent.news().some(({ endsAt }) => Date.parse(String(endsAt)) > (ahead - 60) * 1_000),
  );
  assert.equal((await run("del /a .hold")).status, 0);
  assert.ok(!existsSync(hold));
  await seen("hold cleared");
  standing.type("exit 3\r\n");
  assert.equal((await standing.exited).status, 3);
  assert.deepEqual(await agent.exited, exit(0));
});

test("several sessions run beside each other, and one that ends takes none along", async () => {
  const agent = await windowsAgent(relay);
  const sessions = Array.from({ length: 4 }, () => ssh(agent, [quiet, "-T"], { input: "open" }));
  await Promise.all(sessions.map((session) => session.see(">")));
  for (const [number, session] of sessions.entries()) {
    session.type(`echo I am ${number}\r\n`);
    await session.see(`>I am ${number}\r\n`);
    if (number === 1) session.kill("SIGKILL");
    else session.type(`exit ${number}\r\n`);
    await session.exited;
  }
  assert.deepEqual(
    sessions.map((session) => session.ended()?.status),
    [0, null, 2, 3],
  );
});

test("a client that is gone takes along its command, even one that does not listen", async () => {
  const agent = await windowsAgent(relay);
  const beat = join(agent.dir, "beat");
  const session = ssh(agent, [quiet, "for /l %i in (1,0,2) do @echo x>> beat"]);
  const size = (): number => (existsSync(beat) ? statSync(beat).size : 0);
  await until("a beat", size);
  session.kill("SIGKILL");
  await stands("the beat", size);
});

describe("the executable", () => {
  const file = join(root, "dist/downloads/agent-win-x64.exe");
  before(() => {
    execFileSync(process.execPath, ["scripts/build-agents.mjs", "win-x64"], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
  });
  after(() => {
    for (const name of [file, `${file}.gz`]) rmSync(name, { force: true });
  });

  test("needs no Node, and does as agent.cjs", async () => {
    const agent = await windowsAgent(relay, undefined, { form: "agent-win-x64.exe" });
    const { status, stdout } = await result(ssh(agent, [quiet, "echo hello& exit 7"]));
    assert.deepEqual([status, stdout.toString()], [7, "hello\r\n"]);
    // Under Wine a shell ends at once on a pseudo-console, but that one is there shows its title.
    const seen = screen("ssh", [...sshArgs(agent).slice(0, -1), "-tt", "job@agent"]);
    await seen.see("You are in the job.");
    await seen.see("\x1b]0;C:\\windows\\system32\\cmd.exe\x07");
    assert.equal(await seen.exited, 0);
  });
});

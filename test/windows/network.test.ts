/** Connections on Windows, under Wine: forwarded ports of the agent, and wsproxy as a listener. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { program, result } from "../support/child.ts";
import { exchange, freePort, isListening, listen } from "../support/ports.ts";
import { type AgentProgram, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";
import { endWine, nodeThere, windows, windowsAgent, windowsPath } from "../support/wine.ts";

const quiet = "-oLogLevel=ERROR";
const isLong = process.env["CONVERGE_TEST_LONG"] === "1";

let agent: AgentProgram;
let relay: string;
let echo: Awaited<ReturnType<typeof listen>>;
before(async () => {
  relay = (await relayProgram()).url;
  agent = await windowsAgent(relay);
  echo = await listen((socket) => socket.pipe(socket));
});
after(async () => {
  await echo.close();
  await endWine();
});

test("a connection through the agent carries its bytes and both its ends", async () => {
  const input = randomBytes(isLong ? 200 * 1_048_576 : 3_000_000);
  const run = await result(ssh(agent, [quiet, "-W", `127.0.0.1:${echo.port}`], { input }));
  assert.equal(run.status, 0, run.stderr);
  assert.ok(run.stdout.equals(input), `${run.stdout.length} bytes`);
});

test("where nobody listens it is refused", async () => {
  const port = await freePort();
  const run = await result(ssh(agent, [quiet, "-W", `127.0.0.1:${port}`]));
  assert.equal(run.status, 255);
  assert.match(run.stderr, /stdio forwarding failed/);
});

test("a port over there leads back here", async () => {
  const spec = `0:127.0.0.1:${echo.port}`;
  const forward = ssh(agent, ["-N", "-oExitOnForwardFailure=yes", "-R", spec], { input: "open" });
  const port = Number(/\d+/.exec(await forward.see(/Allocated port \d+/))?.[0]);
  const bytes = randomBytes(300_000);
  assert.ok((await exchange(port, bytes)).equals(bytes));
  forward.kill("SIGTERM");
  await until("nobody there any more", async () => !(await isListening(port)));
});

test("a port here leads to one over there", async () => {
  const port = await freePort();
  const spec = `127.0.0.1:${port}:127.0.0.1:${echo.port}`;
  const forward = ssh(agent, ["-N", "-oExitOnForwardFailure=yes", "-L", spec], { input: "open" });
  await until("it listens", () => isListening(port));
  const bytes = randomBytes(300_000);
  assert.ok((await exchange(port, bytes)).equals(bytes));
  forward.kill("SIGTERM");
});

test("a session goes on when its relay is killed and comes back", async () => {
  const first = await relayProgram();
  const there = await windowsAgent(first.url);
  const counting = ssh(there, [
    quiet,
    "for /L %i in (1,1,12) do @echo line %i& ping -n 2 127.0.0.1 >nul",
  ]);
  await counting.see("line 2");
  first.kill("SIGKILL");
  await first.exited;
  await relayProgram([], { port: first.port });
  assert.equal((await counting.exited).status, 0, counting.err());
  assert.ok(there.news().some(({ event }) => event === "client resumed"));
  const lines = counting.out().trim().split(/\s*\n/);
  assert.deepEqual(
    lines,
    Array.from({ length: 12 }, (_, n) => `line ${n + 1}`),
  );
});

test("a browser may go through it by SOCKS", async () => {
  const port = await freePort();
  const socks = ssh(agent, ["-v", "-N", "-D", `127.0.0.1:${port}`], { input: "open" });
  await socks.see("Local forwarding listening");
  const proxy = `socks5h://127.0.0.1:${port}`;
  const got = await result(program("curl", ["-sS", "--proxy", proxy, `${relay}/healthz`]));
  assert.equal(got.status, 0, got.stderr);
});

test("wsproxy listens there, and ssh here goes through it", async () => {
  const listener = windows(nodeThere, [
    windowsPath(shippedFile("wsproxy.cjs")),
    ...["--listen", "127.0.0.1:0", "--fingerprint", agent.ready.fingerprint, agent.ready.clientUrl],
  ]);
  const port = /(\d+)\D*$/.exec(await listener.see(/Listening on \S+/))?.[1];
  const direct = sshArgs(agent).filter((arg) => !arg.startsWith("-oProxyCommand"));
  const args = [...direct.slice(0, -1), quiet, "-p", String(port), "job@127.0.0.1", "exit 7"];
  const { status, stderr } = await result(program("ssh", args));
  assert.equal(status, 7, stderr);
});

test("wsproxy there says what is wrong, and with which status", async () => {
  const gone = windows(nodeThere, [
    windowsPath(shippedFile("wsproxy.cjs")),
    `${relay}/client/nobody-is-here`,
  ]);
  assert.deepEqual(await gone.exited, { status: 7, signal: null });
  assert.match(gone.err(), /No agent is registered as nobody-is-here/);
});

/** What a channel carries: bytes both ways, statuses, environments and terminals, unharmed. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { endPrograms, type Program, program, result } from "../support/child.ts";
import { exchange, freePort } from "../support/ports.ts";
import { runs } from "../support/processes.ts";
import { screen } from "../support/screen.ts";
import { hold, startMaster, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const MB = 1_000_000;
let world: World;
before(async () => {
  world = await meet({
    id: "channels",
    job: { CONVERGE_SECRET: "hush", JOB_NAME: "build", NODE_OPTIONS: "--no-warnings" },
  });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

const sha = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

test("a command gets every byte of its input and gives every byte back, NULs too", async () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  const input = Buffer.concat([all, Buffer.alloc(5_000), randomBytes(300_000), all]);
  const { status, stdout } = await world.ssh(["cat"], { input });
  assert.equal(status, 0);
  assert.ok(stdout.equals(input));
});

test("stderr comes apart from stdout", async () => {
  const command = "printf 'out\\0put'; printf 'err\\0or' >&2; exit 1";
  const { status, stdout, stderr } = await world.ssh(["-q", command], {
    wsproxy: "--quiet",
  });
  assert.deepEqual(
    { status, out: stdout.toString(), stderr },
    {
      status: 1,
      out: "out\0put",
      stderr: "err\0or",
    },
  );
});

for (const code of [0, 1, 42, 255]) {
  test(`exit status ${code} is passed on`, async () => {
    assert.equal((await world.ssh([`exit ${code}`])).status, code);
  });
}

test("each of the 256 exit statuses is passed on", async () => {
  const { master, options } = await startMaster(world);
  for (let code = 0; code < 256; code += 1) {
    const { status } = await program("ssh", [...options, "job@agent", `exit ${code}`]).exited;
    assert.equal(status, code);
  }
  await program("ssh", [...options, "-O", "exit", "job@agent"]).exited;
  await master.exited;
});

test("a command that is not there has status 127 and says so", async () => {
  const { status, stderr } = await world.ssh(["no-such-command-here"]);
  assert.equal(status, 127);
  assert.match(stderr, /no-such-command-here: (command )?not found/);
});

test("death by a signal is told as exit-signal, and ssh says 255", async () => {
  const { status, stderr } = await world.ssh(["-v", "kill -TERM $$"]);
  assert.equal(status, 255);
  assert.match(stderr, /rtype exit-signal/);
  assert.doesNotMatch(stderr, /rtype exit-status/);
});

test("language variables pass; nothing that changes what is run, and no secret of the agent", async () => {
  const asked = [
    "LANG=C.UTF-8",
    "LC_ALL=C",
    "LD_PRELOAD=/x.so",
    "PATH=/evil",
    "NODE_OPTIONS=--evil",
    "BASH_ENV=/evil",
    "CONVERGE_SECRET=mine",
  ];
  const { status, stdout } = await world.ssh([`-oSetEnv=${asked.join(" ")}`, "env -0"]);
  assert.equal(status, 0);
  const env = new Map(
    stdout
      .toString()
      .split("\0")
      .map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]),
  );
  const names = ["LANG", "LC_ALL", "LD_PRELOAD", "PATH", "NODE_OPTIONS", "BASH_ENV", "JOB_NAME"];
  assert.deepEqual(Object.fromEntries(names.map((name) => [name, env.get(name)])), {
    LANG: "C.UTF-8",
    LC_ALL: "C",
    LD_PRELOAD: undefined,
    PATH: process.env["PATH"],
    NODE_OPTIONS: "--no-warnings",
    BASH_ENV: undefined,
    JOB_NAME: "build",
  });
  const ours = [...env.keys()].filter((name) => name?.startsWith("CONVERGE_")).sort();
  assert.deepEqual(ours, ["CONVERGE_RENDEZVOUS_ID", "CONVERGE_SESSION"]);
  assert.equal(env.get("CONVERGE_RENDEZVOUS_ID"), "channels");
  assert.equal(env.get("agentdir"), world.agent.dir);
  assert.equal(env.get("TERM"), undefined);
});

test("the end of the input is seen, and the output goes on after it", async () => {
  const input = randomBytes(100_000);
  const { status, stdout } = await world.ssh(["cat; echo end"], { input });
  assert.equal(status, 0);
  assert.ok(stdout.equals(Buffer.concat([input, Buffer.from("end\n")])));
});

test("a command may stop reading while ssh goes on sending", async () => {
  const input = Buffer.alloc(5 * MB, "a");
  const { status, stdout } = await world.ssh(["head -c1; exit 3"], { input });
  assert.deepEqual([status, stdout.toString()], [3, "a"]);
  const closed = await world.ssh(["exec 0<&-; sleep 0.1; echo on; exit 4"], { input });
  assert.deepEqual([closed.status, closed.stdout.toString()], [4, "on\n"]);
});

test("a client that vanishes while its command reads nothing leaves no process behind", async () => {
  const ssh = startSsh(world, ["echo pid=$$; exec sleep 1000"]);
  const pid = Number((await ssh.see(/pid=\d+/)).slice(4));
  ssh.type(Buffer.alloc(8 * MB));
  const sent = (): number => world.relay.rows()[0]?.clients[0]?.clientBytes ?? 0;
  await until("the window is full", () => sent() > 2 * MB);
  ssh.child.kill("SIGKILL");
  await ssh.exited;
  await until("the command is gone", () => !runs(pid));
});

test("a process in the background keeps ssh only while it holds the output", async () => {
  const free = await world.ssh(["sleep 100 >/dev/null 2>&1 </dev/null & echo $!"]);
  assert.equal(free.status, 0);
  const left = Number(free.stdout.toString());
  assert.ok(runs(left));
  process.kill(left);
  const ssh = startSsh(world, ["sleep 100 & echo pid=$!; exit 5"]);
  ssh.end();
  const pid = Number((await ssh.see(/pid=\d+/)).slice(4));
  // A second command goes its whole way while this one is waited for.
  assert.equal((await world.ssh(["true"])).status, 0);
  assert.equal(ssh.child.exitCode, null);
  process.kill(pid);
  assert.equal((await ssh.exited).status, 5);
});

test("a shell without a terminal runs the script on its input", async () => {
  const input = "echo one\nread line\nthe line\necho $line\ntty\nexit 7\n";
  const { status, stdout, stderr } = await world.ssh(["-T"], { input });
  assert.equal(status, 7);
  assert.equal(stdout.toString(), "one\nthe line\nnot a tty\n");
  assert.doesNotMatch(stderr, /You are in the job/);
});

test("a command with a terminal has a size, a name and a status, and shows no help", async () => {
  const ssh = world.terminal(["tty; stty size; echo $TERM; exit 9"]);
  await ssh.see(/\/dev\/pts\/\d+/);
  await ssh.see("24 80");
  await ssh.see("xterm");
  assert.equal(await ssh.exited, 9);
  assert.doesNotMatch(ssh.text(), /You are in the job/);
});

test("a new size reaches a command with a terminal that was asked for by RequestTTY", async () => {
  // The dots wake ssh: OpenSSH 9.2 overlooks a signal that comes just before it starts to wait.
  const script = `
    const out = process.stdout;
    out.on("resize", () => console.log(out.rows + " " + out.columns));
    setInterval(() => out.write("."), 50);
    console.log("ready");`;
  const command = `exec ${process.execPath} -e '${script}'`;
  const args = ["-i", world.keyFile, "-oRequestTTY=force", "job@agent", command];
  const shown = screen("ssh", [...world.options(), ...args]);
  try {
    await shown.see("ready");
    for (const [cols, rows] of [
      [100, 30],
      [17, 3],
      [500, 200],
    ] as const) {
      shown.resize(cols, rows);
      await shown.see(`${rows} ${cols}`);
    }
    shown.type("\u0003");
    await shown.exited;
  } finally {
    // A client that stayed would be in the way of the tests that follow.
    if (shown.pid > 0 && runs(shown.pid)) process.kill(shown.pid, "SIGKILL");
  }
});

test("a terminal that does not exist has the usual size", async () => {
  const { status, stdout } = await world.ssh(["-tt", "stty size"]);
  assert.deepEqual([status, stdout.toString()], [0, "24 80\r\n"]);
});

test("five sessions at once go over one connection, and the master ends when told", async () => {
  const { master, options } = await startMaster(world);
  const one: Program[] = [1, 2, 3, 4, 5].map((n) =>
    program("ssh", [...options, "job@agent", `echo ready; cat; exit ${n}`], { input: "open" }),
  );
  for (const ssh of one) await ssh.see("ready");
  assert.equal(world.relay.rows()[0]?.clients.length, 1);
  const bytes = one.map(() => randomBytes(MB));
  for (const [n, ssh] of one.entries()) {
    ssh.type(bytes[n] ?? "");
    ssh.end();
  }
  for (const [n, ssh] of one.entries()) {
    const { status, stdout } = await result(ssh);
    assert.equal(status, n + 1);
    assert.equal(sha(stdout.subarray("ready\n".length)), sha(bytes[n] ?? Buffer.alloc(0)));
  }
  const told = await program("ssh", [...options, "-O", "exit", "job@agent"]).exited;
  assert.equal(told.status, 0);
  await master.exited;
  await until("nobody is in", () => world.relay.rows()[0]?.clients.length === 0);
  assert.deepEqual(
    world.agent.news.slice(-2).map(({ event }) => event),
    ["client left", "waiting"],
  );
});

test("VS Code's bootstrap: a script on sh's input, a server it leaves behind, a forward to that", async () => {
  const socks = await freePort();
  const ssh = startSsh(world, ["-T", "-D", `${socks}`, "-oConnectTimeout=15", "sh"]);
  const server =
    "require('net').createServer({allowHalfOpen:true},(s)=>s.pipe(s)).listen(0,'127.0.0.1',function(){console.log('listeningOn=='+this.address().port+'==')})";
  ssh.type(
    [
      'echo "3f2a: running"',
      "echo platform==`uname -s`==",
      `( ${process.execPath} -e "${server}" > $agentdir/server.log 2>&1 < /dev/null & echo pid==$!== )`,
      'until grep -q listeningOn "$agentdir/server.log"; do sleep 0.05; done',
      'cat "$agentdir/server.log"',
      'echo "3f2a: end"',
      "",
    ].join("\n"),
  );
  await ssh.see("3f2a: end");
  await ssh.see("platform==Linux==");
  const port = Number(/listeningOn==(\d+)==/.exec(ssh.out())?.[1]);
  const pid = Number(/pid==(\d+)==/.exec(ssh.out())?.[1]);
  const big = randomBytes(MB);
  // SOCKS5 without a password, CONNECT to 127.0.0.1 (RFC 1928 3 and 4), then the bytes themselves.
  const ask = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255];
  const back = await exchange(socks, Buffer.concat([Buffer.from(ask), big]));
  assert.ok(back.subarray(-big.length).equals(big));
  ssh.end();
  assert.equal((await ssh.exited).status, 0);
  assert.ok(runs(pid), "the server outlives the connection");
  process.kill(pid);
});

/** Forwarding: ports and unix sockets, there and back, and what is left of them. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, type Program, program, result, run } from "../support/child.ts";
import { exchange, freePort, isListening, listen } from "../support/ports.ts";
import { hold, startMaster, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let echo: Awaited<ReturnType<typeof listen>>;
before(async () => {
  world = await meet({ id: "forwarding" });
  hold(world.agent);
  echo = await listen((socket) => void socket.pipe(socket));
});
after(async () => {
  await endPrograms();
  await echo.close();
  await world.close();
});

const sha = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
const options = "-oExitOnForwardFailure=yes";

/** An `ssh -N` whose forwards stand. */
async function forwards(
  args: string[],
  how: { agent?: Agent; key?: string; env?: Record<string, string> } = {},
): Promise<Program> {
  const ssh = startSsh(world, [options, "-v", "-N", ...args], how);
  await ssh.see("Entering interactive session");
  return ssh;
}

async function leave(ssh: Program, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  ssh.child.kill(signal);
  // OpenSSH 9.2 overlooks a signal that comes just before it starts to wait; it is sent again then.
  const again = setInterval(() => ssh.child.kill(signal), 1_000);
  await ssh.exited.finally(() => clearInterval(again));
}

test("-L carries two megabytes there and back, with each end of its own", async () => {
  const port = await freePort();
  const ssh = await forwards(["-L", `${port}:127.0.0.1:${echo.port}`]);
  const bytes = randomBytes(2_000_000);
  assert.equal(sha(await exchange(port, bytes)), sha(bytes));
  // The other side may go on after our end, and before it.
  const answer = await listen((socket) => {
    let heard = 0;
    socket.on("data", (data: Buffer) => {
      heard += data.length;
    });
    socket.once("end", () => socket.end(`heard ${heard}`));
  });
  const second = await freePort();
  const other = await forwards(["-L", `${second}:127.0.0.1:${answer.port}`]);
  assert.equal((await exchange(second, bytes)).toString(), "heard 2000000");
  await leave(other);
  await leave(ssh);
  await answer.close();
});

test("-L carries 20 connections at once, and 100 after each other", async () => {
  const port = await freePort();
  const ssh = await forwards(["-L", `${port}:127.0.0.1:${echo.port}`]);
  const all = Array.from({ length: 20 }, () => randomBytes(100_000));
  const back = await Promise.all(all.map((bytes) => exchange(port, bytes)));
  assert.deepEqual(back.map(sha), all.map(sha));
  for (let n = 0; n < 100; n += 1)
    assert.equal((await exchange(port, `number ${n}`)).toString(), `number ${n}`);
  await leave(ssh);
});

/** Waits until no more bytes flow to or from the only client. */
async function stalled(side: "agentBytes" | "clientBytes", leastBytes: number): Promise<void> {
  let last = -1;
  let same = 0;
  await until("nothing flows any more", () => {
    const now = world.relay.rows()[0]?.clients[0]?.[side] ?? 0;
    same = now === last && now > leastBytes ? same + 1 : 0;
    last = now;
    return same >= 10;
  });
}

// Some of these end while their last part waits for the window, wherever else buffers are.
for (const size of [1, 2.5, 4, 5.5, 7, 12]) {
  test(`a server that sends ${size} MB and closes loses nothing to a slow reader`, async () => {
    const bytes = randomBytes(size * 1_000_000);
    const server = await listen((socket) => socket.end(bytes));
    const port = await freePort();
    const ssh = await forwards(["-L", `${port}:127.0.0.1:${server.port}`]);
    const socket = connect(port, "127.0.0.1");
    socket.pause();
    await stalled("agentBytes", 900_000);
    const back: Buffer[] = [];
    for await (const data of socket) back.push(data);
    assert.equal(sha(Buffer.concat(back)), sha(bytes));
    await leave(ssh);
    await server.close();
  });
}

for (const size of [1, 2.5, 4, 6, 6.6]) {
  test(`a server that ends first and reads ${size} MB later still gets everything`, async () => {
    const taken: Socket[] = [];
    const server = await listen((socket) => {
      socket.pause();
      socket.end();
      taken.push(socket);
    });
    const port = await freePort();
    const ssh = await forwards(["-L", `${port}:127.0.0.1:${server.port}`]);
    const bytes = randomBytes(size * 1_000_000);
    const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    client.resume();
    client.end(bytes);
    await stalled("clientBytes", 900_000);
    const back: Buffer[] = [];
    for await (const data of taken[0] as Socket) back.push(data);
    assert.equal(sha(Buffer.concat(back)), sha(bytes));
    await leave(ssh);
    await server.close();
  });
}

test("a refused port ends that connection, with ssh's own words, and no other", async () => {
  const closed = await freePort();
  const port = await freePort();
  const good = await freePort();
  const ssh = await forwards([
    ...["-L", `${port}:127.0.0.1:${closed}`],
    ...["-L", `${good}:127.0.0.1:${echo.port}`],
  ]);
  assert.equal((await exchange(port, "hello").catch(() => Buffer.from(""))).toString(), "");
  await ssh.see("open failed: connect failed");
  assert.equal((await exchange(good, "still here")).toString(), "still here");
  await leave(ssh);
});

/** Whether this machine holds a connection from that port, as Linux tells it. */
function isEstablished(port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .some(([, from, , state]) => from?.endsWith(local) && state === "01");
}

test("a target whose client vanishes while it does not read is let go", async () => {
  const taken: Socket[] = [];
  const server = await listen((socket) => {
    socket.pause();
    taken.push(socket);
  });
  const port = await freePort();
  const ssh = await forwards(["-L", `${port}:127.0.0.1:${server.port}`]);
  const client = connect(port, "127.0.0.1");
  client.on("error", () => {});
  client.write(Buffer.alloc(20_000_000));
  await stalled("clientBytes", 2_000_000);
  const theirs = taken[0]?.remotePort ?? 0;
  assert.equal(isEstablished(theirs), true);
  ssh.child.kill("SIGKILL");
  await until("the agent has closed its side", () => !isEstablished(theirs));
  client.destroy();
  await server.close();
});

test("-R on a port of the agent's choice works, and nothing listens afterwards", async () => {
  const ssh = await forwards(["-R", `0:127.0.0.1:${echo.port}`]);
  const port = Number(/\d+/.exec(await ssh.see(/Allocated port \d+/))?.[0]);
  const bytes = randomBytes(2_000_000);
  assert.equal(sha(await exchange(port, bytes)), sha(bytes));
  await leave(ssh);
  await until("nobody listens", async () => !(await isListening(port)));
});

test("-R on a given port works, and ends when it is cancelled while the connection goes on", async () => {
  const port = await freePort();
  const { master, options } = await startMaster(world);
  const ask = (verb: string, spec = `${port}:127.0.0.1:${echo.port}`) =>
    result(program("ssh", [...options, "-O", verb, "-R", spec, "job@agent"]));
  assert.equal((await ask("forward")).status, 0);
  assert.equal((await exchange(port, "there and back")).toString(), "there and back");
  assert.equal((await ask("cancel")).status, 0);
  // ssh asks for it without waiting for an answer.
  await until("it has ended", async () => !(await isListening(port)));
  assert.equal((await ask("forward")).status, 0);
  assert.equal((await exchange(port, "again")).toString(), "again");
  const any = await ask("forward", `0:127.0.0.1:${echo.port}`);
  const allocated = Number(any.stdout.toString());
  assert.equal((await exchange(allocated, "chosen")).toString(), "chosen");
  await program("ssh", [...options, "-O", "exit", "job@agent"]).exited;
  await master.exited;
  for (const each of [port, allocated])
    await until("nobody listens", async () => !(await isListening(each)));
});

test("-R on a port that is taken is refused, and nothing else is harmed", async () => {
  const refused = await result(startSsh(world, ["-N", options, "-R", `${echo.port}:127.0.0.1:1`]));
  assert.equal(refused.status, 255);
  assert.match(refused.stderr, /remote port forwarding failed for listen port/);
  assert.equal((await exchange(echo.port, "mine")).toString(), "mine");
});

test("-D leads curl to a web server beyond the agent", async () => {
  const web = createServer((_request, response) => response.end("from beyond"));
  await new Promise<void>((done) => {
    web.listen(0, "127.0.0.1", done);
  });
  const { port } = web.address() as { port: number };
  const socks = await freePort();
  const ssh = await forwards(["-D", `${socks}`]);
  const got = await run("curl", [
    ...["-sS", "--noproxy", "", "--socks5-hostname", `127.0.0.1:${socks}`],
    `http://localhost:${port}/`,
  ]);
  assert.equal(got.stdout.toString(), "from beyond", got.stderr);
  await leave(ssh);
  web.close();
});

test("unix sockets are forwarded both ways, and their files go with the connection", async () => {
  const there = join(world.dir, "there.sock");
  const beyond = await listen((socket) => void socket.pipe(socket), there);
  const port = await freePort();
  const remote = join(world.dir, "remote.sock");
  const ssh = await forwards([
    ...["-L", `${port}:${there}`],
    ...["-R", `${remote}:127.0.0.1:${echo.port}`],
  ]);
  const bytes = randomBytes(500_000);
  assert.equal(sha(await exchange(port, bytes)), sha(bytes));
  assert.equal(sha(await exchange(remote, bytes)), sha(bytes));
  assert.equal(statSync(remote).mode & 0o777, 0o600);
  await leave(ssh);
  await until("the socket is gone", () => !existsSync(remote));
  await beyond.close();
});

test("-W joins ssh's own input and output to a port", async () => {
  const input = randomBytes(1_000_000);
  const done = await world.ssh(["-W", `127.0.0.1:${echo.port}`], { input });
  assert.equal(done.status, 0, done.stderr);
  assert.equal(sha(done.stdout), sha(input));
  const refused = await world.ssh(["-W", `127.0.0.1:${await freePort()}`]);
  assert.equal(refused.status, 255);
  assert.match(refused.stderr, /open failed: connect failed/);
  assert.match(refused.stderr, /stdio forwarding failed/);
});

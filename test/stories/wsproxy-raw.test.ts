/** wsproxy without an agent of ours at the far end, and without an ssh in front: --raw and --listen. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { endPrograms, finished, run } from "../support/child.ts";
import { ours } from "../support/programs.ts";
import { sshWith } from "../support/ssh-through.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

let world: World;
before(async () => {
  world = await meet(null);
});
afterEach(endPrograms);
after(() => world.close());

describe("--raw and --listen", () => {
  test("--raw joins stdio with any websocket server, byte for byte", async () => {
    const echo = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(echo, "listening");
    const offered: (string | undefined)[] = [];
    echo.on("connection", (socket: WebSocket, request) => {
      offered.push(request.headers["sec-websocket-protocol"]);
      socket.on("message", (data: Buffer) => socket.send(data));
    });
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7) % 256));
    const raw = ours("wsproxy", ["--raw", `ws://127.0.0.1:${portOf(echo)}/any/path`], {
      input: "open",
    });
    raw.child.stdin?.write(bytes);
    await until("all of it", () => raw.out().length === bytes.length);
    assert.ok(Buffer.from(raw.out(), "latin1").equals(bytes));
    for (const client of echo.clients) client.close(1000);
    assert.deepEqual(await raw.exited, { status: 0, signal: null });
    assert.deepEqual([raw.err(), offered], ["", [undefined]]);
    echo.close();
  });

  test("--raw takes text frames as bytes too", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    server.on("connection", (socket) => {
      socket.send("grüß Gott\n");
      socket.close(1000);
    });
    const raw = ours("wsproxy", ["--raw", `ws://127.0.0.1:${portOf(server)}`], { input: "open" });
    await raw.exited;
    assert.equal(Buffer.from(raw.out(), "latin1").toString(), "grüß Gott\n");
    server.close();
  });

  test("--raw through our own relay is an ssh too", async () => {
    const agent = await world.startAgent();
    const said = await finished(sshWith(world, agent, { flags: "--raw", pin: null }));
    assert.deepEqual([said.status, said.out], [0, "in\n"], said.err);
    assert.doesNotMatch(said.err, /Found the agent/);
  });

  test("--listen: ssh -p goes to the agent, several at once, and one that fails stops nothing", async () => {
    const agent = await world.startAgent({ lingerMs: 600_000 });
    const url = `${base(world)}/client/${agent.rendezvous()}`;
    const local = ours("wsproxy", ["--listen", "0", url]);
    await local.see(/Listening on 127\.0\.0\.1:\d+\.\n/);
    const [, port = ""] = /:(\d+)\./.exec(local.err()) ?? [];
    const visit = (word: string) =>
      run("ssh", [
        "-F/dev/null",
        "-p",
        port,
        "-oUserKnownHostsFile=/dev/null",
        "-oStrictHostKeyChecking=accept-new",
        "-oIdentitiesOnly=yes",
        "-oBatchMode=yes",
        "-i",
        world.keyFile,
        "job@127.0.0.1",
        `echo ${word}`,
      ]);
    connect(Number(port), "127.0.0.1")
      .on("error", () => {})
      .resetAndDestroy();
    const said = await Promise.all(["one", "two", "three"].map(visit));
    assert.deepEqual(
      said.map(({ stdout }) => stdout.toString()),
      ["one\n", "two\n", "three\n"],
    );
    local.kill("SIGTERM");
    assert.deepEqual(await local.exited, { status: 143, signal: null });
  });

  test("--listen on a port in use: a sentence and status 2", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const where = `127.0.0.1:${portOf(taken)}`;
    const said = await finished(ours("wsproxy", ["--listen", where, `${base(world)}/client/x`]));
    assert.deepEqual(
      [said.status, said.err],
      [2, `converge: Cannot listen on ${where}. Choose another address or port with --listen.\n`],
    );
    taken.close();
  });
});

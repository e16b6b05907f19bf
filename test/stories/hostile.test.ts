/** Strangers who mean harm: nothing that they send ends the relay or the agent, or holds them up. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { run } from "../support/child.ts";
import { built } from "../support/shipped.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet({ id: "prey" });
});
after(() => world.close());

const base = (): string => world.relay.url.href.replace(/^http/, "ws").replace(/\/$/, "");

for (const [name, fields, code] of [
  ["a host of many bytes", { host: "日".repeat(100) }, 4403],
  ["a key of many bytes", { key: "日".repeat(40) }, 4400],
  ["a signature of many bytes", { signature: "日".repeat(80) }, 4400],
] as const)
  test(`an agent that registers with ${name} is refused, and the relay lives`, async () => {
    const socket = new WebSocket(`${base()}/agent/evil`, [subprotocols.agent]);
    socket.on("message", () => {
      const facts = {
        host: "h",
        user: "u",
        os: "o",
        arch: "a",
        shell: "s",
        version: "v",
        fingerprint: "f",
      };
      const good = { type: "register", id: "evil", host: "h", key: "AAAA", signature: "AAAA" };
      socket.send(JSON.stringify({ ...good, facts, ...fields }));
    });
    const [closed] = await once(socket, "close");
    assert.equal(closed, code);
    assert.ok(world.relay.log.lines.some(({ message }) => message === "connection refused"));
    assert.equal((await fetch(new URL("/healthz", world.relay.url))).status, 200);
  });

test("a relay that challenges with nonsense does not crash the agent", async () => {
  const evil = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: ([one]) => one ?? false,
  });
  await once(evil, "listening");
  evil.on("connection", (socket) =>
    socket.send(JSON.stringify({ type: "challenge", nonce: "日".repeat(90) })),
  );
  const address = evil.address();
  const port = typeof address === "object" ? address?.port : 0;
  const agent = await run(
    process.execPath,
    [
      built("agent"),
      "--log-level",
      "silent",
      "--authorized-keys",
      `${world.keyFile}.pub`,
      `ws://127.0.0.1:${port}`,
    ],
    { cwd: world.dir },
  );
  evil.close();
  assert.equal(agent.stderr.split("\n").length, 2, agent.stderr);
  assert.match(agent.stderr, /^converge: /);
});

test("one giant message before the splice is too big, and keeps no memory", async () => {
  const socket = new WebSocket(`${base()}/client/nobody?wait=60000`, [subprotocols.client]);
  await once(socket, "open");
  socket.send(Buffer.alloc(3 * 1024 * 1024));
  const [code] = await once(socket, "close");
  assert.equal(code, 1009);
});

test("an address may park a hundred clients and no more", async () => {
  const sockets = Array.from(
    { length: 100 },
    (_, n) => new WebSocket(`${base()}/client/later-${n % 4}?wait=60000`, [subprotocols.client]),
  );
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  const refused = new WebSocket(`${base()}/client/later?wait=60000`, [subprotocols.client]);
  refused.on("error", () => {});
  const [, response] = await once(refused, "unexpected-response");
  assert.equal(response.statusCode, 429);
  response.resume();
  for (const socket of sockets) socket.terminate();
  await until("nobody is parked", () =>
    world.relay.rows().every(({ id }) => !id.startsWith("later")),
  );
  const again = new WebSocket(`${base()}/client/later?wait=60000`, [subprotocols.client]);
  await once(again, "open");
  again.terminate();
});

test("a client that breaks the ssh protocol after its login is lost, not gone in order", async () => {
  const agent = await world.startAgent({ id: "broken" });
  const proxy = createServer();
  let inject: (data: Buffer) => void = () => {};
  proxy.on("upgrade", (request, socket, head) => {
    const up = connect(Number(world.relay.url.port), "127.0.0.1");
    const lines = Object.entries(request.headers).map(([key, value]) => `${key}: ${value}`);
    up.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    up.write(head);
    up.pipe(socket).pipe(up);
    inject = (data) => up.write(data);
    for (const end of [up, socket]) end.on("error", () => {});
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = proxy.address();
  const port = typeof address === "object" ? address?.port : 0;
  const url = `http://127.0.0.1:${port}/client/broken`;
  const shell = run("ssh", [
    "-F/dev/null",
    `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${url}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=no",
    "-i",
    world.keyFile,
    "job@broken",
    "cat",
  ]);
  await until("somebody is in", () => agent.news.some(({ event }) => event === "client joined"));
  // RFC 6455 5.2: a masked binary frame, and in it a record of 64 bytes that are no ssh packet.
  const heads = [0x82, 0xc4, 0, 0, 0, 0, ...[0, 0, 0, 64]];
  inject(Buffer.concat([Buffer.from(heads), Buffer.alloc(64, 0xff)]));
  await until("it is lost", () => agent.news.some(({ event }) => event === "client lost"));
  assert.equal(agent.ending(), null);
  await shell;
  proxy.close();
  agent.stop();
});

test("what is piped into wsproxy --raw arrives, and the answer comes back", async () => {
  const echo = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(echo, "listening");
  echo.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  const address = echo.address();
  const port = typeof address === "object" ? address?.port : 0;
  const url = `ws://127.0.0.1:${port}/any/100%25?token=1`;
  const { status, stdout, stderr } = await run(process.execPath, [built("wsproxy"), "--raw", url], {
    input: "hello\n",
  });
  echo.close();
  assert.deepEqual([status, stdout.toString(), stderr], [0, "hello\n", ""]);
});

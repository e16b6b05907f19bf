/** The status with which wsproxy ends, and the sentence that goes with it, for each way to fail. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { WebSocketServer } from "ws";
import { endPrograms, finished } from "../support/child.ts";
import { agentProgram, ours, relayProgram } from "../support/programs.ts";
import { sshWith } from "../support/ssh-through.ts";
import { register } from "../support/stranger.ts";
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

describe("exit statuses", () => {
  let closing: Server;
  let closedWith: [number, string];
  before(async () => {
    closing = createHttpServer();
    const sockets = new WebSocketServer({
      server: closing,
      handleProtocols: (offered) => [...offered][0] ?? false,
    });
    sockets.on("connection", (socket) => socket.close(...closedWith));
    closing.listen(0, "127.0.0.1");
    await once(closing, "listening");
  });
  after(() => closing.close());

  for (const [code, reason, status, sentence] of [
    [1000, "", 0, /^$/],
    [
      1001,
      "",
      3,
      /^converge: The relay 127\.0\.0\.1:\d+ \(it closed the connection\) cannot be reached\./,
    ],
    [1003, "binary frames only", 6, /^converge: The relay refused: binary frames only$/],
    [1009, "", 6, /^converge: The relay refused: close code 1009$/],
    [4400, "not JSON", 6, /^converge: The relay refused: not JSON$/],
    [4403, "go \u001b[31maway", 6, /^converge: The relay refused: go \[31maway$/],
    [4404, "", 7, /^converge: No agent is registered as job\. Check the id/],
    [4408, "", 9, /^converge: The agent job did not answer\. It may be ending/],
    [
      4426,
      "the relay speaks protocol version 9, the other side 1",
      5,
      /^converge: the relay speaks protocol version 9, the other side 1\. Use an agent/,
    ],
    [4503, "the relay is restarting", 3, /\(the relay is restarting\) cannot be reached\./],
    [4999, "a code of the future", 3, /\(a code of the future\)/],
  ] as const)
    test(`a relay that closes with ${code}: status ${status}`, async () => {
      closedWith = [code, reason];
      const said = await finished(
        ours("wsproxy", [`http://127.0.0.1:${portOf(closing)}/client/job`], { input: "open" }),
      );
      assert.equal(said.status, status, said.err);
      assert.match(said.err.trimEnd(), sentence);
      assert.equal(said.out, "");
    });

  test("a relay that parks nobody for so long is asked again while the wait lasts", async () => {
    closedWith = [4404, ""];
    let knocks = 0;
    const count = (): void => {
      knocks += 1;
    };
    closing.on("upgrade", count);
    const said = await finished(
      ours("wsproxy", ["--wait", "3s", `http://127.0.0.1:${portOf(closing)}/client/job`], {
        input: "open",
      }),
    );
    closing.off("upgrade", count);
    assert.deepEqual([said.status, knocks], [7, 2], said.err);
  });

  test("a wait outlives the relay: it dials again, and gets in when relay and agent are there", async () => {
    let relay = await relayProgram();
    const waiting = ours("wsproxy", ["--wait", "50s", `${relay.url}/client/patient`], {
      input: "open",
    });
    await waiting.see("waiting for it, up to 50s.");
    const { port } = relay;
    relay.kill("SIGKILL");
    await waiting.see(/cannot be reached\. .* Trying again\.\n/);
    relay = await relayProgram([], { port });
    await agentProgram(relay.url, ["--id", "patient"]);
    await waiting.see("Found the agent: ");
    await until("the agent's first words", () => waiting.out().startsWith("SSH-2.0-converge"));
  });

  test("a relay that cannot be reached, and one that is none: a sentence each", async () => {
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const port = portOf(nobody);
    nobody.close();
    await once(nobody, "close");
    const page = createHttpServer((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end("<h1>A shop</h1>");
    });
    page.listen(0, "127.0.0.1");
    await once(page, "listening");
    for (const [url, status, sentence] of [
      [
        `http://127.0.0.1:${port}/client/x`,
        3,
        `converge: The relay 127.0.0.1:${port} (connect ECONNREFUSED 127.0.0.1:${port}) cannot be reached. Check the URL, the network and the proxy settings.\n`,
      ],
      [
        `http://127.0.0.1:${portOf(page)}/client/x`,
        6,
        "converge: The relay refused: it answered with HTTP status 200.\n",
      ],
      [
        `https://127.0.0.1:${world.relay.url.port}/client/x`,
        4,
        `converge: 127.0.0.1:${world.relay.url.port} speaks no TLS at that port. Write http:// in place of https://, or ask for its real port.\n`,
      ],
      [
        `${base(world)}/elsewhere/x`,
        6,
        "converge: The relay refused: There is no websocket here: use /agent/<id> or /client/<id>.\n",
      ],
      [
        `${base(world)}/client/a%20b`,
        6,
        "converge: The relay refused: A rendez-vous id is 1 to 128 of the characters A-Z a-z 0-9 . _ - only.\n",
      ],
    ] as const) {
      const said = await finished(ours("wsproxy", [url], { input: "open" }));
      assert.deepEqual([said.status, said.err, said.out], [status, sentence, ""]);
    }
    page.close();
  });

  test("a fingerprint that does not match: status 8, and the agent sees no login", async () => {
    const agent = await world.startAgent();
    const wrong = `SHA256:${"A".repeat(43)}`;
    const said = await finished(sshWith(world, agent, { pin: wrong, tellStatus: true }));
    assert.equal(said.status, 255);
    assert.match(said.err, /converge: The host key does not match: expected SHA256:A{43}\./);
    assert.match(said.err, /^status 8$/m);
    assert.ok(said.err.includes(agent.fingerprint), said.err);
    await until("the client is gone", () =>
      world.relay.rows().every(({ clients }) => clients.length === 0),
    );
    assert.deepEqual(
      agent.log.lines.filter(({ message }) => /login|joined/.test(message)),
      [],
    );
    assert.equal((await finished(sshWith(world, agent, {}))).out, "in\n");
  });

  test("an agent that never dials back: status 9 after ten seconds", async () => {
    const mute = await register(world.relay.url, "mute");
    const said = ours("wsproxy", [`${base(world)}/client/mute`], { input: "open" });
    await said.see("Found the agent: nobody@elsewhere, Plan 9, shell /bin/rc.");
    await world.clock.advance(9_000);
    assert.equal(said.ended(), null);
    await world.clock.advance(1_500);
    const { status, err } = await finished(said);
    assert.equal(status, 9);
    assert.match(
      err,
      /converge: The agent mute did not answer\. It may be ending; look at the job's log and try again\.\n$/,
    );
    mute.socket.close();
  });
});

/** A relay that means harm: whatever it says without end, a job's log and a terminal stay readable. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import type { Agent } from "../support/agent.ts";
import { endPrograms, finished } from "../support/child.ts";
import { ours } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let relay: WebSocketServer;
/** The agent's control link, once it is registered, and what came over it. */
let control: WebSocket;
let heard: string[];
before(async () => {
  world = await meet(null);
  relay = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: ([one]) => one ?? false,
  });
  await once(relay, "listening");
  relay.on("connection", (socket, request) => {
    if (!request.url?.startsWith("/agent/")) return;
    socket.on("message", (data) => {
      heard.push(String(data));
      if (!String(data).includes('"register"')) return;
      const [, , id] = request.url?.split("/") ?? [];
      socket.send(
        JSON.stringify({ type: "registered", id, clientUrl: `http://127.0.0.1/client/${id}` }),
      );
      control = socket;
    });
    socket.send(JSON.stringify({ type: "challenge", nonce: "AAAA" }));
  });
  const { port } = relay.address() as AddressInfo;
  Object.assign(world.relay, { url: new URL(`http://127.0.0.1:${port}`) });
});
beforeEach(() => {
  heard = [];
});
after(async () => {
  await endPrograms();
  await world.close();
  for (const socket of relay.clients) socket.terminate();
  relay.close();
});

/** Says it so many times, and waits until the agent has heard all of it. */
async function flood(message: object, times: number): Promise<void> {
  const text = JSON.stringify(message);
  for (let n = 0; n < times; n += 1) control.send(text);
  const pong = once(control, "pong");
  control.ping();
  await pong;
}

const endings = (agent: Agent) => agent.news.filter(({ event }) => event === "relay ending");

test("2 200 `ending` a second: one line a second in the job's log, with their number", async () => {
  const agent = await world.startAgent();
  const ending = { event: "relay ending", leftMs: 30_000 };
  await flood({ type: "ending", leftMs: 30_000 }, 2_200);
  await world.clock.advance(1_000);
  assert.deepEqual(endings(agent), [ending, { ...ending, times: 2_199 }]);
  await flood({ type: "ending", leftMs: 29_000 }, 2_200);
  await world.clock.advance(1_000);
  assert.deepEqual(endings(agent).slice(2), [{ ...ending, leftMs: 29_000, times: 2_200 }]);
  await world.clock.advance(5_000);
  assert.equal(endings(agent).length, 3);
  agent.stop();
});

test("summons without end: a hundred dial-backs at once, and a line a second", async () => {
  const agent = await world.startAgent();
  const waiting: (() => void)[] = [];
  relay.options.verifyClient = (_info, answer) => waiting.push(() => answer(false, 403));
  const summon = { type: "summon", ticket: "A".repeat(22), client: { address: "192.0.2.1" } };
  await flood(summon, 2_200);
  await until("a hundred dial-backs", () => waiting.length >= 100);
  assert.equal(waiting.length, 100);
  for (const answer of waiting) answer();
  await until("all have failed", async () => {
    await world.clock.advance(1_000);
    const failed = agent.log.lines.filter(({ message }) => message === "dial-back failed");
    const times = failed.map(({ fields }) => Number(fields["times"] ?? 1));
    assert.ok(failed.length < 20, `${failed.length} lines`);
    return times.reduce((sum, n) => sum + n, 0) === 2_200;
  });
  relay.options.verifyClient = undefined as never;
  agent.stop();
});

test("challenges without end are answered once, and the first word that is wrong is the last", async () => {
  const agent = await world.startAgent();
  await flood({ type: "challenge", nonce: "AAAA" }, 1_000);
  assert.equal(heard.filter((text) => text.includes('"register"')).length, 1);
  const closed = once(control, "close");
  for (let n = 0; n < 1_000; n += 1) control.send("nonsense");
  await closed;
  const malformed = agent.log.lines.filter(({ message }) => message === "relay message malformed");
  assert.equal(malformed.length, 1);
  agent.stop();
});

test("wsproxy repeats no more than twenty sentences of a relay", async () => {
  const talker = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: ([one]) => one ?? false,
  });
  await once(talker, "listening");
  talker.on("connection", (socket) => {
    for (let n = 0; n < 2_000; n += 1) socket.send('{"type":"waiting","forMs":1000}');
    socket.close(4404);
  });
  const { port } = talker.address() as AddressInfo;
  const said = await finished(ours("wsproxy", [`http://127.0.0.1:${port}/client/x`]));
  talker.close();
  assert.equal(said.status, 7);
  assert.equal(said.err.split("\n").filter((line) => line.startsWith("[converge]")).length, 20);
});

/** Quiet log: who is turned away again and again fills no log, and is counted all the same. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { refusalsMost, sessionsMost } from "../../src/io/relay/fact-lines.ts";
import { handClock } from "../support/clock.ts";
import { register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let base: string;
beforeEach(async () => {
  world = await meet(null, { trustProxy: ["loopback"] }, handClock({ pings: false }));
  base = world.relay.url.href.replace(/\/$/, "");
});
afterEach(() => world.close());

const from = (address: string) => ({ "x-forwarded-for": address });
const linesOf = (message: string): Record<string, unknown>[] =>
  world.relay.log.lines.filter((line) => line.message === message).map(({ fields }) => fields);
const metric = async (series: string): Promise<number> => {
  const lines = (await (await fetch(`${base}/metrics`)).text()).split("\n");
  return Number(lines.find((line) => line.startsWith(`${series} `))?.split(" ")[1]);
};

test("requests of a foreign page: a few lines, a count for the rest, and another's are told", async () => {
  const ask = async (address: string): Promise<number> =>
    (
      await fetch(`${base}/sessions`, {
        headers: { ...from(address), origin: "http://evil.example" },
      })
    ).status;
  for (let n = 0; n < 100; n += 1) assert.equal(await ask("192.0.2.66"), 403);
  assert.equal(await ask("192.0.2.1"), 403);
  assert.deepEqual(
    linesOf("connection refused").map(({ address }) => address),
    [...new Array(refusalsMost).fill("192.0.2.66"), "192.0.2.1"],
  );
  assert.equal(await metric('converge_rejected_connections_total{reason="origin"}'), 101);
  await world.clock.advance(60_000);
  assert.deepEqual(linesOf("lines left out"), [
    { line: "connection refused", reason: "origin", from: "192.0.2.66", times: 100 - refusalsMost },
  ]);
});

test("knocks at an id that nobody has, given up at once: the log stays small", async () => {
  const knocks = 3 * sessionsMost;
  for (let n = 0; n < knocks; n += 1) {
    const link = stranger(`${base}/client/nobody-${n}?wait=60000`, subprotocols.client);
    await until("it waits", () => link.heard.length > 0);
    link.socket.terminate();
    await link.end;
  }
  const { pairings } = world.relay.actor.getSnapshot().context;
  await until("all are gone", () => pairings.size === 0);
  for (const line of ["client session started", "client session ended"])
    assert.equal(linesOf(line).length, sessionsMost, line);
  assert.equal(await metric("converge_client_sessions_started_total"), knocks);
});

test("agents that send nonsense: a few lines of each kind", async () => {
  const times = 4 * refusalsMost;
  for (let n = 0; n < times; n += 1) {
    const agent = stranger(`${base}/agent/evil`, subprotocols.agent);
    await until("a challenge", () => agent.heard.length > 0);
    agent.say("nonsense");
    assert.equal((await agent.end).code, 4400);
  }
  for (const line of ["control message malformed", "connection refused"])
    assert.equal(linesOf(line).length, refusalsMost, line);
  assert.equal(await metric("converge_control_message_errors_total"), times);
});

test("an agent that says of its client now this and now that has one line for each", async () => {
  const agent = await register(world.relay.url, "fickle");
  const client = stranger(`${base}/client/fickle`, subprotocols.client);
  await until("a summons", () => agent.heard.length > 2);
  const { ticket } = JSON.parse(String(agent.heard[2]));
  const login = { fingerprint: "SHA256:x", comment: "dev" };
  for (let n = 0; n < 20; n += 1) {
    agent.say({ type: "client", client: { ticket, kinds: ["shell", "sftp"], login } });
    agent.say({ type: "client", client: { ticket, kinds: [], login: null } });
  }
  agent.say({ type: "status", status: { state: "held", leftMs: 1, held: true, clients: [] } });
  await until("all was heard", () => linesOf("agent held").length > 0);
  assert.deepEqual(
    ["client logged in", "client used"].map((line) => linesOf(line).length),
    [1, 2],
  );
  client.socket.terminate();
});

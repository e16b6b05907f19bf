/** What a relay records of those who do not behave, or have bad luck: one fact each, in log and metrics. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { gauges } from "../../src/actors/observe/gauges.ts";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { closeCodes, controlMost, subprotocols } from "../../src/io/protocol/wire.ts";
import type { Ticket } from "../../src/machines/vocabulary.ts";
import { messages, register, type Stranger, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
const base = (): string => world.relay.url.href.replace(/\/$/, "");
const facts = (message: string): Record<string, unknown>[] =>
  world.relay.log.lines.filter((line) => line.message === message).map(({ fields }) => fields);
const metric = async (series: string): Promise<number> => {
  const lines = (await (await fetch(`${base()}/metrics`)).text()).split("\n");
  return Number(
    lines
      .find((line) => line.startsWith(`${series} `))
      ?.split(" ")
      .at(-1),
  );
};
const said = (of: Stranger, type: string) =>
  until(type, () => messages(of).find((message) => message["type"] === type));

beforeEach(async () => {
  world = await meet(null);
});
afterEach(() => world.close());

const status = (over: Record<string, unknown> = {}) => ({
  type: "status",
  status: { state: "waiting", leftMs: 600_000, held: false, clients: [], ...over },
});

test("the gauges are what the list of sessions shows, whatever is going on", async () => {
  const waiting = await register(world.relay.url, "a");
  const held = await register(world.relay.url, "b");
  held.say(status({ state: "held", held: true }));
  const lost = await register(world.relay.url, "c");
  lost.say(status({ state: "occupied" }));
  await until("the reports", () => world.relay.rows().some(({ state }) => state === "occupied"));
  lost.socket.terminate();
  const parked = stranger(`${base()}/client/nobody?wait=60000`, subprotocols.client);
  await said(parked, "waiting");
  const asked = stranger(`${base()}/client/a`, subprotocols.client);
  await said(waiting, "summon");
  const client = stranger(`${base()}/client/b`, subprotocols.client);
  const { ticket } = await said(held, "summon");
  const dialled = stranger(`${base()}/dial/${ticket}`, subprotocols.data);
  await said(client, "spliced");
  held.say({ type: "client", client: { ticket, kinds: ["shell", "forward"], login: null } });
  await until("the kinds", () => facts("client used").length === 2);
  await until("it is lost", () => world.relay.rows().some(({ state }) => state === "relay lost"));

  const rows = world.relay.rows();
  const now = gauges(world.relay.actor.getSnapshot());
  for (const state of ["waiting", "occupied", "held", "lost", "lingering", "ending"] as const)
    assert.equal(now.agents[state], rows.filter((row) => row.state === state).length, state);
  const clients = rows.flatMap((row) => row.clients);
  for (const state of ["waiting", "summoning", "connected"] as const) {
    assert.equal(now.clients[state], clients.filter((row) => row.state === state).length, state);
    assert.equal(now.clients[state], 1);
  }
  for (const kind of ["shell", "exec", "sftp", "forward"] as const)
    assert.equal(now.kinds[kind], clients.filter(({ kinds }) => kinds.includes(kind)).length, kind);
  assert.equal(await metric('converge_connected_clients{kind="forward"}'), 1);
  for (const { socket } of [waiting, held, parked, asked, client, dialled]) socket.terminate();
});

test("the same agent on a newer link: the older one is superseded, and it came back", async () => {
  const identity = newIdentity();
  const older = await register(world.relay.url, "twice", { identity });
  const newer = await register(world.relay.url, "twice", { identity });
  await older.end;
  assert.deepEqual(
    facts("agent session ended").map(({ outcome }) => outcome),
    ["superseded"],
  );
  assert.deepEqual(
    facts("agent session started").map(({ returned }) => returned),
    [false, true],
  );
  newer.socket.close(closeCodes.done);
  await until("its end", () => facts("agent session ended").length === 2);
  assert.equal(facts("agent session ended")[1]?.["outcome"], "left");
});

test("an agent says why it ended, and how often it warned; less than before is not counted", async () => {
  const agent = await register(world.relay.url, "capped");
  agent.say(status({ warnings: 2 }));
  agent.say(status({ warnings: 1 }));
  agent.say(status({ warnings: 3, state: "ending", ending: "hard cap" }));
  agent.socket.close(closeCodes.done);
  await until("its end", () => facts("agent session ended").length === 1);
  assert.equal(facts("agent session ended")[0]?.["ending"], "hard cap");
  assert.equal(await metric('converge_agent_timeouts_total{cause="hard cap"}'), 1);
});

for (const [name, come, reason, code] of [
  [
    "an agent that says nothing",
    () => stranger(`${base()}/agent/mute`, subprotocols.agent),
    "silent",
    4408,
  ],
  [
    "an agent that talks nonsense first",
    () => {
      const one = stranger(`${base()}/agent/mad`, subprotocols.agent);
      one.socket.once("open", () => one.socket.send("nonsense"));
      return one;
    },
    "malformed",
    4400,
  ],
  [
    "an agent that proves nothing",
    () => register(world.relay.url, "liar", { signature: Buffer.alloc(64).toString("base64") }),
    "identity",
    4403,
  ],
] as const)
  test(`${name} is turned away, once, for being ${reason}`, async () => {
    const one = await come();
    if (reason === "silent") {
      await said(one, "challenge");
      await world.clock.advance(10_000);
    }
    assert.equal((await one.end).code, code);
    const refusals = facts("connection refused");
    assert.deepEqual(
      refusals.map((fact) => [fact["reason"], fact["status"], fact["address"]]),
      [[reason, code, "127.0.0.1"]],
    );
    assert.equal(await metric(`converge_rejected_connections_total{reason="${reason}"}`), 1);
  });

test("an agent that floods its relay is cut off, and fills no log", async () => {
  const agent = await register(world.relay.url, "flood");
  for (let n = 0; n < controlMost + 300; n += 1) agent.say(status({ held: n % 2 === 0 }));
  assert.deepEqual(await agent.end, { code: 4400, reason: "too many messages" });
  assert.ok(facts("agent held").length < controlMost / 2 + 100);
  assert.equal(facts("control message malformed").length, 1);
  assert.equal(await metric("converge_control_message_errors_total"), 1);
});

test("an agent cannot speak for another's clients", async () => {
  const [one, other] = [
    await register(world.relay.url, "one"),
    await register(world.relay.url, "other"),
  ];
  const client = stranger(`${base()}/client/one`, subprotocols.client);
  const { ticket } = (await said(one, "summon")) as { ticket: Ticket };
  const login = { fingerprint: "SHA256:forged", comment: "mallory" };
  const report = { ticket, kinds: ["sftp"], login };
  other.say({ type: "client", client: report });
  other.say(status({ clients: [report], state: "held" }));
  await until("it was heard", () => world.relay.rows().some(({ state }) => state === "held"));
  assert.deepEqual([facts("client logged in"), facts("client used")], [[], []]);
  assert.equal(world.relay.rows().find(({ id }) => id === "one")?.clients[0]?.login, null);
  for (const { socket } of [one, other, client]) socket.terminate();
});

test("a side that takes its bytes too slowly makes the other wait, and that is counted", async () => {
  const agent = await register(world.relay.url, "slow");
  const client = stranger(`${base()}/client/slow`, subprotocols.client);
  const { ticket } = await said(agent, "summon");
  const dialled = stranger(`${base()}/dial/${ticket}`, subprotocols.data);
  await said(client, "spliced");
  client.socket.pause();
  const chunk = Buffer.alloc(256 * 1024);
  for (let n = 0; n < 80; n += 1) dialled.socket.send(chunk);
  await until("a pause", async () => (await metric("converge_backpressure_pauses_total")) > 0);
  assert.ok(
    (await metric('converge_relayed_bytes_total{direction="to client"}')) < 80 * chunk.length,
  );
  client.socket.resume();
  const all = () =>
    client.heard.reduce((n, part) => n + (Buffer.isBuffer(part) ? part.length : 0), 0);
  await until("everything arrives", () => all() === 80 * chunk.length);
  client.socket.close(closeCodes.done);
  const line = await until("its line", () => facts("client session ended")[0]);
  assert.deepEqual(
    [line["agentBytes"], line["pauses"]],
    [80 * chunk.length, await metric("converge_backpressure_pauses_total")],
  );
  agent.socket.terminate();
});

test("an agent that does not come when it is called", async () => {
  const agent = await register(world.relay.url, "deaf");
  const client = stranger(`${base()}/client/deaf`, subprotocols.client);
  await said(agent, "summon");
  await world.clock.advance(10_000);
  assert.equal((await client.end).code, closeCodes.agentSilent);
  const [line] = facts("client session ended");
  assert.deepEqual([line?.["outcome"], line?.["endedBy"]], ["agent silent", null]);
  agent.socket.terminate();
});

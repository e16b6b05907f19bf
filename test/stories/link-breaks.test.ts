/** How an agent stays itself while its link to the relay breaks, falls silent, or is claimed by another. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms } from "../support/child.ts";
import { type Forwarder, forwarder } from "../support/forwarder.ts";
import { openRelay } from "../support/relay.ts";
import { register } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

describe("an agent whose link breaks", () => {
  let world: World;
  let way: Forwarder;
  let direct: URL;
  afterEach(async () => {
    await way.close();
    await endPrograms();
    await world.close();
  });

  /** The agent reaches the relay through a forwarder; clients go straight to it. */
  async function begin(): Promise<Agent> {
    world = await meet(null);
    direct = world.relay.url;
    way = await forwarder(() => Number(direct.port));
    world.relay = { ...world.relay, url: new URL(`http://127.0.0.1:${way.port}`) };
    world.agent = await world.startAgent();
    world.relay = { ...world.relay, url: direct };
    return world.agent;
  }

  const controlOf = () => {
    const [control] = way.open("/agent/");
    assert.ok(control);
    return control;
  };

  test("it comes back under its own id, its session goes on, and its terminal is told", async () => {
    const agent = await begin();
    const screen = world.terminal();
    await screen.see("$ ");
    controlOf().cut();
    await screen.see(
      "[converge] The relay is lost, the agent looks for it; this session may go on.",
    );
    await until("the row says so", () => world.relay.rows()[0]?.state === "relay lost");
    await screen.see("[converge] The relay is back: others can connect again.");
    screen.type("echo still $((40+2))\r");
    await screen.see("still 42");
    assert.equal(agent.rendezvous(), agent.id);
    assert.equal((await world.ssh(["echo another"])).stdout.toString(), "another\n");
    assert.deepEqual(
      agent.news.map(({ event }) => event).filter((event) => !event.startsWith("client")),
      ["ready", "relay lost", "relay found"],
    );
    screen.type("exit\r");
    await screen.exited;
  });

  test("the same key wins at once over its old link that is half open", async () => {
    const agent = await begin();
    const old = controlOf();
    old.halfOpen();
    await until("a second link", () => way.open("/agent/").length === 1);
    await until("it is registered again", () =>
      agent.log.lines.some(({ message, fields }) => message === "registered" && !fields["isFirst"]),
    );
    assert.equal(agent.rendezvous(), agent.id);
    assert.equal(world.relay.rows().length, 1);
    assert.equal((await world.ssh(["echo here"])).stdout.toString(), "here\n");
  });

  test("an impostor that asks for the id of an agent that is lost gets another", async () => {
    const agent = await begin();
    const wanted = await register(direct, "chosen");
    wanted.socket.terminate();
    await until("it is lost", () => world.relay.rows().every(({ id }) => id !== "chosen"));
    for (const id of ["chosen", agent.id]) {
      const impostor = await register(direct, id);
      assert.match(impostor.id ?? "", new RegExp(`^${id}-[a-z2-9]{4}$`));
      impostor.socket.close();
    }
  });

  test("after a restart of the relay a generated id is its owner's, whoever came first", async () => {
    const agent = await begin();
    const port = Number(direct.port);
    await world.relay.close();
    world.relay = await openRelay(world.clock, { port });
    const impostor = await register(direct, agent.id);
    assert.match(impostor.id ?? "", new RegExp(`^${agent.id}-[a-z2-9]{4}$`));
    await until("the owner is back", () =>
      world.relay.rows().some(({ id, state }) => id === agent.id && state !== "relay lost"),
    );
    const said = await world.ssh(["echo mine"]);
    assert.equal(said.stdout.toString(), "mine\n", said.stderr);
    impostor.socket.close();
  });

  test("an agent whose relay goes silent gives the link up within a minute and dials again", async () => {
    const agent = await begin();
    controlOf().freeze();
    await world.clock.advance(60_000);
    await until("it noticed", () => agent.news.some(({ event }) => event === "relay lost"), 5_000);
    await world.clock.advance(1_000);
    await until("it is back", () =>
      agent.log.lines.some(({ message, fields }) => message === "registered" && !fields["isFirst"]),
    );
    assert.equal(agent.rendezvous(), agent.id);
  });
});

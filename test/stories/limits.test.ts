/** Limits: what one address, one id and all together may have of the relay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newcomersMost } from "../../src/io/relay/admission/newcomers.ts";
import { handClock } from "../support/clock.ts";
import { messages, register, type Stranger, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
const behindProxy = { trustProxy: ["loopback"] };

async function inWorld(
  options: Parameters<typeof meet>[1],
  act: (world: World, base: string) => Promise<void>,
): Promise<void> {
  const world = await meet(null, options, handClock({ pings: false }));
  try {
    await act(world, world.relay.url.href.replace(/\/$/, ""));
  } finally {
    await world.close();
  }
}

/** The HTTP status, or the close code, or 101 for a link that stays open. */
async function answerOf(link: Stranger): Promise<number> {
  await until("an answer", () => link.refusal() ?? link.closed() ?? link.isOpen());
  return link.refusal()?.status ?? link.closed()?.code ?? 101;
}

const reasonsOf = (world: World): unknown[] =>
  world.relay.log.lines
    .filter(({ message }) => message === "connection refused")
    .map(({ fields }) => fields["reason"]);

test("an address has so many agents, and another address is not disturbed", () =>
  inWorld({ ...behindProxy, limits: { agentsPerAddress: 2 } }, async (world, base) => {
    const one = await register(world.relay.url, "one", { options: from("192.0.2.1") });
    await register(world.relay.url, "two", { options: from("192.0.2.1") });
    const third = (): Stranger =>
      stranger(`${base}/agent/three`, "converge.agent.v1", from("192.0.2.1"));
    const refused = third();
    assert.equal(await answerOf(refused), 429);
    assert.match(refused.refusal()?.body ?? "", /Too many agents of your address/);
    assert.deepEqual(reasonsOf(world), ["too many agents"]);
    const other = await register(world.relay.url, "other", { options: from("192.0.2.2") });
    assert.equal(other.id, "other");
    one.socket.close(1000);
    await until("the first is gone", () => world.relay.rows().length === 2);
    assert.equal(await answerOf(third()), 101);
  }));

test("an address that connects too often waits, and no longer than it must", () =>
  inWorld({ ...behindProxy, limits: { connectionsPerSecond: 1 } }, async (world, base) => {
    const dial = (address: string) =>
      answerOf(stranger(`${base}/dial/${"x".repeat(22)}`, "converge.data.v1", from(address)));
    for (let n = 0; n < 20; n += 1) await dial("2001:db8::1");
    const answers: number[] = [];
    await until("too often", async () => {
      answers.push(await dial(`2001:db8::${answers.length + 2}`)); // one holder, many addresses
      return answers.at(-1) === 429;
    });
    assert.ok(reasonsOf(world).includes("too fast"));
    assert.equal(await dial("2001:db8:0:1::1"), 404);
    await world.clock.advance(2_000);
    assert.equal(await dial("2001:db8::9"), 404);
  }));

test("a full relay says so, and answers its pages", () =>
  inWorld({ limits: { maxConnections: 1 } }, async (world, base) => {
    const agent = await register(world.relay.url, "only");
    assert.equal(await answerOf(stranger(`${base}/client/only`, "converge.client.v1")), 503);
    assert.deepEqual(reasonsOf(world), ["full"]);
    assert.equal((await fetch(`${base}/sessions`)).status, 200);
    agent.socket.close(1000);
    await until("room again", () => world.relay.rows().length === 0);
    assert.equal(await answerOf(stranger(`${base}/agent/next`, "converge.agent.v1")), 101);
  }));

test("an id has so many clients that have not logged in, whoever they are", () =>
  inWorld(behindProxy, async (world, base) => {
    await register(world.relay.url, "crowded");
    const links = Array.from({ length: newcomersMost.perId }, (_, n) =>
      stranger(`${base}/client/crowded`, "converge.client.v1", from(`192.0.2.${n}`)),
    );
    for (const link of links) assert.equal(await answerOf(link), 101);
    assert.equal(await answerOf(stranger(`${base}/client/crowded`, "converge.client.v1")), 429);
    assert.deepEqual(reasonsOf(world), ["too many clients"]);
    links[0]?.socket.terminate();
    const { pairings } = world.relay.actor.getSnapshot().context;
    await until("one is gone", () => pairings.size === newcomersMost.perId - 1);
    assert.equal(await answerOf(stranger(`${base}/client/crowded`, "converge.client.v1")), 101);
  }));

test("one address has a share of an id's clients, and another's get in", () =>
  inWorld(behindProxy, async (world, base) => {
    const agent = await register(world.relay.url, "public");
    const knock = async (address: string): Promise<Stranger> => {
      const link = stranger(`${base}/client/public`, "converge.client.v1", from(address));
      await until("an answer", () => link.refusal() ?? link.isOpen());
      return link;
    };
    const flood = (): Promise<Stranger[]> =>
      Promise.all(Array.from({ length: 2 * newcomersMost.perHolder }, () => knock("192.0.2.66")));
    const opened = (await flood()).filter((link) => link.isOpen());
    assert.equal(opened.length, newcomersMost.perHolder);
    assert.ok((await knock("192.0.2.1")).isOpen(), "another address is not disturbed");

    // Who has logged in takes nobody's place.
    const summoned = messages(agent).filter(({ type }) => type === "summon");
    const login = { fingerprint: "SHA256:x", comment: "" };
    for (const { ticket } of summoned.slice(0, 10))
      agent.say({ type: "client", client: { ticket, kinds: [], login } });
    await until(
      "they are in",
      () =>
        world.relay.log.lines.filter(({ message }) => message === "client logged in").length === 10,
    );
    assert.equal((await flood()).filter((link) => link.isOpen()).length, 10);

    // Nor does a link that is being closed, and whose peer does not answer that.
    for (const { socket } of opened) socket.pause();
    await world.clock.advance(10_000); // the agent dials nobody back
    const again = await flood();
    assert.equal(again.filter((link) => link.isOpen()).length, newcomersMost.perHolder);
    for (const { socket } of opened) socket.terminate();
  }));

test("a login that another agent reports counts for nothing", () =>
  inWorld(behindProxy, async (world, base) => {
    const agent = await register(world.relay.url, "public");
    const other = await register(world.relay.url, "other");
    const knock = () => stranger(`${base}/client/public`, "converge.client.v1");
    const links = Array.from({ length: newcomersMost.perHolder }, knock);
    for (const link of links) assert.equal(await answerOf(link), 101);
    const login = { fingerprint: "SHA256:x", comment: "" };
    const tickets = messages(agent).flatMap(({ type, ticket }) =>
      type === "summon" ? ticket : [],
    );
    assert.equal(tickets.length, newcomersMost.perHolder);
    for (const ticket of tickets)
      other.say({ type: "client", client: { ticket, kinds: [], login } });
    other.say({ type: "status", status: { state: "held", leftMs: 1, held: true, clients: [] } });
    await until("all was heard", () => world.relay.rows().some(({ held }) => held));
    assert.equal(await answerOf(knock()), 429);
  }));

test("the addresses of one IPv6 /64 share their live feeds, and another's are not taken", () =>
  inWorld(behindProxy, async (_world, base) => {
    const stop = new AbortController();
    const watch = async (address: string): Promise<number> => {
      const asked = { ...from(address), signal: stop.signal };
      return (await fetch(`${base}/api/sessions/live`, asked)).status;
    };
    const answers: number[] = [];
    for (let n = 0; n < 60; n += 1) answers.push(await watch(`2001:db8::${(n % 20) + 1}`));
    assert.deepEqual(
      [200, 503].map((status) => answers.filter((answer) => answer === status).length),
      [50, 10],
    );
    assert.equal(await watch("2001:db8:0:1::1"), 200);
    stop.abort();
  }));

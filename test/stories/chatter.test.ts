/**
 * Chatter: agents that say as much as the protocol lets them. The links of their address are read
 * more slowly; nobody else's are, and nothing of what they say is lost.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { budgetBytes, budgetPerSecond, messageBytes } from "../../src/io/relay/control-budget.ts";
import { handClock } from "../support/clock.ts";
import { register, type Stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const from = (address: string) => ({ headers: { "x-forwarded-for": address } });

/** A status of nearly 60 KB, that of an agent with a thousand clients. */
const large = JSON.stringify({
  type: "status",
  status: {
    state: "occupied",
    leftMs: 600_000,
    held: false,
    clients: Array.from({ length: 1_000 }, () => ({
      ticket: "x".repeat(22),
      kinds: [],
      login: null,
    })),
  },
});
const each = 40;
const rounds = { agents: 3, bytes: 3 * each * large.length };

async function chatter(act: (world: World, told: Map<string, number>) => Promise<void>) {
  const options = { trustProxy: ["loopback"] };
  const world = await meet(null, options, handClock({ pings: false }));
  const told = new Map<string, number>();
  const counting = world.relay.ports.arrivals.subscribe((event) => {
    if (event.type === "AGENT.REPORTED") told.set(event.id, (told.get(event.id) ?? 0) + 1);
  });
  try {
    await act(world, told);
  } finally {
    counting.unsubscribe();
    await world.close();
  }
}

const sum = (told: Map<string, number>, prefix: string): number =>
  [...told].reduce((n, [id, times]) => (id.startsWith(prefix) ? n + times : n), 0);

test("agents of one address that say too much are read later, all of it, and others at once", () =>
  chatter(async (world, told) => {
    const loud: Stranger[] = [];
    for (let n = 0; n < rounds.agents; n += 1)
      loud.push(
        await register(world.relay.url, `loud-${n}`, { options: from(`2001:db8::${n + 1}`) }),
      );
    const quiet = await register(world.relay.url, "quiet", { options: from("192.0.2.1") });
    const began = world.clock.now();
    for (let n = 0; n < each; n += 1) for (const agent of loud) agent.say(large);
    await until("some of it is read", () => sum(told, "loud") > 3);
    quiet.say(large.replace("occupied", "held"));
    await until("the other was heard", () => told.has("quiet"));
    const heard = sum(told, "loud");
    const seconds = (world.clock.now() - began) / 1_000;
    // One read of 64 KiB may go beyond the budget.
    const most = budgetBytes + budgetPerSecond * seconds + 64 * 1024;
    assert.ok(heard * (large.length + messageBytes) <= most, `${heard} in ${seconds} s`);
    assert.ok(heard < rounds.agents * each, "the other did not wait for them");

    await until("all of it was read", async () => {
      await world.clock.advance(500);
      return sum(told, "loud") === rounds.agents * each;
    });
    const minMs = (1_000 * (rounds.bytes - budgetBytes)) / budgetPerSecond;
    assert.ok(world.clock.now() - began >= minMs, "no faster than the budget");
    for (const agent of loud) assert.ok(agent.isOpen());
  }));

test("an agent beside a loud one of the same address has its turn", () =>
  chatter(async (world, told) => {
    const loud = await register(world.relay.url, "loud", { options: from("192.0.2.1") });
    const soft = await register(world.relay.url, "soft", { options: from("192.0.2.1") });
    for (let n = 0; n < each; n += 1) loud.say(large);
    await until("it is too much", () => sum(told, "loud") > 3);
    soft.say(large);
    await until("the soft one was heard", () => told.has("soft"));
    assert.ok(sum(told, "loud") < each);
    assert.ok(loud.isOpen() && soft.isOpen());
  }));

test("who comes back at once finds the budget as it was left", () =>
  chatter(async (world, told) => {
    const heardOf = async (id: string): Promise<number> => {
      const agent = await register(world.relay.url, id, { options: from("192.0.2.1") });
      const began = told.size;
      for (let n = 0; n < each; n += 1) agent.say(large);
      await until("some of it is read", () => told.size > began && (told.get(id) ?? 0) > 0);
      agent.socket.terminate();
      await until("it is gone", () =>
        world.relay.rows().every((row) => row.id !== id || row.state === "relay lost"),
      );
      return told.get(id) ?? 0;
    };
    const began = world.clock.now();
    let heard = 0;
    for (let n = 0; n < 5; n += 1) heard += await heardOf(`again-${n}`);
    const seconds = (world.clock.now() - began) / 1_000;
    const most = budgetBytes + budgetPerSecond * seconds + 64 * 1024;
    assert.ok(heard * large.length <= most, `${heard} in ${seconds} s`);
  }));

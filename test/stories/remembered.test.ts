/**
 * Remembered: what strangers can leave behind at a relay, and what of it everybody else is sent.
 * Agents that come, say that they stay for ever, and drop their link.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { rowsPerPage } from "../../src/actors/observe/roster.ts";
import { durationMostMs } from "../../src/io/protocol/messages.ts";
import { handClock } from "../support/clock.ts";
import { register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
const longMs = 300 * 24 * 60 * 60_000;

/** Registers, says one status, and is lost; resolves when the relay has seen the loss. */
async function comeAndGo(world: World, id: string, address: string): Promise<void> {
  const agent = await register(world.relay.url, id, { options: from(address) });
  agent.say({
    type: "status",
    status: { state: "waiting", leftMs: longMs, held: false, clients: [] },
  });
  const of = () => world.relay.rows().find((row) => row.id === id);
  await until("its status is known", () => of()?.expiresAt);
  agent.socket.terminate();
  await until("it is lost", () => of()?.state !== "waiting");
}

const idsOf = (world: World): string[] => world.relay.rows().map(({ id }) => id);

test("lost agents count for their address: the oldest is forgotten, and nobody else's", async () => {
  const options = { trustProxy: ["loopback"], limits: { agentsPerAddress: 3 } };
  const world = await meet(null, options, handClock({ pings: false }));
  try {
    await comeAndGo(world, "neighbour", "192.0.2.9");
    for (let n = 1; n <= 5; n += 1) await comeAndGo(world, `flood-${n}`, `2001:db8::${n}`);
    assert.deepEqual(idsOf(world), ["flood-3", "flood-4", "flood-5", "neighbour"]);
    const again = await register(world.relay.url, "flood-1", { options: from("192.0.2.9") });
    assert.equal(again.id, "flood-1", "an id that is forgotten is free");
  } finally {
    await world.close();
  }
});

test("all together have so many lost agents as there may be links", async () => {
  const options = { trustProxy: ["loopback"], limits: { maxConnections: 3 } };
  const world = await meet(null, options, handClock({ pings: false }));
  try {
    await comeAndGo(world, "old", "192.0.2.8");
    for (let n = 1; n <= 3; n += 1) await comeAndGo(world, `flood-${n}`, "192.0.2.1");
    assert.deepEqual(idsOf(world), ["flood-2", "flood-3", "old"]);
    await comeAndGo(world, "new", "192.0.2.7");
    assert.deepEqual(idsOf(world), ["flood-2", "flood-3", "new"], "the oldest of all");
  } finally {
    await world.close();
  }
});

test("who says that it stays for 300 days is shown for 30, and goes on", async () => {
  const world = await meet(null);
  try {
    const agent = await register(world.relay.url, "patient");
    const status = { state: "held", leftMs: longMs, held: true, clients: [] };
    agent.say({ type: "status", status });
    const expiresAt = await until("a status", () => world.relay.rows()[0]?.expiresAt);
    const leftMs = Date.parse(String(expiresAt)) - world.clock.wall();
    assert.ok(Math.abs(leftMs - durationMostMs) < 60_000, String(leftMs));
    assert.ok(agent.isOpen());
  } finally {
    await world.close();
  }
});

describe("pages", () => {
  let world: World;
  let url: string;
  const agents = 2 * rowsPerPage + 20;
  const name = (n: number): string => `job-${String(n).padStart(3, "0")}`;
  before(async () => {
    world = await meet(null, { contextPath: "/ci" }, handClock({ pings: false }));
    url = world.relay.url.href.replace(/\/$/, "");
    for (let n = 0; n < agents; n += 1) await register(world.relay.url, name(n));
  });
  after(() => world.close());

  const list = async (query = "") => {
    const answer = await fetch(`${url}/api/sessions${query}`);
    const { agents, ...rest } = (await answer.json()) as {
      agents: { id: string; clients: unknown[]; moreClients: number }[];
      page: number;
    };
    return { ids: agents.map(({ id }) => id), agents, rest };
  };

  test("of /api/sessions: a page at a time, in order of id, and nothing twice", async () => {
    const first = await list();
    assert.deepEqual(first.rest, { page: 1, pages: 3, found: agents, total: agents, clients: 0 });
    const all = [...first.ids, ...(await list("?page=2")).ids, ...(await list("?page=3")).ids];
    assert.deepEqual(
      all,
      Array.from({ length: agents }, (_, n) => name(n)),
    );
  });

  for (const [query, page] of [
    ["?page=0", 1],
    ["?page=-1", 1],
    ["?page=1e9", 1],
    ["?page=999999", 3],
    ["?page=x&page=2", 1],
  ] as const)
    test(`of /api/sessions: ${query} is page ${page}`, async () => {
      assert.equal((await list(query)).rest.page, page);
    });

  for (const [search, ids] of [
    ["job-11", Array.from({ length: 10 }, (_, n) => name(110 + n))],
    ["JOB-117 plan%209", ["job-117"]],
    ["job-117 nowhere", []],
  ] as const)
    test(`of /api/sessions: a search for ${search}`, async () => {
      assert.deepEqual((await list(`?q=${search}`)).ids, ids);
    });

  test("of /sessions, without JavaScript: links and a form that lead on", async () => {
    const get = async (path: string): Promise<string> => (await fetch(path)).text();
    const followed: string[] = [];
    let at = `${url}/sessions`;
    for (;;) {
      const html = await get(at);
      followed.push(
        ...[...html.matchAll(/<bdi id="[^"]*">(job-\d+)<\/bdi>/g)].map(([, id]) => String(id)),
      );
      const [, next] = /<a href="([^"]+)" rel="next"/.exec(html) ?? [];
      if (next === undefined) break;
      at = new URL(next.replaceAll("&amp;", "&"), at).href;
      assert.ok(at.startsWith(`${url}/sessions?`), at);
    }
    assert.equal(followed.length, agents);
    assert.equal(new Set(followed).size, agents);
    const html = await get(`${url}/sessions?q=job-0&page=2`);
    assert.match(html, /<form id="search" method="get" action="sessions">/);
    assert.match(html, /Page 2 of 2/);
    assert.match(html, /<a href="sessions\?q=job-0" rel="prev"/);
    const evil = await get(`${url}/sessions?q=${encodeURIComponent('"><img src=x>')}`);
    assert.ok(!evil.includes("<img"));
  });

  test("of the feed: a browser is sent what it shows, and told of nothing else", async () => {
    const stop = new AbortController();
    const feed = await fetch(`${url}/api/sessions/live?q=job-11`, { signal: stop.signal });
    const reader = feed.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = "";
    const reading = (async () => {
      for (;;) heard += (await reader?.read())?.value ?? "";
    })().catch(() => {});
    const events = () =>
      [...heard.matchAll(/data: (.*)\n\n/g)].map(([, text]) => JSON.parse(text ?? ""));
    const [whole] = await until("the page", () => (events().length > 0 ? events() : null));
    assert.deepEqual([whole.isWhole, whole.rows.length, whole.found], [true, 10, 10]);
    const told = events().length;
    const other = await register(world.relay.url, "other");
    const wanted = await register(world.relay.url, "job-11x");
    const news = await until("news", () =>
      events()
        .slice(told)
        .find(({ rows }) => rows.length > 0),
    );
    assert.deepEqual(
      news.rows.map(({ id }: { id: string }) => id),
      ["job-11x"],
    );
    for (const agent of [other, wanted]) agent.socket.close(1000);
    await until("it is gone", () => events().some(({ gone }) => gone.includes("job-11x")));
    stop.abort();
    await reading;
  });

  test("of the feed: searches have a bound of their own", async () => {
    const stop = new AbortController();
    const { signal } = stop;
    const ask = async (query: string) =>
      (await fetch(`${url}/api/sessions/live${query}`, { signal })).status;
    for (let n = 0; n < 5; n += 1) assert.equal(await ask(`?q=${n}`), 200);
    assert.equal(await ask("?q=6"), 503);
    assert.equal(await ask("?page=2"), 200);
    stop.abort();
  });

  test("of an agent with many clients some are listed, and the others counted", async () => {
    const clients = Array.from({ length: 30 }, () =>
      stranger(`${url}/client/job-005`, "converge.client.v1"),
    );
    await until("all knocked", () => world.relay.actor.getSnapshot().context.pairings.size === 30);
    const { agents } = await list("?q=job-005");
    assert.deepEqual([agents[0]?.clients.length, agents[0]?.moreClients], [20, 10]);
    assert.match(await (await fetch(`${url}/sessions?q=job-005`)).text(), /and 10 more/);
    for (const { socket } of clients) socket.terminate();
  });
});

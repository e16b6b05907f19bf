/** The page of live sessions in a real browser: what it tells, and how it stands under a crowd. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { inaccessible, openBrowser, openPage } from "../support/browser.ts";
import { handClock } from "../support/clock.ts";
import { openRelay } from "../support/relay.ts";
import { pages } from "../support/site.ts";
import { facts, register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");
let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

describe("live sessions", () => {
  let world: World;
  afterEach(() => world.close());

  test("an agent comes, a client joins, holds and leaves: the page tells each", async () => {
    // A busy machine cannot answer pings while five minutes are added in a moment.
    world = await meet(null, {}, handClock({ pings: false }));
    const { page, context, faults } = await openPage(browser);
    await page.goto(`${base(world)}/sessions`);
    await page.getByText("Nobody is here.").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    assert.deepEqual(await inaccessible(page), []);
    const row = page.locator("tbody tr");
    const see = (text: RegExp) => row.filter({ hasText: text }).waitFor();

    const agent = await world.startAgent({ id: "watched" });
    await see(/waiting/);
    assert.equal(await row.count(), 1);
    await see(/9m [45]\ds/); // the countdown, on the relay's clock
    const shell = world.terminal([], { agent });
    await shell.see("$ ");
    await see(/occupied/);
    await see(/127\.0\.0\.1 shell/);
    await see(/dev@laptop/);
    const ending = page.locator("time.soon");
    assert.equal(await ending.count(), 0);
    await world.clock.advance(305_000);
    await shell.see("[converge] The session ends in 5m without activity.");
    shell.type(" ");
    await shell.see("[converge] Extended: the session now ends in 10m");
    await see(/9m [45]\ds/);
    writeFileSync(join(agent.dir, ".hold"), "");
    await see(/held/);
    rmSync(join(agent.dir, ".hold"));
    await row.filter({ hasNotText: /held/ }).waitFor();
    shell.type("exit\r");
    await page.getByText("Nobody is here.").waitFor();
    assert.deepEqual(await faults(), []);
    await context.close();
  });

  test("the relay loses an agent: the page says so, and that it is back", async () => {
    world = await meet(null);
    const { page, context } = await openPage(browser);
    await page.goto(`${base(world)}/sessions`);
    const claim = { identity: newIdentity() };
    const status = { state: "waiting", leftMs: 600_000, held: true, clients: [] };
    const first = await register(world.relay.url, "wavering", claim);
    first.say({ type: "status", status });
    await page.locator(".state.held").waitFor();
    first.socket.terminate();
    await page.getByText("relay lost").waitFor();
    await register(world.relay.url, "wavering", claim);
    await page.locator(".state", { hasText: "waiting" }).waitFor();
    await context.close();
  });

  test("a thousand agents: a browser is sent a page, and what is searched is found", async () => {
    world = await meet(null, { contextPath: "/ci" });
    const agents: Awaited<ReturnType<typeof register>>[] = [];
    for (let i = 0; i < 1_000; i += 1)
      agents.push(await register(world.relay.url, `agent-${String(i).padStart(3, "0")}`));
    const { page, context, faults } = await openPage(browser);
    await page.goto(`${base(world)}/sessions?sort=id`);
    await page.getByText("1000 agents, 0 clients").waitFor();
    const row = page.locator("tbody tr");
    assert.equal(await row.count(), 50);
    const events = await page.evaluate(async () => {
      const source = new EventSource("api/sessions/live?sort=id");
      let n = -1; // the first one is the whole page
      source.onmessage = () => {
        n += 1;
      };
      await new Promise((done) => {
        source.onopen = done;
      });
      Object.assign(globalThis, { eventsSeen: () => n });
      return n;
    });
    assert.equal(events, -1);
    // Ten thousand reports in a burst, which a page hears of in a few batches.
    const began = world.clock.now();
    for (let round = 0; round < 10; round += 1)
      for (const agent of agents)
        agent.say({
          type: "status",
          status: { state: "held", leftMs: 600_000 + round * 1_000, held: true, clients: [] },
        });
    await until("every row is held", async () => (await row.getByText("held").count()) === 50);
    const seconds = (world.clock.now() - began) / 1_000;
    const seen = await page.evaluate(() =>
      (globalThis as unknown as { eventsSeen(): number }).eventsSeen(),
    );
    assert.ok(seen <= seconds + 2, `${seen} batches in ${seconds} s`);

    const ids = async (): Promise<(string | null)[]> => [
      await row.first().locator("th bdi").textContent(),
      await row.last().locator("th bdi").textContent(),
    ];
    assert.deepEqual(await ids(), ["agent-000", "agent-049"]);
    await page.getByRole("link", { name: "Next", exact: true }).click();
    await page.getByText("Page 2 of 20").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    assert.deepEqual(await ids(), ["agent-050", "agent-099"]);
    agents[50]?.socket.close(1000);
    await page.getByText("999 agents").waitFor();
    assert.deepEqual(await ids(), ["agent-051", "agent-100"]);
    await page.getByLabel("Search").fill("agent-77 HELD");
    await page.getByText("10 of 999 agents").waitFor();
    assert.equal(await row.count(), 10);
    assert.match(page.url(), /\/ci\/sessions\?q=agent-77\+HELD&sort=id$/);
    await page.reload();
    await page.getByText("10 of 999 agents").waitFor();
    assert.equal(await page.getByLabel("Search").inputValue(), "agent-77 HELD");
    assert.deepEqual(await faults(), []);
    for (const agent of agents) agent.socket.terminate();
    await context.close();
  });

  test("a row leads into its job, whatever is in its key; occupied and newest come first, or as asked", async () => {
    world = await meet(null, { contextPath: "/ci" });
    const fingerprint = `SHA256:${"+/".repeat(21)}A`;
    for (const id of ["b-oldest", "c", "a-newest"]) {
      await register(world.relay.url, id, { over: { facts: { ...facts, fingerprint } } });
      await world.clock.advance(2_000);
    }
    const { page, context, faults } = await openPage(browser, {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const ids = () => page.locator("tbody th bdi").allTextContents();
    await page.goto(`${base(world)}/sessions`);
    await page.getByText("Live", { exact: true }).waitFor();
    assert.deepEqual(await ids(), ["a-newest", "c", "b-oldest"]);
    stranger(`${base(world)}/client/b-oldest`, "converge.client.v1");
    await page.locator("tbody tr:first-child bdi", { hasText: "b-oldest" }).waitFor();
    assert.deepEqual(await ids(), ["b-oldest", "a-newest", "c"]);
    assert.match((await page.locator("#hours").textContent()) ?? "", /Agents: \d+ now, 3 at most/);
    await page.getByRole("button", { name: "Copy a-newest" }).click();
    await page.getByText("Copied").first().waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "a-newest");
    assert.equal(await page.locator("tbody code", { hasText: fingerprint }).count(), 3);
    await page.getByRole("link", { name: "id", exact: true }).click();
    await page.getByText("Live", { exact: true }).waitFor();
    assert.deepEqual(await ids(), ["a-newest", "b-oldest", "c"]);
    await page.getByRole("link", { name: "Join c" }).click();
    assert.equal(
      page.url(),
      `${base(world)}/usage?id=c&fingerprint=SHA256%3A${"%2B%2F".repeat(21)}A`,
    );
    assert.ok(
      (await page.locator("#ssh").textContent())?.includes(` --fingerprint ${fingerprint} `),
    );
    // Of one run, so it is not what the form shows the next time.
    assert.equal(JSON.stringify(await context.cookies()).includes("SHA256"), false);
    assert.deepEqual(await faults(), []);
    await context.close();
  });

  for (const width of [320, 390, 768, 1440])
    test(`nothing moves while the page becomes live, at ${width} px`, async () => {
      world = await meet({ id: "stands-still" });
      const shell = world.terminal([]);
      await shell.see("$ ");
      const { page, context } = await openPage(browser, { viewport: { width, height: 844 } });
      await page.addInitScript(() => {
        let moved = 0;
        Object.assign(globalThis, { movedSoFar: () => moved });
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries())
            moved += (entry as unknown as { value: number }).value;
        }).observe({ type: "layout-shift", buffered: true });
      });
      for (const path of pages) {
        await page.goto(`${base(world)}/${path}`);
        await page.waitForSelector("html.js");
        if (path === "sessions") {
          await page.getByText("Live", { exact: true }).waitFor();
          await page.getByText("dev@laptop").waitFor();
        }
        await page.evaluate(
          () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
        );
        const moved = await page.evaluate(() =>
          (globalThis as unknown as { movedSoFar(): number }).movedSoFar(),
        );
        assert.ok(moved < 0.05, `/${path}: ${moved}`);
        const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.equal(isWide, false, `/${path} scrolls sideways`);
      }
      shell.type("exit\r");
      await context.close();
    });

  test("the relay restarts under an open page, which says so and comes back", async () => {
    world = await meet(null);
    const { page, context } = await openPage(browser);
    await page.goto(`${base(world)}/sessions`);
    await page.getByText("Live", { exact: true }).waitFor();
    const port = Number(world.relay.url.port);
    await world.relay.close();
    await page.getByText("The relay is not answering. Trying again …").waitFor();
    world.relay = await openRelay(world.clock, { port });
    await page.getByText("Live", { exact: true }).waitFor();
    await context.close();
  });

  test("a host name that is markup stays text", async () => {
    world = await meet(null);
    const host = `<img src=x onerror="document.title='gone'">\x1b[31m\u202e`;
    await register(world.relay.url, "evil", { over: { facts: { ...facts, host } } });
    const { page, context, faults } = await openPage(browser);
    await page.goto(`${base(world)}/sessions`);
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByText(`<img src=x onerror="document.title='gone'">[31m`).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
    assert.match(await page.title(), /Sessions/);
    assert.deepEqual(await faults(), []);
    await context.close();
  });
});

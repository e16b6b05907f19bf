/** The relay's pages in a real browser: looks, accessibility, policy, weight, and live sessions. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { brotliCompressSync, gunzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { guideNames } from "../../web/guides.tsx";
import { inaccessible, openBrowser, openPage, picture, sizes } from "../support/browser.ts";
import { handClock } from "../support/clock.ts";
import { openRelay } from "../support/relay.ts";
import { facts, register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");
const guides = ["guides", ...guideNames.map((name) => `guides/${name}`)];
const pages = ["", "usage", "sessions", "downloads", "faq", ...guides];
/** Of these the guides to single CI systems stand for each other. */
const lookedAt = [
  "",
  "usage",
  "sessions",
  "downloads",
  "faq",
  "guides",
  "guides/github",
  "guides/relay",
  "guides/security",
  "nothing/here",
];

let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

describe("every page", () => {
  let world: World;
  before(async () => {
    world = await meet({ id: "looked-at" }, { contextPath: "/ci" });
  });
  after(() => world.close());

  for (const path of lookedAt)
    for (const colorScheme of ["light", "dark"] as const)
      for (const size of ["phone", "desktop"] as const)
        test(`/${path} in ${colorScheme} on a ${size}`, async () => {
          const watched = await openPage(browser, { colorScheme, viewport: sizes[size] });
          const { page } = watched;
          await page.goto(`${base(world)}/${path}`);
          if (path !== "nothing/here") await page.waitForSelector("html.js");
          if (path === "sessions") await page.locator("bdi", { hasText: "looked-at" }).waitFor();
          const isWide = await page.evaluate(
            () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
          );
          assert.equal(isWide, false, "the page scrolls sideways");
          assert.deepEqual(await inaccessible(page), []);
          assert.deepEqual(await watched.faults(), []);
          await picture(page, `${path.replace("/", "-") || "about"}-${colorScheme}-${size}`);
          await watched.context.close();
        });

  test("headers keep others out, assets are kept for ever and come compressed", async () => {
    const got = await fetch(`${base(world)}/`, { headers: { "accept-encoding": "br" } });
    const header = (name: string) => got.headers.get(name);
    assert.equal(
      header("content-security-policy"),
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    );
    assert.deepEqual(
      ["referrer-policy", "x-content-type-options", "content-encoding", "cache-control"].map(
        header,
      ),
      ["no-referrer", "nosniff", "br", "no-cache"],
    );
    const html = await got.text();
    assert.doesNotMatch(html, /<script(?![^>]+src=)|<style|\sstyle=|\son\w+=/);
    for (const [, file = ""] of html.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)) {
      const asset = await fetch(`${base(world)}/${file}`, { headers: { "accept-encoding": "br" } });
      assert.equal(asset.status, 200, file);
      assert.equal(asset.headers.get("content-encoding"), "br", file);
      if (!file.endsWith("icon.svg"))
        assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
    }
    assert.equal((await fetch(`${base(world)}/assets/manifest.json`)).status, 404);
    const bare = await fetch(base(world), { redirect: "manual" });
    assert.deepEqual([bare.status, bare.headers.get("location")], [302, "/ci/"]);
  });

  for (const path of pages)
    test(`/${path} weighs at most 15 KB of script, 5 KB of style and 40 KB in all, in 8 requests`, async () => {
      const html = await (await fetch(`${base(world)}/${path}`)).text();
      const files = [...html.matchAll(/(?:src|href)="((?:\.\.\/)*assets\/[^"]+)"/g)];
      assert.ok(files.length + 2 <= 8, "with the page itself and the live feed");
      const all =
        brotliCompressSync(html).length +
        files.reduce(
          (sum, [, file = ""]) =>
            sum + readFileSync(join("dist", `${file.replaceAll("../", "")}.br`)).length,
          0,
        );
      assert.ok(all <= 40_000, `${all} bytes`);
      const weight = { js: 0, css: 0 };
      for (const [, file = "", kind = ""] of html.matchAll(
        /"(?:\.\.\/)*(assets\/[^"]+\.(js|css))"/g,
      )) {
        const bytes = readFileSync(join("dist", `${file}.gz`));
        assert.ok(gunzipSync(bytes).length > 0);
        weight[kind as "js" | "css"] += bytes.length;
      }
      assert.ok(weight.js > 0 && weight.js <= 15_000, `${weight.js} bytes of script`);
      assert.ok(weight.css > 0 && weight.css <= 5_000, `${weight.css} bytes of style`);
    });
});

describe("what there is not, and what one may not", () => {
  let world: World;
  before(async () => {
    world = await meet(null, {
      contextPath: "/ci",
      publicUrl: new URL("https://relay.example/ci"),
    });
  });
  after(() => world.close());
  const ask = (path: string, accept: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; type: string; body: string }>((done) => {
      const { port } = world.relay.url;
      const host = "relay.example";
      request({ port, path, headers: { host, accept, ...headers } }, (answer) => {
        let body = "";
        answer.on("data", (data) => {
          body += data;
        });
        const type = String(answer.headers["content-type"]);
        answer.on("end", () => done({ status: answer.statusCode ?? 0, type, body }));
      }).end();
    });
  const html = "text/html,application/xhtml+xml,*/*;q=0.8";

  for (const [what, path, status, sentence, headers] of [
    ["a path that is not there", "/ci/nothing", 404, "There is nothing at this path.", {}],
    ["a path beside the relay's", "/other/x", 404, "There is nothing at this path.", {}],
    ["a file that is not there", "/ci/static/gone", 404, "There is nothing at this path.", {}],
    ["a name that is not the relay's", "/ci/faq", 421, "relay.example", { host: "evil.example" }],
    [
      "a page of another site",
      "/ci/faq",
      403,
      "Pages of other sites may not ask here.",
      { origin: "https://evil.example" },
    ],
  ] as const)
    test(`${what}: a page for people, JSON for programs`, async () => {
      const page = await ask(path, html, headers);
      assert.deepEqual([page.status, page.type], [status, "text/html; charset=utf-8"]);
      assert.ok(page.body.startsWith("<!doctype html>") && page.body.includes(sentence), page.body);
      const json = await ask(path, "*/*", headers);
      assert.deepEqual([json.status, json.type], [status, "application/json; charset=utf-8"]);
      assert.ok(JSON.parse(json.body).error.includes(sentence), json.body);
    });

  for (const [path, style] of [
    ["/ci/a", "assets/"],
    ["/ci/a/b?c=/d", "../assets/"],
    ["/a", "ci/assets/"],
    ["/a/b", "../ci/assets/"],
  ] as const)
    test(`the page at ${path} finds its style`, async () => {
      const { body } = await ask(path, html);
      assert.match(body, new RegExp(`<link rel="stylesheet" href="${style}style`));
    });
});

test("each page has a title, a description and a picture of its own", async () => {
  const world = await meet(null);
  const seen = new Set<string>();
  for (const path of pages) {
    const html = await (await fetch(`${base(world)}/${path}`)).text();
    const of = (pattern: RegExp): string => pattern.exec(html)?.[1] ?? "";
    const title = of(/<title>([^<]+)</);
    const description = of(/<meta name="description" content="([^"]+)"/);
    assert.ok(title.length <= 70 && description.length >= 30 && description.length <= 160, path);
    for (const text of [title, description]) assert.ok(!seen.has(text), text);
    seen.add(title).add(description);
    const picture = of(/<meta property="og:image" content="([^"]+)"/);
    const got = await fetch(picture);
    assert.deepEqual([got.status, got.headers.get("content-type")], [200, "image/png"]);
    for (const [, to = ""] of html.matchAll(/<a [^>]*href="([^"#:]+)(?:#[^"]*)?"/g)) {
      const { status } = await fetch(
        new URL(to.replaceAll("&amp;", "&"), `${base(world)}/${path}`),
        { method: "HEAD" },
      );
      assert.equal(status, 200, `/${path} links to ${to}`);
    }
  }
  await world.close();
});

test("downloads tell what each file is, its size and hash, and how to fetch it", async () => {
  const world = await meet(null);
  const { page, context, faults } = await openPage(browser);
  await page.goto(`${base(world)}/downloads`);
  const sums = await (await fetch(`${base(world)}/static/SHA256SUMS`)).text();
  const row = page.locator("tbody tr");
  for (const name of ["agent", "agent.cjs", "agent-linux-x64", "wsproxy.cjs"]) {
    const shown = row.filter({ has: page.getByRole("link", { name, exact: true }) });
    const [, sha256 = "none"] = new RegExp(`^(\\w+) {2}${name}$`, "m").exec(sums) ?? [];
    assert.ok((await shown.textContent())?.includes(sha256), name);
  }
  await page.getByText("short for agent-linux-x64").first().waitFor();
  assert.equal(
    await page.locator("#wsproxy-line").textContent(),
    `curl -fsSL ${base(world)}/wsproxy.sh | sh`,
  );
  assert.deepEqual(await faults(), []);
  await context.close();
  await world.close();
});

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

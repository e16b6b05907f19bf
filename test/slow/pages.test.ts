/** The relay's pages in a real browser: looks, accessibility, policy and weight. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync, gunzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { inaccessible, openBrowser, openPage, picture, sizes } from "../support/browser.ts";
import { pages } from "../support/site.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");
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

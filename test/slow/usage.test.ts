/** The usage page's form in a real browser: live, remembered, shared, and without JavaScript. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { inaccessible, openBrowser, openPage } from "../support/browser.ts";
import { nginx } from "../support/nginx.ts";
import { meet, type World } from "../support/world.ts";

let browser: Browser;
let world: World;
let base: string;
before(async () => {
  browser = await openBrowser();
  world = await meet(null, { contextPath: "/ci" });
  base = world.relay.url.href;
});
after(async () => {
  await browser.close();
  await world.close();
});

// biome-ignore lint/performance/useDomNodeTextContent: what a person sees and copies
const code = (page: Page, id: string) => page.locator(`#${id}`).innerText();
const go = (page: Page, name: string) =>
  page.getByRole("navigation").getByRole("link", { name }).click();

describe("the form", () => {
  test("makes the commands anew at every change, and copies them whole", async () => {
    const { page, context, faults } = await openPage(browser, {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await page.goto(`${base}/usage`);
    await page.waitForSelector("html.js");
    assert.equal(await page.locator("#submit").isVisible(), false);
    await page.getByLabel("CI system").selectOption("GitLab CI");
    assert.match(await code(page, "job"), /^my-job:\n/);
    await page.getByLabel("This one").check();
    await page.getByLabel("Id", { exact: true }).fill("my id");
    await page.getByText("An id is 1 to 128 of A-Z").waitFor();
    const id = page.getByRole("textbox", { name: "Id", description: /^An id is 1 to 128/ });
    assert.equal(await id.getAttribute("aria-invalid"), "true");
    await page.getByRole("alert").getByRole("link", { name: "Id", exact: true }).click();
    assert.equal(new URL(page.url()).hash, "#id");
    assert.deepEqual(await inaccessible(page), []);
    await page.getByLabel("Id", { exact: true }).fill("my-id");
    await page.getByLabel("A URL").check();
    await page.getByLabel("URL of public keys").fill("https://x.example/it's.keys");
    await page.getByText("Time-outs, shells").click();
    await page.getByLabel("End after so long without activity").fill("1h");
    assert.equal(
      await code(page, "job"),
      `my-job:
  variables:
    RUNNER_AFTER_SCRIPT_TIMEOUT: 55m
  after_script:
    - |
      [ "$CI_JOB_STATUS" = failed ] || exit 0
      { curl -fsSL ${base}/agent.sh ||
        wget -qO- ${base}/agent.sh ||
        echo exit 3; } |
        sh -s -- \\
          --id my-id \\
          --authorized-keys-url 'https://x.example/it'\\''s.keys' \\
          --timeout 1h
`,
    );
    await page.getByRole("button", { name: "Copy ssh", exact: true }).click();
    await page.getByText("Copied").first().waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(
      copied,
      `ssh '-oProxyCommand=wsproxy ${base}/client/my-id' -oUserKnownHostsFile=/dev/null -oStrictHostKeyChecking=accept-new -oLogLevel=ERROR -oServerAliveInterval=0 job@my-id\n`,
    );
    await page.getByRole("button", { name: "Another random one" }).click();
    assert.match(await code(page, "ssh"), /job@[a-z0-9]{4}(?:-[a-z0-9]{4}){3}/);
    assert.deepEqual(await inaccessible(page), []);
    assert.deepEqual(await faults(), []);
    await context.close();
  });

  test("is remembered in a cookie and shared by its link", async () => {
    const first = await openPage(browser);
    await first.page.goto(`${base}/usage`);
    await first.page.waitForSelector("html.js");
    await first.page.getByLabel("CI system").selectOption("Jenkins");
    await first.page.getByText("Time-outs, shells").click();
    await first.page.getByLabel("Shells to try first").fill("zsh,ü'");
    const want = await code(first.page, "job");
    const link = await code(first.page, "link");
    assert.equal(first.page.url(), link);
    await first.page.goto(`${base}/faq`);
    await go(first.page, "Usage");
    assert.equal(await code(first.page, "job"), want);
    const second = await openPage(browser);
    await second.page.goto(link);
    assert.equal(await code(second.page, "job"), want);
    // A stranger's link must not fill in the form for a year.
    await second.page.goto(`${base}/usage`);
    assert.match(await code(second.page, "job"), /^- name: Converge\n/);
    // An id of one's own is kept, or the job and ssh would come to have two.
    await second.page.getByLabel("This one").check();
    const id = await second.page.getByLabel("Id", { exact: true }).inputValue();
    assert.match(id, /^[a-z0-9-]{19}$/);
    await second.page.goto(`${base}/usage`);
    assert.equal(await second.page.getByLabel("Id", { exact: true }).inputValue(), id);
    await second.page.getByLabel("CI system").selectOption("Jenkins");
    await second.page.getByRole("link", { name: "forget them" }).click();
    await second.page.goto(`${base}/usage`);
    assert.match(await code(second.page, "job"), /^- name: Converge\n/);
    const asked = await fetch(
      `${base}/usage?keys=text&keyText=-----BEGIN+OPENSSH+PRIVATE+KEY-----`,
      {
        headers: { "sec-fetch-site": "same-origin" },
      },
    );
    assert.deepEqual(
      [asked.headers.get("set-cookie"), (await asked.text()).includes("PRIVATE")],
      [null, false],
    );
    for (const { context } of [first, second]) await context.close();
  });

  test("works without JavaScript, and the relay remembers for it", async () => {
    const { page, context, faults } = await openPage(browser, { javaScriptEnabled: false });
    await page.goto(`${base}/usage`);
    assert.equal(await page.getByRole("button", { name: /Copy/ }).count(), 0);
    await page.getByLabel("CI system").selectOption("CircleCI");
    await page.getByLabel("This one").check();
    await page.getByLabel("Id", { exact: true }).fill("no-js");
    await page.getByLabel("These keys").check();
    await page.locator("#keyText").fill(`${world.publicKey}\n`);
    await page.getByRole("button", { name: "Make the commands" }).click();
    const job = await code(page, "job");
    assert.match(job, /^- run:\n[\s\S]*--id no-js/);
    assert.ok(job.includes(`printf '%s\\n' '${world.publicKey}' > .authorized_keys`), job);
    await page.goto(`${base}/usage`);
    assert.equal(await code(page, "job"), job);
    assert.deepEqual(await faults(), []);
    await context.close();
  });

  test("a private key is pasted: it is said, and nothing of it leaves the page", async () => {
    const { page, context } = await openPage(browser);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`${base}/usage`);
    await page.waitForSelector("html.js");
    await page.getByLabel("These keys").check();
    await page.locator("#keyText").fill("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r");
    await page.getByText("That is a PRIVATE key.").waitFor();
    const cookies = JSON.stringify(await context.cookies());
    for (const text of [page.url(), cookies, ...asked, await code(page, "job")])
      assert.doesNotMatch(decodeURIComponent(text), /PRIVATE|b3Blb/);
    await context.close();
  });

  test("a Windows browser starts with commands for PowerShell", async () => {
    const { page, context } = await openPage(browser, {
      userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/150.0",
    });
    await page.goto(`${base}/usage`);
    await page.locator("#ssh", { hasText: "UserKnownHostsFile=NUL" }).waitFor();
    await context.close();
  });
});

test("the link of a job's log opens with the way into that job, on a phone above the form", async () => {
  const fingerprint = `SHA256:${"a/b+".repeat(10)}abc`;
  const link = `${base}/usage?${new URLSearchParams({ id: "gh-17-1", fingerprint })}`;
  for (const javaScriptEnabled of [true, false]) {
    const { page, context, faults } = await openPage(browser, {
      javaScriptEnabled,
      viewport: { width: 390, height: 844 },
    });
    await page.goto(link);
    assert.match(
      await code(page, "ssh"),
      new RegExp(`--fingerprint \\S{7}${"a/b\\+".repeat(10)}abc .*/client/gh-17-1'`),
    );
    const top = async (selector: string) => (await page.locator(selector).boundingBox())?.y ?? -1;
    const [install, ssh, form] = [await top("#install"), await top("#ssh"), await top("#choices")];
    assert.ok(install > 0 && install < ssh && ssh < 844 && ssh < form, `${install} ${ssh} ${form}`);
    assert.equal(await page.locator("#job").isVisible(), false);
    if (javaScriptEnabled) assert.deepEqual(await inaccessible(page), []);
    await page.getByText("Put it into another job").click();
    assert.equal(await page.locator("#job").isVisible(), true);
    assert.deepEqual(await faults(), []);
    // Of one run: the next visit is none of its business.
    await page.goto(`${base}/usage`);
    assert.equal(await page.getByLabel("Host key fingerprint").inputValue(), "");
    assert.equal(await page.locator("#job").isVisible(), true);
    await context.close();
  }
});

test("a closed relay's page brings the token into each CI's lines, live and without a link to sessions", async () => {
  const folder = mkdtempSync(join(tmpdir(), "converge-policy-"));
  writeFileSync(join(folder, "agents.token"), "0123456789abcdef0123");
  const policy = join(folder, "policy.json");
  writeFileSync(
    policy,
    JSON.stringify({ register: [{ tokenFile: "agents.token" }], sessions: "off" }),
  );
  const closed = await meet(null, { policy });
  const { page, context, faults } = await openPage(browser);
  try {
    const at = closed.relay.url.href.replace(/\/$/, "");
    await page.goto(`${at}/usage`);
    await page.waitForSelector("html.js");
    // biome-ignore lint/suspicious/noTemplateCurlyInString: GitHub's own
    const secret = "${{ secrets.CONVERGE_REGISTER_TOKEN }}";
    assert.ok((await code(page, "job")).includes(secret));
    await page.getByLabel("CI system").selectOption("Jenkins");
    await page.getByText("secret text").waitFor();
    assert.match(await code(page, "job"), /withCredentials/);
    assert.deepEqual(await inaccessible(page), []);
    for (const path of ["", "usage", "downloads", "faq"]) {
      const html = await (await fetch(`${at}/${path}`)).text();
      assert.doesNotMatch(
        html,
        /href="[^"]*sessions|sessions page|public list|shown to everybody/i,
        path,
      );
    }
    assert.deepEqual(await faults(), []);
  } finally {
    await context.close();
    await closed.close();
    rmSync(folder, { recursive: true });
  }
});

test("a hostile link shows text and nothing else", async () => {
  const { page, context, faults } = await openPage(browser);
  const bad = `<img src=x onerror="document.title='gone'"></pre><script>document.title='gone'</script>`;
  await page.goto(
    `${base}/usage?${new URLSearchParams({ id: bad, shells: bad, keyText: bad, keyUrl: `https://x/${bad}`, keys: "url", ci: bad })}`,
  );
  await page.waitForSelector("html.js");
  await page.locator("#job", { hasText: "img src=x onerror" }).waitFor();
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.match(await page.title(), /Usage/);
  assert.deepEqual(await faults(), []);
  await context.close();
});

describe("behind nginx, under a path, as a relay that trusts it", () => {
  test("pages, form, cookie and live sessions work, and commands name the proxy", async () => {
    const behind = await meet(null, { contextPath: "/tools/ci", trustProxy: ["127.0.0.1"] });
    const proxy = await nginx("/tools/ci/", behind.relay.url);
    const { page, context, faults } = await openPage(browser);
    const at = proxy.url.href.replace(/\/$/, "");
    try {
      for (const path of ["", "usage", "sessions", "downloads", "faq"]) {
        await page.goto(`${at}/${path}`);
        await page.waitForSelector("html.js");
      }
      await go(page, "Usage");
      await page.getByLabel("This one").check();
      await page.getByLabel("Id", { exact: true }).fill("through-nginx");
      assert.match(await code(page, "job"), new RegExp(`curl -fsSL ${at}/agent\\.sh `));
      assert.match(await code(page, "ssh"), new RegExp(`wsproxy ${at}/client/through-nginx'`));
      await go(page, "Sessions");
      await page.getByText("Live", { exact: true }).waitFor();
      const agent = await behind.startAgent({ id: "through-nginx" });
      await page.locator("bdi", { hasText: "through-nginx" }).waitFor();
      agent.stop();
      await page.getByText("Nobody is here.").waitFor();
      await go(page, "Usage");
      assert.match(await code(page, "ssh"), /through-nginx/);
      assert.deepEqual(await faults(), []);
    } finally {
      await context.close();
      await behind.close();
      await proxy.close();
    }
  });
});

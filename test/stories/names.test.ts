/**
 * Names: under which host names a relay that was told its own answers what, so that nobody's page
 * reads it by pointing a name of its own at it.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { hostName } from "../../cli/flags.ts";
import { handClock } from "../support/clock.ts";
import { register, type Stranger, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly vary: string;
}

const ask = (world: World, path: string, headers: Record<string, string>): Promise<Answer> =>
  new Promise((done, fail) => {
    const { hostname, port } = world.relay.url;
    const asked = request({ hostname, port, path, headers }, (answer) => {
      let body = "";
      answer.on("data", (data) => {
        body += data;
      });
      const { statusCode: status = 0, headers: got } = answer;
      answer.on("end", () => done({ status, body, vary: String(got.vary ?? "") }));
    });
    asked.on("error", fail);
    asked.end();
  });

/** The status of an upgrade, 101 for one that became a websocket. */
async function upgrade(world: World, path: string, headers: Record<string, string>) {
  const link: Stranger = stranger(`${world.relay.url.origin}${path}`, null, { headers });
  const status = await until("an answer", () => link.refusal()?.status ?? (link.isOpen() && 101));
  link.socket.terminate();
  return status;
}

const pages = [
  ...["/", "/usage", "/sessions", "/faq", "/api/sessions", "/nothing", "/agent.sh"],
  ...["/static/wsproxy.cjs", "/static/SHA256SUMS"],
];
const probes = ["/healthz", "/readyz", "/metrics"];

describe("a relay that was told its name", () => {
  let world: World;
  before(async () => {
    const publicUrl = new URL("https://relay.example.com");
    const alsoHosts = ["relay.internal", "[::1]"];
    const origin = { publicUrl, alsoHosts, trustProxy: ["loopback"] };
    world = await meet(null, origin, handClock({ pings: false }));
    await register(world.relay.url, "there");
  });
  after(() => world.close());

  test("pages, lists and downloads go by its names only, whatever the port", async () => {
    for (const path of pages) {
      const wanted = path === "/nothing" ? 404 : 200;
      for (const [host, status] of [
        ["relay.example.com", wanted],
        ["RELAY.example.com:8443", wanted],
        ["relay.internal", wanted],
        ["[::1]:8000", wanted],
        ["evil.example", 421],
        ["relay.example.com.evil.example", 421],
        ["127.0.0.1", 421],
        ["relay.example.com@evil.example", 421],
        ["", 421],
      ] as const)
        assert.equal((await ask(world, path, { host })).status, status, `${path} of ${host}`);
    }
    const { body, vary } = await ask(world, "/api/sessions", { host: "evil.example:81" });
    assert.deepEqual(JSON.parse(body), {
      error:
        "This relay is relay.example.com, and not evil.example:81: use that name, or start the relay with --also-host evil.example too.",
    });
    assert.equal(vary, "host, x-forwarded-host, x-forwarded-proto, origin");
    const { fields } = world.relay.log.lines.at(-1) ?? {};
    assert.deepEqual([fields?.["reason"], fields?.["status"]], ["host", 421]);
  });

  test("probes go by any name, unless a page asks", async () => {
    for (const path of probes) {
      assert.equal((await ask(world, path, { host: "10.1.2.3:8000" })).status, 200, path);
      const headers = { host: "evil.example", origin: "http://evil.example" };
      assert.equal((await ask(world, path, headers)).status, 421, path);
    }
  });

  for (const [what, headers, status] of [
    ["a program, by any name", { host: "10.1.2.3:8000" }, 101],
    ["a page of ours", { host: "relay.example.com", origin: "https://relay.example.com" }, 101],
    [
      "a page of ours under another name of ours",
      { host: "relay.internal:8000", origin: "http://relay.internal:8000" },
      101,
    ],
    ["a page under its own name", { host: "evil.example", origin: "http://evil.example" }, 421],
    ["a page of theirs", { host: "relay.example.com", origin: "http://evil.example" }, 403],
    ["a page of another port", { host: "relay.internal", origin: "http://relay.internal:81" }, 403],
    ["a page of nowhere", { host: "relay.example.com", origin: "null" }, 403],
    [
      "a page that says it is ours under another name",
      { host: "evil.example", origin: "https://relay.example.com" },
      421,
    ],
  ] as const)
    test(`websockets: ${what} gets ${status}`, async () => {
      assert.equal(await upgrade(world, "/client/there", headers), status);
    });

  for (const [forwarded, status] of [
    ["relay.example.com", 200],
    ["evil.example, relay.example.com", 200],
    ["relay.example.com, evil.example", 421],
  ] as const)
    test(`a proxy's X-Forwarded-Host: ${forwarded} gets ${status}`, async () => {
      const headers = { host: "upstream", "x-forwarded-host": forwarded };
      assert.equal((await ask(world, "/faq", headers)).status, status);
    });
});

test("a relay that was told no name goes by the nearest proxy's word, and says on what that depends", async () => {
  const world = await meet(null, { trustProxy: ["loopback"] }, handClock({ pings: false }));
  for (const path of ["/agent.sh", "/usage"]) {
    const { status, body, vary } = await ask(world, path, {
      host: "upstream",
      "x-forwarded-host": "evil.example, good.example",
      "x-forwarded-proto": "http, https",
    });
    assert.equal(status, 200);
    assert.ok(body.includes("https://good.example"), path);
    assert.ok(!body.includes("evil.example"), path);
    assert.ok(vary.startsWith("host, x-forwarded-host, x-forwarded-proto, origin"), vary);
  }
  assert.equal((await ask(world, "/api/sessions", { host: "whoever.example" })).status, 200);
  await world.close();
});

test("--also-host takes names and addresses", () => {
  for (const [text, name] of [
    ["Relay.Internal", "relay.internal"],
    ["10.0.0.5", "10.0.0.5"],
    ["::1", "[::1]"],
    ["[2001:DB8::1]", "[2001:db8::1]"],
  ] as const)
    assert.equal(hostName(text), name);
  for (const text of ["relay:80", "https://relay", "a b", "*", "[::1]:80", "a/b", "1.2.3.4.5"])
    assert.throws(() => hostName(text), /Write a host name or an address/, text);
});

/** wsproxy behind an HTTP proxy: the variables that name one, its CONNECT, and its refusals. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder } from "../support/child.ts";
import { ours } from "../support/programs.ts";
import { openRelay } from "../support/relay.ts";
import { sshWith } from "../support/ssh-through.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

let world: World;
before(async () => {
  world = await meet(null);
});
afterEach(endPrograms);
after(() => world.close());

describe("through an HTTP proxy", () => {
  let proxy: Server;
  let asked: string[];
  let answer: string | null;
  before(async () => {
    proxy = createHttpServer((_request, response) => response.writeHead(405).end());
    proxy.on("connect", (request, near: Socket) => {
      asked.push(request.url ?? "");
      near.on("error", () => {});
      if (answer !== null) {
        near.end(`HTTP/1.1 ${answer}\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      const [host = "", port = ""] = (request.url ?? "").split(":");
      const far: Socket = connect(Number(port), host, () => {
        near.write("HTTP/1.1 200 Connection established\r\n\r\n");
        near.pipe(far).pipe(near);
      });
      far.on("error", () => near.destroy());
      near.on("close", () => far.destroy());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
  });
  after(() => proxy.close());

  const through = (how: { answer?: string; env?: (url: string) => Record<string, string> }) => {
    asked = [];
    answer = how.answer ?? null;
    const url = `http://127.0.0.1:${portOf(proxy)}`;
    return (how.env ?? ((address) => ({ HTTP_PROXY: address })))(url);
  };

  for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    test(`${name} is used, by CONNECT`, async () => {
      const agent = await world.startAgent();
      const env = through({ env: (url) => ({ [name]: url }) });
      const said = await finished(sshWith(world, agent, { env }));
      assert.deepEqual([said.status, said.out], [0, "in\n"], said.err);
      assert.deepEqual(asked, [world.relay.url.host]);
    });

  test("NO_PROXY is honoured, and HTTPS_PROXY is not for http", async () => {
    for (const more of [{ NO_PROXY: "127.0.0.1" }, { NO_PROXY: "*" }] as const) {
      const agent = await world.startAgent();
      const env = through({ env: (url) => ({ HTTP_PROXY: url, ...more }) });
      const said = await finished(sshWith(world, agent, { env }));
      assert.deepEqual([said.status, asked], [0, []], said.err);
    }
    const agent = await world.startAgent();
    const said = await finished(
      sshWith(world, agent, { env: through({ env: (url) => ({ HTTPS_PROXY: url }) }) }),
    );
    assert.deepEqual([said.status, asked], [0, []], said.err);
  });

  test("HTTPS_PROXY leads to a relay with TLS, whose certificate is still checked", async () => {
    const authority = certificates(folder());
    const relay = await openRelay(world.clock, { tls: authority.issue("relay", "IP:127.0.0.1") });
    const env = through({ env: (url) => ({ HTTPS_PROXY: url }) });
    for (const [trust, status, sentence] of [
      [["--ca", authority.ca], 7, /^converge: No agent is registered as x\./],
      [["--insecure"], 7, /^converge: No agent is registered as x\./],
      [[], 4, /^converge: The relay's TLS certificate was not accepted: its authority is not/],
    ] as const) {
      asked = [];
      const said = await finished(
        ours("wsproxy", [...trust, `${relay.url.origin}/client/x`], { input: "open", env }),
      );
      // Twice where the first try was told of an authority that Node does not know.
      assert.deepEqual([said.status, [...new Set(asked)]], [status, [relay.url.host]], said.err);
      assert.match(said.err, sentence);
    }
    await relay.close();
  });

  test("a proxy that refuses, that wants a password, or that is not there: a sentence each", async () => {
    const settings = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.\n";
    for (const [how, sentence] of [
      [{ answer: "403 Forbidden" }, `converge: The proxy refused: 403 Forbidden. ${settings}`],
      [
        { answer: "407 Proxy Authentication Required" },
        `converge: The proxy refused: it wants a user and a password. ${settings}`,
      ],
      [
        { answer: "502 Bad Gateway" },
        `converge: The relay ${world.relay.url.host} (the proxy answered 502 Bad Gateway) cannot be reached. Check the URL, the network and the proxy settings.\n`,
      ],
      [
        { env: () => ({ HTTP_PROXY: "socks5://127.0.0.1:1" }) },
        `converge: The proxy refused: only http:// and https:// proxies can be used. ${settings}`,
      ],
    ] as const) {
      const env = through(how);
      const said = await finished(
        ours("wsproxy", [`${base(world)}/client/x`], { input: "open", env }),
      );
      assert.deepEqual([said.status, said.err], [3, sentence]);
    }
    const said = await finished(
      ours("wsproxy", [`${base(world)}/client/x`], {
        input: "open",
        env: { HTTP_PROXY: "http://127.0.0.1:9" },
      }),
    );
    assert.equal(said.status, 3);
    assert.match(said.err, /cannot be reached\. .*proxy settings\.\n$/);
  });
});

/** wsproxy doctor: what it finds on good and bad ways, at an agent, and of ssh's keys. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { WebSocketServer } from "ws";
import { version } from "../../src/io/version.ts";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { freePort } from "../support/ports.ts";
import {
  agentProgram,
  jobFolder,
  ours,
  type RelayProgram,
  relayProgram,
} from "../support/programs.ts";

const [sshRelease = ""] = spawnSync("ssh", ["-V"], { encoding: "utf8" }).stderr.split(",");

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram(["--context-path", "/ci"]);
});
after(endPrograms);

/** The doctor's lines, without what differs from run to run. */
async function doctor(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ status: number | null; lines: string[] }> {
  const { status, out, err } = await finished(ours("wsproxy", ["doctor", ...args], { env }));
  assert.equal(err, "");
  const lines = out
    .trim()
    .split("\n")
    .map((line) => line.trim().replace(/\s{2,}/g, " "));
  return { status, lines };
}

describe("doctor", () => {
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) server.close();
  });
  /** A server that is no relay of ours, and that answers /healthz as it is told. */
  async function other(status: number, headers: Record<string, string> = {}): Promise<Server> {
    const server = createServer((_request, response) => {
      response.writeHead(status, headers).end("{}");
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    servers.push(server);
    return server;
  }
  const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  /** What it finds of a machine on which wsproxy was not installed. */
  const machine = (url: string) => [
    `ok release ${version} on both sides`,
    "warn PATH wsproxy is not on it, and the job's command calls it by that name",
    `Get it: curl -fsSL ${url}/wsproxy.sh | sh`,
    `ok ssh ${sshRelease}`,
  ];
  const start = (url: string) => [`ok URL ${url}/`, "ok proxy none, directly"];

  test("finds nothing wrong with a relay that works", async () => {
    assert.deepEqual(await doctor([`${relay.url}/ci`]), {
      status: 0,
      lines: [
        ...start(`${relay.url}/ci`),
        "ok DNS 127.0.0.1 is 127.0.0.1",
        `ok relay a relay answers at ${relay.url}/ci/`,
        "ok clock within two minutes of the relay's",
        "ok websocket upgrades come through",
        "ok version protocol version 1 on both sides",
        ...machine(`${relay.url}/ci`),
      ],
    });
  });

  test("an agent, and which keys it knows, without a login", async () => {
    const agent = await agentProgram(`${relay.url}/ci`, ["--id", "looked-at"]);
    const home = folder();
    const keychain = program("ssh-agent", ["-D", "-a", join(home, "sock")]);
    await keychain.see("SSH_AUTH_SOCK");
    const env = { SSH_AUTH_SOCK: join(home, "sock") };
    const hold = (file: string) => finished(program("ssh-add", [file], { env }));
    const look = async (): Promise<string[]> => {
      const { status, lines } = await doctor([agent.ready.clientUrl], env);
      assert.equal(status, 0, lines.join("\n"));
      return lines;
    };
    const other = join(home, "other");
    await finished(
      program("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "other", "-f", other]),
    );
    await hold(other);
    const [said = "", fix] = (await look()).slice(-2);
    assert.match(said, /^warn keys the agent knows none of those that ssh offers: .*\bother\b/);
    assert.match(fix ?? "", /^Put one's \.pub into the job's \.authorized_keys/);
    await hold(agent.keyFile);
    const known = await look();
    assert.match(known.at(-2) ?? "", /^ok agent looked-at is \S+@\S+, release \S+$/);
    assert.match(known.at(-1) ?? "", /^ok keys the agent knows \S+$/);
    assert.ok(!agent.news().some(({ event }) => event === "client joined"), "nobody logged in");
    keychain.child.kill();
  });

  test("an id that has just ended, and one that nobody ever had", async () => {
    const agent = await agentProgram(`${relay.url}/ci`, ["--id", "brief"]);
    agent.child.kill("SIGTERM");
    await agent.exited;
    const ended = await doctor([agent.ready.clientUrl]);
    assert.equal(ended.status, 7);
    assert.match(
      ended.lines.at(-2) ?? "",
      /^FAIL agent No agent is registered as brief \(it ended \d+s ago: it was told to stop\)\.$/,
    );
    const never = await doctor([`${relay.url}/ci/client/never-was`]);
    assert.equal(never.status, 7);
    assert.equal(never.lines.at(-2), "FAIL agent No agent is registered as never-was.");
  });

  test("a certificate that nobody vouches for", async () => {
    const { ca, issue } = certificates(folder());
    const { certFile, keyFile } = issue("relay", "IP:127.0.0.1");
    const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
    const secure = await relayProgram(tls, { scheme: "https" });
    const refused = await doctor([secure.url]);
    assert.equal(refused.status, 4);
    assert.match(
      refused.lines[3] ?? "",
      /^FAIL TLS The relay's TLS certificate was not accepted: /,
    );
    assert.match(refused.lines[4] ?? "", /--ca/);
    const blind = await doctor(["--insecure", secure.url]);
    assert.equal(blind.status, 0);
    assert.match(blind.lines[3] ?? "", /^warn TLS certificate of \S+, good for \d+ days$/);
    const known = await doctor(["--ca", ca, secure.url]);
    assert.equal(known.status, 0);
    assert.match(known.lines[3] ?? "", /^(?:ok|warn) TLS certificate of /);
  });

  for (const status of [301, 302, 307, 308])
    test(`a relay that moved (${status}): where to, in doctor, wsproxy and agent`, async () => {
      const url = urlOf(await other(status, { location: "https://new.example/r?a" }));
      const to = "it redirects to https://new.example/r?a";
      const found = await doctor([url]);
      assert.equal(found.status, 6);
      assert.ok(found.lines.at(-2)?.endsWith(`answers, but ${to}`), found.lines.join("\n"));
      const sentence = `converge: The relay refused: ${to}. Use that URL, if it is the relay's.\n`;
      for (const [name, more] of [
        ["wsproxy", "/client/x"],
        ["agent", ""],
      ] as const) {
        const said = await finished(ours(name, [`${url}${more}`], { cwd: jobFolder().dir }));
        assert.equal(said.status, 6, said.err);
        assert.ok(said.err.endsWith(sentence), said.err);
      }
    });

  test("https:// to a port that speaks http", async () => {
    const { status, lines } = await doctor([relay.url.replace("http:", "https:")]);
    assert.equal(status, 4);
    assert.match(lines.at(-1) ?? "", /Write http:\/\/ in place of https:\/\//);
  });

  test("a port where nobody listens, and a name that nobody has", async () => {
    const closed = await doctor([`http://127.0.0.1:${await freePort()}`]);
    assert.equal(closed.status, 3);
    assert.match(closed.lines[3] ?? "", /^FAIL relay The relay \S+ \(.*ECONNREFUSED.*\) cannot be/);
    const unknown = await doctor(["http://nowhere.invalid"]);
    assert.equal(unknown.status, 3);
    assert.match(unknown.lines[2] ?? "", /^FAIL DNS nowhere\.invalid is not known/);
    assert.match(unknown.lines[3] ?? "", /^Check the spelling\./);
  });

  test("a page that is no relay's", async () => {
    const { status, lines } = await doctor([urlOf(await other(404))]);
    assert.equal(status, 6);
    assert.match(lines.at(-2) ?? "", /^FAIL relay 127\.0\.0\.1:\d+ answers, with HTTP status 404/);
    assert.match(lines.at(-1) ?? "", /context path/);
  });

  test("a clock that is an hour off, and a proxy that lets no websocket through", async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const { status, lines } = await doctor([urlOf(await other(200, { date }))]);
    assert.equal(status, 6);
    assert.match(
      lines[4] ?? "",
      /^warn clock this machine's is (?:3600|3599) s behind the relay's$/,
    );
    assert.equal(lines[5], "Set it (NTP).");
    assert.match(lines[6] ?? "", /^FAIL websocket The relay refused: it answered with HTTP status/);
    assert.match(lines[7] ?? "", /Upgrade and Connection/);
  });

  test("a relay of another release", async () => {
    const server = await other(200);
    new WebSocketServer({ server }).on("connection", (socket) =>
      socket.close(4426, "the relay speaks 9"),
    );
    const { status, lines } = await doctor([urlOf(server)]);
    assert.equal(status, 5);
    assert.match(
      lines.at(-2) ?? "",
      /^FAIL version the relay speaks another protocol version than 1/,
    );
  });

  test("a proxy of the environment is named without its password", async () => {
    const port = await freePort();
    const HTTP_PROXY = `http://me:secret@127.0.0.1:${port}`;
    const { status, lines } = await doctor(["http://relay.example"], { HTTP_PROXY });
    assert.equal(status, 3);
    assert.equal(lines[1], `ok proxy through 127.0.0.1:${port} (from the environment)`);
    assert.doesNotMatch(lines.join(), /secret/);
  });
});

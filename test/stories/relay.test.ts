/** The relay as its administrator meets it: pages, the list of sessions, proxies and certificates. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { version } from "../../src/io/version.ts";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { agentProgram, ours, sshArgs } from "../support/programs.ts";
import { openRelay } from "../support/relay.ts";
import { register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");

describe("in the world", () => {
  let world: World;
  afterEach(async () => {
    await endPrograms();
    await world.close();
  });

  test("healthz, sessions while nobody is there, and a path that does not exist", async () => {
    world = await meet(null);
    const health = await fetch(`${base(world)}/healthz`);
    assert.deepEqual(
      [health.status, await health.json(), health.headers.get("cache-control")],
      [200, { status: "ok" }, "no-store"],
    );
    const ready = await fetch(`${base(world)}/readyz`);
    assert.deepEqual([ready.status, await ready.json()], [200, { status: "ready", version }]);
    const sessions = await fetch(`${base(world)}/api/sessions`);
    assert.deepEqual(
      [sessions.status, await sessions.json()],
      [200, { agents: [], page: 1, pages: 1, found: 0, total: 0, clients: 0 }],
    );
    for (const path of ["/nothing", "/agent/x", "/api", "//", "/%2e%2e/etc/passwd"])
      assert.equal((await fetch(`${base(world)}${path}`)).status, 404, path);
  });

  test("api/sessions has the whole of a running session, and its bytes grow", async () => {
    world = await meet({ id: "seen", timeoutMs: 600_000 });
    const shell = world.terminal();
    await shell.see("$ ");
    const sftp = program("sftp", [...world.options(), "-i", world.keyFile, "job@agent"], {
      input: "open",
    });
    sftp.child.stdin?.write("pwd\n");
    await sftp.see("Remote working directory");
    const rows = async () =>
      (await (await fetch(`${base(world)}/api/sessions`)).json()) as {
        agents: Record<string, unknown>[];
      };
    const seen = await until("both kinds", async () => {
      const { agents } = await rows();
      const clients = agents[0]?.["clients"] as { kinds: string[] }[];
      const isOccupied = agents[0]?.["state"] === "occupied";
      return clients.flatMap(({ kinds }) => kinds).length === 2 && isOccupied && agents;
    });
    const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
    const [row] = seen as [Record<string, unknown> & { agent: Record<string, string> }];
    assert.match(String(row["since"]), iso);
    const leftMs = Date.parse(String(row["expiresAt"])) - world.clock.wall();
    assert.ok(leftMs > 590_000 && leftMs <= 601_000, `${leftMs} ms`);
    assert.match(row.agent["version"] ?? "", /^\d+\.\d+\.\d+/);
    for (const fact of ["host", "user", "os", "arch"]) assert.ok(row.agent[fact], fact);
    const clients = row["clients"] as Record<string, unknown>[];
    for (const client of clients) {
      assert.match(String(client["since"]), iso);
      assert.ok(Number(client["clientBytes"]) > 1_000);
      assert.ok(Number(client["agentBytes"]) > 1_000);
    }
    const login = { fingerprint: await fingerprintOf(world.keyFile), comment: "dev@laptop" };
    const known = { since: 0, awaySince: null, resumes: 0, clientBytes: 0, agentBytes: 0 };
    assert.deepEqual(
      {
        ...row,
        since: 0,
        expiresAt: 0,
        agent: Object.keys(row.agent).sort(),
        clients: clients.map((client) => ({ ...client, ...known })),
      },
      {
        id: "seen",
        agent: ["arch", "fingerprint", "host", "os", "shell", "user", "version"],
        since: 0,
        state: "occupied",
        held: false,
        expiresAt: 0,
        clients: [
          { address: "127.0.0.1", state: "connected", kinds: ["shell"], login, ...known },
          { address: "127.0.0.1", state: "connected", kinds: ["sftp"], login, ...known },
        ],
        moreClients: 0,
      },
    );
    const before = Number(clients[0]?.["agentBytes"]);
    shell.type("head -c 100000 /dev/zero | tr '\\0' x; echo\r");
    await until("more bytes", async () => {
      const now = (await rows()).agents[0]?.["clients"] as { agentBytes: number }[];
      return (now[0]?.agentBytes ?? 0) > before + 100_000;
    });
    sftp.child.stdin?.end("bye\n");
    shell.type("exit\r");
    await shell.exited;
  });

  test("below a context path everything is there, and nothing is outside it", async () => {
    world = await meet({ id: "below" }, { contextPath: "/x/y" });
    assert.ok(base(world).endsWith("/x/y"));
    const [ready] = world.agent.news;
    assert.equal(ready?.event === "ready" && ready.clientUrl, `${base(world)}/client/below`);
    for (const path of ["/healthz", "/api/sessions"]) {
      assert.equal((await fetch(`${base(world)}${path}`)).status, 200);
      assert.equal((await fetch(`${world.relay.url.origin}${path}`)).status, 404);
    }
    const outside = stranger(`${world.relay.url.origin}/client/below`);
    await until("an answer", () => outside.refusal());
    assert.equal(outside.refusal()?.status, 404);
    assert.equal((await world.ssh(["echo in"])).stdout.toString(), "in\n");
  });

  test("forwarded headers count only from a trusted proxy", async () => {
    const headers = {
      "x-forwarded-for": "203.0.113.9, 198.51.100.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "relay.example.com",
    };
    for (const [trustProxy, address, url] of [
      [[], "127.0.0.1", null],
      [["10.0.0.0/8"], "127.0.0.1", null],
      [["127.0.0.1/32"], "198.51.100.7", "https://relay.example.com/client/behind"],
      [["loopback", "198.51.100.0/24"], "203.0.113.9", "https://relay.example.com/client/behind"],
    ] as const) {
      world = await meet(null, { trustProxy: [...trustProxy] });
      const agent = await register(world.relay.url, "behind", { options: { headers } });
      assert.equal(agent.clientUrl, url ?? `${base(world)}/client/behind`);
      const client = stranger(`${base(world)}/client/behind`, null, { headers });
      const row = await until("a row", () => world.relay.rows()[0]?.clients[0]);
      assert.equal(row.address, address);
      for (const { socket } of [agent, client]) socket.terminate();
      await world.close();
    }
    world = await meet(null);
  });

  test("--public-url is what agents are told, whatever they dialled", async () => {
    world = await meet(null, { publicUrl: new URL("https://jobs.example.com/converge/") });
    const agent = await register(world.relay.url, "told");
    assert.equal(agent.clientUrl, "https://jobs.example.com/converge/client/told");
    agent.socket.close();
    const other = await register(world.relay.url, "told2", { host: "jobs.example.com" });
    assert.equal(other.id, "told2");
    other.socket.close();
  });

  test("with TLS of its own: --ca, --insecure, and status 4 for what is not trusted", async () => {
    world = await meet(null);
    const dir = folder();
    const authority = certificates(dir);
    const right = authority.issue("right", "IP:127.0.0.1");
    const wrong = authority.issue("wrong", "DNS:relay.example.com");
    const url = (port: number, id = "nobody") => `https://127.0.0.1:${port}/client/${id}`;
    const secure = await openRelay(world.clock, { tls: right });
    const misnamed = await openRelay(world.clock, { tls: wrong });
    const [port, otherPort] = [Number(secure.url.port), Number(misnamed.url.port)];
    const why = "The relay's TLS certificate was not accepted: ";
    for (const [args, status, sentence] of [
      [["--ca", authority.ca, url(port)], 7, "No agent is registered as nobody."],
      [["--insecure", url(port)], 7, "No agent is registered as nobody."],
      [[url(port)], 4, `${why}its authority is not known to this machine.`],
      [["--ca", authority.ca, url(otherPort)], 4, `${why}it is for another name.`],
      [["--insecure", url(otherPort)], 7, "No agent is registered as nobody."],
    ] as const) {
      const said = await finished(ours("wsproxy", [...args], { input: "open" }));
      assert.equal(said.status, status, said.err);
      assert.ok(said.err.includes(sentence), said.err);
      assert.equal(said.err.split("\n").length, 2, said.err);
    }
    // The whole way, with an agent that trusts the authority too.
    const agent = await agentProgram(secure.url.href, ["--ca", authority.ca]);
    assert.equal(agent.ready.clientUrl, url(port, agent.ready.id));
    const said = await finished(
      program("ssh", [...sshArgs(agent, `--ca ${authority.ca}`), "echo encrypted"]),
    );
    assert.deepEqual([said.status, said.out], [0, "encrypted\n"], said.err);
    const untrusting = await finished(
      ours("agent", [secure.url.href], { cwd: agent.dir, env: { SHELL: "/bin/sh" } }),
    );
    assert.equal(untrusting.status, 4);
    await secure.close();
    await misnamed.close();
  });

  test("a certificate that changes on disk is used for new connections; a bad pair is not", async () => {
    world = await meet(null);
    const dir = folder();
    const authority = certificates(dir);
    const first = authority.issue("first", "IP:127.0.0.1");
    const second = authority.issue("second", "IP:127.0.0.1");
    const used = { certFile: join(dir, "used.pem"), keyFile: join(dir, "used.key") };
    const put = (pair: typeof first): void => {
      copyFileSync(pair.keyFile, used.keyFile);
      copyFileSync(pair.certFile, used.certFile);
    };
    put(first);
    const relay = await openRelay(world.clock, { tls: used });
    const served = async (): Promise<string> => {
      const socket = connectTls({
        port: Number(relay.url.port),
        host: "127.0.0.1",
        ca: readFileSync(authority.ca),
      });
      await once(socket, "secureConnect");
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return String(subject.CN);
    };
    assert.equal(await served(), "first");
    const before = await register(relay.url, "kept", {
      options: { ca: readFileSync(authority.ca) },
    });
    writeFileSync(used.certFile, "nonsense");
    await until("the complaint", () =>
      relay.log.lines.some(({ message }) => message === "certificate not reloaded"),
    );
    assert.equal(await served(), "first");
    put(second);
    await until("the new one", async () => (await served()) === "second");
    assert.equal(before.isOpen(), true);
    before.socket.close();
    await relay.close();
  });
});

/** The fingerprint of a key, by ssh-keygen itself. */
async function fingerprintOf(file: string): Promise<string> {
  const { out } = await finished(program("ssh-keygen", ["-l", "-f", file]));
  return out.split(" ")[1] ?? "";
}

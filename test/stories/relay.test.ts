/** The relay as its administrator meets it: pages, proxies, certificates, logs, and its own end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { agentProgram, ours, relayProgram, ssh, sshArgs } from "../support/programs.ts";
import { openRelay } from "../support/relay.ts";
import { screen } from "../support/screen.ts";
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
    assert.deepEqual([ready.status, await ready.json()], [200, { status: "ready" }]);
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
    const known = { since: 0, clientBytes: 0, agentBytes: 0 };
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

describe("as a program", () => {
  afterEach(endPrograms);

  test("its log has one line with the facts of a session, and nothing that was typed or shown", async () => {
    const relay = await relayProgram(["--log-level", "debug"]);
    const agent = await agentProgram(relay.url, ["--id", "logged", "--log-level", "debug"]);
    const seen = screen("ssh", ["-tt", ...sshArgs(agent)]);
    await seen.see("$ ");
    // The shell joins the halves, so the whole is printed too.
    seen.type("echo canary''bird\r");
    await seen.see("canarybird");
    await until("the relay knows who it is", async () =>
      (await (await fetch(`${relay.url}/api/sessions`)).text()).includes('"kinds":["shell"]'),
    );
    seen.type("exit\r");
    assert.equal(await seen.exited, 0);
    const line = await until("its line", () =>
      relay.lines().find(({ msg }) => msg === "client session ended"),
    );
    // Who hung up first is a race: the last client leaves, and the agent ends for that.
    const { clientBytes, agentBytes, seconds, login, ...others } = line as {
      [key: string]: unknown;
    };
    assert.ok(Number(clientBytes) > 1_000 && Number(agentBytes) > 1_000);
    assert.ok(Number(seconds) >= 0 && Number(seconds) < 60);
    assert.equal((login as { comment: string }).comment, "dev@laptop");
    assert.deepEqual(
      ["id", "client", "outcome", "kinds"].map((key) => others[key]),
      ["logged", "127.0.0.1", "served", ["shell"]],
    );
    await agent.exited;
    relay.kill("SIGTERM");
    await relay.exited;
    for (const text of [relay.err(), relay.out(), agent.err(), agent.out()])
      assert.doesNotMatch(text, /canary|bird/);
  });

  test("SIGTERM drains: no new ones, the running session may end by itself, agents go on looking", async () => {
    const relay = await relayProgram(["--drain-timeout", "50s"]);
    const agent = await agentProgram(relay.url, ["--id", "drained"]);
    writeFileSync(join(agent.dir, ".hold"), "");
    const seen = screen("ssh", ["-tt", ...sshArgs(agent)]);
    await seen.see("$ ");
    relay.kill("SIGTERM");
    await relay.see("relay draining");
    for (const [path, status, word] of [
      ["readyz", 503, "draining"],
      ["healthz", 200, "ok"],
    ] as const) {
      const answer = await fetch(`${relay.url}/${path}`);
      assert.deepEqual([answer.status, await answer.json()], [status, { status: word }]);
    }
    await seen.see("[converge] The relay restarts in 50s: this connection is cut then.");
    for (const door of ["client/drained", "agent/other"]) {
      const refused = stranger(`${relay.url}/${door}`);
      assert.deepEqual(await until("the refusal", refused.refusal), {
        status: 503,
        body: "The relay is restarting: try again.\n",
      });
    }
    const late = await finished(ours("wsproxy", [agent.ready.clientUrl], { input: "open" }));
    assert.equal(late.status, 3);
    assert.match(late.err, /\(The relay is restarting: try again\.\)/);
    seen.type("echo going $((1+1))\r");
    await seen.see("going 2");
    seen.type("exit 3\r");
    assert.equal(await seen.exited, 3);
    assert.deepEqual(await relay.exited, { status: 143, signal: null });
    assert.deepEqual(relay.lines().at(-1)?.["msg"], "relay ended", relay.err());
    await agent.see('"event":"relay lost"');
    assert.equal(agent.ended(), null);
    const again = await relayProgram([], { port: relay.port });
    await again.see("agent session started");
    const back = await finished(ssh(agent, ["rm .hold; echo back"]));
    assert.equal(back.out, "back\n", back.err);
  });

  test("what does not end while it drains is cut at the end, told why, and logged", async () => {
    const relay = await relayProgram(["--drain-timeout", "1s"]);
    const agent = await agentProgram(relay.url);
    const running = ssh(agent, ["echo begun; sleep 1000"]);
    await running.see("begun");
    relay.kill("SIGTERM");
    const { status, err } = await finished(running);
    assert.equal(status, 255);
    assert.match(
      err,
      /converge: The connection was lost: the relay is restarting\. Connect again\./,
    );
    await relay.exited;
    const line = relay.lines().find(({ msg }) => msg === "client session ended");
    assert.deepEqual([line?.["outcome"], line?.["endedBy"]], ["served", "relay"], relay.err());
  });

  test("a client that waits for an agent does not keep a draining relay", async () => {
    const relay = await relayProgram(["--drain-timeout", "50s"]);
    const waiting = ours("wsproxy", ["--wait", "50s", `${relay.url}/client/x`], { input: "open" });
    await waiting.see("waiting for it");
    relay.kill("SIGTERM");
    await relay.exited;
    await waiting.see("Trying again");
  });

  test("a second SIGTERM ends it at once", async () => {
    const relay = await relayProgram(["--drain-timeout", "50s"]);
    const agent = await agentProgram(relay.url);
    const running = ssh(agent, ["echo begun; sleep 1000"]);
    await running.see("begun");
    relay.kill("SIGTERM");
    await relay.see("relay draining");
    assert.equal(relay.ended(), null);
    relay.kill("SIGTERM");
    assert.deepEqual(await relay.exited, { status: 143, signal: null });
  });

  test("a port in use, and a certificate that cannot be used: a sentence and status 2", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const where = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    const said = await finished(ours("converge", ["--listen", where]));
    assert.deepEqual(
      [said.status, said.err],
      [2, `converge: Cannot listen on ${where}. Choose another address or port with --listen.\n`],
    );
    const onBoth = await finished(ours("converge", ["--listen", where, "--metrics-listen", "0"]));
    assert.equal(onBoth.status, 2, "the port for metrics, which was free, does not keep it");
    const metrics = await finished(ours("converge", ["--listen", "0", "--metrics-listen", where]));
    assert.deepEqual(
      [metrics.status, metrics.err],
      [
        2,
        `converge: Cannot listen on ${where}. Choose another address or port with --metrics-listen.\n`,
      ],
    );
    taken.close();
    const dir = folder();
    const authority = certificates(dir);
    const [one, two] = [authority.issue("one", "DNS:a"), authority.issue("two", "DNS:b")];
    for (const [cert, key, sentence] of [
      ["/nowhere.pem", one.keyFile, /^converge: Cannot read \/nowhere\.pem: ENOENT.*\.$/],
      [
        one.certFile,
        two.keyFile,
        /^converge: The certificate .* and the key .* cannot be used: .*\.$/,
      ],
    ] as const)
      for (const more of [[], ["--check-config"]]) {
        const tls = ["--tls-cert", cert, "--tls-key", key, "--listen", "127.0.0.1:0"];
        const bad = await finished(ours("converge", [...tls, ...more]));
        assert.equal(bad.status, 2, `${more} ${bad.err}`);
        assert.match(bad.err.trimEnd(), sentence);
      }
  });

  test("--check-config says yes to a good configuration and does not listen", async () => {
    const said = await finished(ours("converge", ["--check-config", "--context-path", "/a"]));
    assert.deepEqual([said.status, said.err], [0, ""]);
  });
});

/** The fingerprint of a key, by ssh-keygen itself. */
async function fingerprintOf(file: string): Promise<string> {
  const { out } = await finished(program("ssh-keygen", ["-l", "-f", file]));
  return out.split(" ")[1] ?? "";
}

/** wsproxy as ssh and a person meet it: bytes on stdout, sentences on stderr, a status at the end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { PassThrough, Writable } from "node:stream";
import { after, afterEach, before, describe, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { connect as connectTo } from "../../src/io/client/connect.ts";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import type { Agent } from "../support/agent.ts";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, program, run } from "../support/child.ts";
import { runs } from "../support/processes.ts";
import { agentProgram, ours, relayProgram } from "../support/programs.ts";
import { openRelay } from "../support/relay.ts";
import { built } from "../support/shipped.ts";
import { messages, register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

let world: World;
before(async () => {
  world = await meet(null);
});
afterEach(endPrograms);
after(() => world.close());

/** An ssh through wsproxy, with the flags and environment that the story is about. */
function sshWith(
  agent: Agent,
  how: {
    flags?: string;
    env?: Record<string, string>;
    pin?: string | null;
    command?: string[];
    input?: "open";
    /** Say wsproxy's own status on stderr. */
    tellStatus?: boolean;
  },
) {
  const { flags = "", env = {}, pin = agent.fingerprint, command = ["echo in"] } = how;
  const proxy = `${process.execPath} ${built("wsproxy")} ${flags} ${pin === null ? "" : `--fingerprint ${pin}`} ${base(world)}/client/${agent.rendezvous()}`;
  const args = [
    "-F/dev/null",
    `-oProxyCommand=${how.tellStatus ? `sh -c '${proxy}; echo status $? >&2'` : proxy}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-oBatchMode=yes",
    "-i",
    world.keyFile,
    "job@agent",
    ...command,
  ];
  return program("ssh", args, { env, ...(how.input && { input: how.input }) });
}

describe("what it says, and where", () => {
  test("stdout is the bytes of the other side, and sentences are on stderr", async () => {
    const agent = await world.startAgent();
    const proxy = ours("wsproxy", [`${base(world)}/client/${agent.rendezvous()}`], {
      input: "open",
    });
    proxy.child.stdin?.write("SSH-2.0-nobody\r\n");
    await proxy.see("[converge] Found the agent: ");
    await until("a key exchange", () => proxy.out().length > 200);
    proxy.child.stdin?.end();
    const { status, out, err } = await finished(proxy);
    assert.equal(status, 0);
    assert.match(out, /^SSH-2\.0-converge[^\n]*\r\n\0/);
    assert.match(
      err,
      /^\[converge\] Found the agent: \S+@\S+, Linux \S+, shell \/bin\/bash, ends in (?:10m|9m 5\ds) without activity\.\n$/,
    );
  });

  test("--quiet says nothing but errors", async () => {
    const agent = await world.startAgent();
    const quiet = await finished(sshWith(agent, { flags: "--quiet" }));
    assert.deepEqual([quiet.status, quiet.out], [0, "in\n"]);
    assert.doesNotMatch(quiet.err, /converge/);
    const failed = await finished(
      ours("wsproxy", ["--quiet", `${base(world)}/client/nobody`], { input: "open" }),
    );
    assert.equal(failed.status, 7);
    assert.match(failed.err, /^converge: No agent is registered as nobody\./);
  });

  test("no URL: the help, and status 2; --help and --version: status 0", async () => {
    const none = await finished(ours("wsproxy", []));
    assert.deepEqual([none.status, none.out], [2, ""]);
    assert.match(none.err, /^Usage: wsproxy \[options\] \[client-url\]\n/);
    const help = await finished(ours("wsproxy", ["--help"]));
    assert.equal(help.status, 0);
    assert.match(help.out, /^Usage: wsproxy \[options\] \[client-url\]\n/);
    for (const flag of ["--wait", "--raw", "--listen", "--fingerprint", "--ca", "--insecure"])
      assert.ok(help.out.includes(flag), flag);
    const version = await finished(ours("wsproxy", ["--version"]));
    assert.equal(version.status, 0);
    assert.match(version.out, /^\d+\.\d+\.\d+\S*\n$/);
  });

  test("CONVERGE_CLIENT_URL is the URL when none is given", async () => {
    const said = await finished(
      ours("wsproxy", [], {
        input: "open",
        env: { CONVERGE_CLIENT_URL: `${base(world)}/client/from-env` },
      }),
    );
    assert.equal(said.status, 7);
    assert.match(said.err, /No agent is registered as from-env\./);
  });
});

describe("exit statuses", () => {
  let closing: Server;
  let closedWith: [number, string];
  before(async () => {
    closing = createHttpServer();
    const sockets = new WebSocketServer({
      server: closing,
      handleProtocols: (offered) => [...offered][0] ?? false,
    });
    sockets.on("connection", (socket) => socket.close(...closedWith));
    closing.listen(0, "127.0.0.1");
    await once(closing, "listening");
  });
  after(() => closing.close());

  for (const [code, reason, status, sentence] of [
    [1000, "", 0, /^$/],
    [
      1001,
      "",
      3,
      /^converge: The relay 127\.0\.0\.1:\d+ \(it closed the connection\) cannot be reached\./,
    ],
    [1003, "binary frames only", 6, /^converge: The relay refused: binary frames only$/],
    [1009, "", 6, /^converge: The relay refused: close code 1009$/],
    [4400, "not JSON", 6, /^converge: The relay refused: not JSON$/],
    [4403, "go \u001b[31maway", 6, /^converge: The relay refused: go \[31maway$/],
    [4404, "", 7, /^converge: No agent is registered as job\. Check the id/],
    [4408, "", 9, /^converge: The agent job did not answer\. It may be ending/],
    [
      4426,
      "the relay speaks protocol version 9, the other side 1",
      5,
      /^converge: the relay speaks protocol version 9, the other side 1\. Use an agent/,
    ],
    [4503, "the relay is restarting", 3, /\(the relay is restarting\) cannot be reached\./],
    [4999, "a code of the future", 3, /\(a code of the future\)/],
  ] as const)
    test(`a relay that closes with ${code}: status ${status}`, async () => {
      closedWith = [code, reason];
      const said = await finished(
        ours("wsproxy", [`http://127.0.0.1:${portOf(closing)}/client/job`], { input: "open" }),
      );
      assert.equal(said.status, status, said.err);
      assert.match(said.err.trimEnd(), sentence);
      assert.equal(said.out, "");
    });

  test("a relay that parks nobody for so long is asked again while the wait lasts", async () => {
    closedWith = [4404, ""];
    let knocks = 0;
    const count = (): void => {
      knocks += 1;
    };
    closing.on("upgrade", count);
    const said = await finished(
      ours("wsproxy", ["--wait", "3s", `http://127.0.0.1:${portOf(closing)}/client/job`], {
        input: "open",
      }),
    );
    closing.off("upgrade", count);
    assert.deepEqual([said.status, knocks], [7, 2], said.err);
  });

  test("a wait outlives the relay: it dials again, and gets in when relay and agent are there", async () => {
    let relay = await relayProgram();
    const waiting = ours("wsproxy", ["--wait", "50s", `${relay.url}/client/patient`], {
      input: "open",
    });
    await waiting.see("waiting for it, up to 50s.");
    const { port } = relay;
    relay.kill("SIGKILL");
    await waiting.see(/cannot be reached\. .* Trying again\.\n/);
    relay = await relayProgram([], { port });
    await agentProgram(relay.url, ["--id", "patient"]);
    await waiting.see("Found the agent: ");
    await until("the agent's first words", () => waiting.out().startsWith("SSH-2.0-converge"));
  });

  test("a relay that cannot be reached, and one that is none: a sentence each", async () => {
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const port = portOf(nobody);
    nobody.close();
    await once(nobody, "close");
    const page = createHttpServer((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end("<h1>A shop</h1>");
    });
    page.listen(0, "127.0.0.1");
    await once(page, "listening");
    for (const [url, status, sentence] of [
      [
        `http://127.0.0.1:${port}/client/x`,
        3,
        `converge: The relay 127.0.0.1:${port} (connect ECONNREFUSED 127.0.0.1:${port}) cannot be reached. Check the URL, the network and the proxy settings.\n`,
      ],
      [
        `http://127.0.0.1:${portOf(page)}/client/x`,
        6,
        "converge: The relay refused: it answered with HTTP status 200.\n",
      ],
      [
        `https://127.0.0.1:${world.relay.url.port}/client/x`,
        4,
        "converge: The relay's TLS certificate was not accepted: the TLS handshake failed (wrong version number). Check the host name, name its authority with --ca, or use --insecure if you must.\n",
      ],
      [
        `${base(world)}/elsewhere/x`,
        6,
        "converge: The relay refused: There is no websocket here: use /agent/<id> or /client/<id>.\n",
      ],
      [
        `${base(world)}/client/a%20b`,
        6,
        "converge: The relay refused: A rendez-vous id is 1 to 128 of the characters A-Z a-z 0-9 . _ - only.\n",
      ],
    ] as const) {
      const said = await finished(ours("wsproxy", [url], { input: "open" }));
      assert.deepEqual([said.status, said.err, said.out], [status, sentence, ""]);
    }
    page.close();
  });

  test("a fingerprint that does not match: status 8, and the agent sees no login", async () => {
    const agent = await world.startAgent();
    const wrong = `SHA256:${"A".repeat(43)}`;
    const said = await finished(sshWith(agent, { pin: wrong, tellStatus: true }));
    assert.equal(said.status, 255);
    assert.match(said.err, /converge: The host key does not match: expected SHA256:A{43}\./);
    assert.match(said.err, /^status 8$/m);
    assert.ok(said.err.includes(agent.fingerprint), said.err);
    await until("the client is gone", () =>
      world.relay.rows().every(({ clients }) => clients.length === 0),
    );
    assert.deepEqual(
      agent.log.lines.filter(({ message }) => /login|joined/.test(message)),
      [],
    );
    assert.equal((await finished(sshWith(agent, {}))).out, "in\n");
  });

  test("an agent that never dials back: status 9 after ten seconds", async () => {
    const mute = await register(world.relay.url, "mute");
    const said = ours("wsproxy", [`${base(world)}/client/mute`], { input: "open" });
    await said.see("Found the agent: nobody@elsewhere, Plan 9, shell /bin/rc.");
    await world.clock.advance(9_000);
    assert.equal(said.ended(), null);
    await world.clock.advance(1_500);
    const { status, err } = await finished(said);
    assert.equal(status, 9);
    assert.match(
      err,
      /converge: The agent mute did not answer\. It may be ending; look at the job's log and try again\.\n$/,
    );
    mute.socket.close();
  });
});

describe("--raw and --listen", () => {
  test("--raw joins stdio with any websocket server, byte for byte", async () => {
    const echo = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(echo, "listening");
    const offered: (string | undefined)[] = [];
    echo.on("connection", (socket: WebSocket, request) => {
      offered.push(request.headers["sec-websocket-protocol"]);
      socket.on("message", (data: Buffer) => socket.send(data));
    });
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7) % 256));
    const raw = ours("wsproxy", ["--raw", `ws://127.0.0.1:${portOf(echo)}/any/path`], {
      input: "open",
    });
    raw.child.stdin?.write(bytes);
    await until("all of it", () => raw.out().length === bytes.length);
    assert.ok(Buffer.from(raw.out(), "latin1").equals(bytes));
    for (const client of echo.clients) client.close(1000);
    assert.deepEqual(await raw.exited, { status: 0, signal: null });
    assert.deepEqual([raw.err(), offered], ["", [undefined]]);
    echo.close();
  });

  test("--raw takes text frames as bytes too", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    server.on("connection", (socket) => {
      socket.send("grüß Gott\n");
      socket.close(1000);
    });
    const raw = ours("wsproxy", ["--raw", `ws://127.0.0.1:${portOf(server)}`], { input: "open" });
    await raw.exited;
    assert.equal(Buffer.from(raw.out(), "latin1").toString(), "grüß Gott\n");
    server.close();
  });

  test("--raw through our own relay is an ssh too", async () => {
    const agent = await world.startAgent();
    const said = await finished(sshWith(agent, { flags: "--raw", pin: null }));
    assert.deepEqual([said.status, said.out], [0, "in\n"], said.err);
    assert.doesNotMatch(said.err, /Found the agent/);
  });

  test("--listen: ssh -p goes to the agent, several at once, and one that fails stops nothing", async () => {
    const agent = await world.startAgent({ lingerMs: 600_000 });
    const url = `${base(world)}/client/${agent.rendezvous()}`;
    const local = ours("wsproxy", ["--listen", "0", url]);
    await local.see(/Listening on 127\.0\.0\.1:\d+\.\n/);
    const [, port = ""] = /:(\d+)\./.exec(local.err()) ?? [];
    const visit = (word: string) =>
      run("ssh", [
        "-F/dev/null",
        "-p",
        port,
        "-oUserKnownHostsFile=/dev/null",
        "-oStrictHostKeyChecking=accept-new",
        "-oIdentitiesOnly=yes",
        "-oBatchMode=yes",
        "-i",
        world.keyFile,
        "job@127.0.0.1",
        `echo ${word}`,
      ]);
    connect(Number(port), "127.0.0.1")
      .on("error", () => {})
      .resetAndDestroy();
    const said = await Promise.all(["one", "two", "three"].map(visit));
    assert.deepEqual(
      said.map(({ stdout }) => stdout.toString()),
      ["one\n", "two\n", "three\n"],
    );
    local.kill("SIGTERM");
    assert.deepEqual(await local.exited, { status: 143, signal: null });
  });

  test("--listen on a port in use: a sentence and status 2", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const where = `127.0.0.1:${portOf(taken)}`;
    const said = await finished(ours("wsproxy", ["--listen", where, `${base(world)}/client/x`]));
    assert.deepEqual(
      [said.status, said.err],
      [2, `converge: Cannot listen on ${where}. Choose another address or port with --listen.\n`],
    );
    taken.close();
  });
});

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
      const said = await finished(sshWith(agent, { env }));
      assert.deepEqual([said.status, said.out], [0, "in\n"], said.err);
      assert.deepEqual(asked, [world.relay.url.host]);
    });

  test("NO_PROXY is honoured, and HTTPS_PROXY is not for http", async () => {
    for (const more of [{ NO_PROXY: "127.0.0.1" }, { NO_PROXY: "*" }] as const) {
      const agent = await world.startAgent();
      const env = through({ env: (url) => ({ HTTP_PROXY: url, ...more }) });
      const said = await finished(sshWith(agent, { env }));
      assert.deepEqual([said.status, asked], [0, []], said.err);
    }
    const agent = await world.startAgent();
    const said = await finished(
      sshWith(agent, { env: through({ env: (url) => ({ HTTPS_PROXY: url }) }) }),
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

describe("an ssh that stops", () => {
  const proxiesOf = async (pid: number): Promise<number> => {
    const { out } = await finished(program("pgrep", ["-P", String(pid), "-f", "wsproxy"]));
    return Number(out.trim().split("\n")[0]);
  };

  for (const [amount, lines] of [
    ["a little more than the pipe holds", 30_000],
    ["more than ssh's own window", 1_000_000],
  ] as const)
    test(`suspended for three minutes with ${amount} on its way: it goes on and no byte is lost`, async () => {
      const agent = await world.startAgent();
      const command = `touch begun; while [ ! -e go ]; do sleep 0.02; done; seq -w ${lines}; echo end`;
      const suspended = sshWith(agent, { command: [command] });
      const row = () => world.relay.rows().find(({ id }) => id === agent.rendezvous());
      await until("it is in", () => row()?.clients[0]?.state === "connected");
      await until("it has begun", () =>
        world.ssh(["test -e begun"], { agent }).then(({ status }) => status === 0),
      );
      suspended.kill("SIGSTOP");
      await world.ssh(["touch go"], { agent });
      let seen = -1;
      let looks = 0;
      await until("nothing moves any more", () => {
        const now = row()?.clients[0]?.agentBytes ?? 0;
        looks = now === seen && now > 100_000 ? looks + 1 : 0;
        seen = now;
        return looks > 20;
      });
      for (let minutes = 0; minutes < 3; minutes += 1) {
        await world.clock.advance(60_000);
        assert.equal(row()?.clients.length, 1, "it was dropped");
      }
      suspended.kill("SIGCONT");
      const said = await finished(suspended);
      assert.equal(said.status, 0, said.err);
      const got = said.out.split("\n");
      assert.deepEqual([got.length, got.at(-2)], [lines + 2, "end"]);
      assert.ok(got.slice(0, -2).every((line, n) => Number(line) === n + 1));
    });

  // The first is held by wsproxy and the kernel, so that the relay knows nothing of it.
  for (const [amount, blocks] of [
    ["a little more than wsproxy holds", 72],
    ["far more than everybody holds", 1_000],
  ] as const)
    test(`a reader that takes nothing for three minutes, with ${amount}, loses nothing`, async () => {
      const id = `flood-${blocks}`;
      const mute = await register(world.relay.url, id);
      const taken: Buffer[] = [];
      let take: () => void = () => {};
      const isOpen = new Promise<void>((resolve) => {
        take = resolve;
      });
      const output = new Writable({
        write: (data: Buffer, _encoding, done) => {
          taken.push(data);
          void isOpen.then(() => done());
        },
      });
      const stop = new AbortController();
      const ended = connectTo(
        {
          url: new URL(`${base(world)}/client/${id}`),
          raw: false,
          waitMs: 0,
          fingerprint: null,
          debug: () => {},
          trust: { ca: null, insecure: false },
        },
        { input: new PassThrough(), output },
        () => {},
        world.clock,
        stop.signal,
      );
      const summons = await until("the summons", () =>
        messages(mute).find(({ type }) => type === "summon"),
      );
      const data = stranger(`${base(world)}/dial/${summons["ticket"]}`, subprotocols.data);
      await until("it is spliced", data.isOpen);
      const block = Buffer.alloc(64 * 1024);
      for (let n = 0; n < blocks; n += 1) {
        block.writeUInt32BE(n);
        data.socket.send(Buffer.from(block));
      }
      const row = () => world.relay.rows().find((one) => one.id === id);
      let seen = -1;
      let looks = 0;
      await until("the relay took no more", () => {
        const now = row()?.clients[0]?.agentBytes ?? 0;
        looks = now === seen && now > 0 ? looks + 1 : 0;
        seen = now;
        return looks > 20;
      });
      if (blocks === 1_000) assert.ok(seen < blocks * block.length, "it was taken all the same");
      for (let minutes = 0; minutes < 3; minutes += 1) {
        await world.clock.advance(60_000);
        assert.equal(row()?.clients.length, 1, "it was dropped");
      }
      take();
      const total = (): number => taken.reduce((sum, { length }) => sum + length, 0);
      await until("everything", () => total() === blocks * block.length);
      const all = Buffer.concat(taken);
      for (let n = 0; n < blocks; n += 1) assert.equal(all.readUInt32BE(n * block.length), n);
      stop.abort();
      await ended;
      for (const { socket } of [mute, data]) socket.terminate();
    });

  test("killed: its wsproxy ends within two seconds, and the relay forgets the client", async () => {
    const agent = await world.startAgent();
    for (const command of ["sleep 1000", "yes", "cat > /dev/null"]) {
      const killed = sshWith(agent, { command: [command], input: "open" });
      const row = () => world.relay.rows().find(({ id }) => id === agent.rendezvous());
      await until("it is in", () => row()?.clients[0]?.kinds.includes("exec"));
      const proxy = await proxiesOf(killed.pid);
      assert.ok(runs(proxy));
      killed.kill("SIGKILL");
      await until("its wsproxy is gone", () => !runs(proxy), 4_000);
      await until("the relay forgot it", () => row()?.clients.length === 0);
    }
  });
});

test("--log-level debug says where it dials, and how that ended", async () => {
  const args = [built("wsproxy"), "--log-level", "debug", "http://127.0.0.1:9/client/x"];
  const { status, err } = await finished(program(process.execPath, args, { input: "open" }));
  assert.equal(status, 3);
  assert.match(err, /^\[converge\] Dialling 127\.0\.0\.1:9\/client\/x\.\nconverge: The relay /);
});

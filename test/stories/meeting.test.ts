/** How an agent and its clients find each other, and how an agent stays itself. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { type Forwarder, forwarder } from "../support/forwarder.ts";
import { endPrograms, finished, ours, program } from "../support/programs.ts";
import { register } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { type Agent, built, meet, openRelay, type World } from "../support/world.ts";

const words =
  /^(?:[bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]-){7}[bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz]$/;

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");

describe("an open relay", () => {
  let world: World;
  before(async () => {
    world = await meet(null);
  });
  after(async () => {
    await endPrograms();
    await world.close();
  });

  test("a random id is eight words that can be said aloud, and no two are alike", async () => {
    const one = await world.startAgent();
    const two = await world.startAgent();
    assert.match(one.rendezvous(), words);
    assert.notEqual(one.rendezvous(), two.rendezvous());
    assert.deepEqual(one.news, [
      {
        event: "ready",
        id: one.id,
        asked: one.id,
        clientUrl: `${base(world)}/client/${one.id}`,
        fingerprint: one.fingerprint,
      },
    ]);
  });

  test("an id that is taken: the second agent gets another, says so, and both work", async () => {
    const first = await world.startAgent({ id: "job" });
    const second = await world.startAgent({ id: "job" });
    assert.equal(first.rendezvous(), "job");
    assert.match(second.rendezvous(), /^job-[a-z2-9]{4}$/);
    const [ready] = second.news;
    assert.deepEqual(ready, {
      event: "ready",
      id: second.rendezvous(),
      asked: "job",
      clientUrl: `${base(world)}/client/${second.rendezvous()}`,
      fingerprint: second.fingerprint,
    });
    for (const agent of [first, second]) {
      const said = await world.ssh(["echo $CONVERGE_RENDEZVOUS_ID $agentdir"], { agent });
      assert.equal(said.stdout.toString(), `${agent.rendezvous()} ${agent.dir}\n`, said.stderr);
    }
  });

  test("two clients on each of three agents are in at the same time, each in its own job", async () => {
    const agents = await Promise.all([1, 2, 3].map(() => world.startAgent()));
    // Nobody goes on before both are in.
    const visit = (agent: Agent, n: number) =>
      world.ssh(
        [`touch in-${n}; while [ ! -e in-1 -o ! -e in-2 ]; do sleep 0.05; done; pwd; echo ${n}`],
        { agent },
      );
    const said = await Promise.all(agents.flatMap((agent) => [visit(agent, 1), visit(agent, 2)]));
    assert.deepEqual(
      said.map(({ stdout }) => stdout.toString()),
      agents.flatMap(({ dir }) => [`${dir}\n1\n`, `${dir}\n2\n`]),
    );
  });

  test("no agent under an id: wsproxy says so at once with status 7, and ssh ends", async () => {
    const url = `${base(world)}/client/nobody`;
    const sentence =
      "converge: No agent is registered as nobody. Check the id in the job's log, or use --wait to wait for it.\n";
    const alone = await finished(ours("wsproxy", [url], { input: "open" }));
    assert.deepEqual([alone.status, alone.out, alone.err], [7, "", sentence]);
    const withSsh = await finished(
      program("ssh", [
        "-F/dev/null",
        `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${url}`,
        "x@nobody",
      ]),
    );
    assert.equal(withSsh.status, 255);
    assert.ok(withSsh.err.includes(sentence), withSsh.err);
  });

  test("with --wait it says that it waits, is seen as awaited, and gets in when the agent comes", async () => {
    const waiting = program("ssh", [
      "-F/dev/null",
      `-oProxyCommand=${process.execPath} ${built("wsproxy")} --wait 1m ${base(world)}/client/later`,
      "-oUserKnownHostsFile=/dev/null",
      "-oStrictHostKeyChecking=accept-new",
      "-oIdentitiesOnly=yes",
      "-oBatchMode=yes",
      "-i",
      world.keyFile,
      "job@later",
      "echo arrived",
    ]);
    await waiting.see(
      "[converge] No agent has registered under this id yet; waiting for it, up to 1m.\n",
    );
    const [row] = world.relay.rows().filter(({ id }) => id === "later");
    assert.deepEqual(
      [row?.state, row?.agent, row?.expiresAt, row?.clients.map(({ state }) => state)],
      ["awaited", null, null, ["waiting"]],
    );
    const agent = await world.startAgent({ id: "later" });
    const said = await finished(waiting);
    assert.deepEqual([said.status, said.out], [0, "arrived\n"], said.err);
    assert.match(said.err, /\[converge\] Found the agent: \S+@\S+, Linux .*, shell \/bin\/bash/);
    await until("the end", () => agent.ending());
  });

  test("a wait that runs out ends with status 7", async () => {
    const said = await finished(
      ours("wsproxy", ["--wait", "1s", `${base(world)}/client/never`], { input: "open" }),
    );
    assert.equal(said.status, 7);
    assert.match(
      said.err,
      /waiting for it, up to 1s\.\nconverge: No agent is registered as never\./,
    );
  });

  test("a client that gives up while it is parked is forgotten", async () => {
    const waiting = ours("wsproxy", ["--wait", "1m", `${base(world)}/client/given-up`], {
      input: "open",
    });
    const row = () => world.relay.rows().find(({ id }) => id === "given-up");
    await until("the client is parked", row);
    waiting.kill("SIGKILL");
    await until("it is gone", () => !row());
    const ended = world.relay.log.lines.filter(
      ({ message, fields }) => message === "client session ended" && fields["id"] === "given-up",
    );
    assert.deepEqual(
      ended.map(({ fields }) => fields["outcome"]),
      ["client gave up"],
    );
  });

  test("the client's address is in the relay's rows and in the session's environment", async () => {
    const agent = await world.startAgent();
    const screen = world.terminal([], { agent });
    await screen.see("$ ");
    const row = () => world.relay.rows().find(({ id }) => id === agent.rendezvous());
    assert.equal(row()?.clients[0]?.address, "127.0.0.1");
    screen.type("set -- $SSH_CLIENT; echo from $1.\r");
    await screen.see("from 127.0.0.1.");
    screen.type("exit\r");
    await screen.exited;
  });

  for (const [name, claim, reason] of [
    [
      "a forged signature",
      { signature: Buffer.alloc(64, 7).toString("base64") },
      "the identity was not proven",
    ],
    [
      "an answer to another challenge",
      { nonce: Buffer.alloc(32).toString("base64") },
      "the identity was not proven",
    ],
    [
      "an answer made for another relay",
      { host: "relay.example.com" },
      "this relay is not relay.example.com; give it --public-url",
    ],
    [
      "an id that is not the one in the URL",
      { over: { id: "other" } },
      "the id is not the one in the URL",
    ],
  ] as const)
    test(`${name} is refused`, async () => {
      const agent = await register(world.relay.url, "claimed", claim);
      assert.deepEqual(await agent.end, { code: 4403, reason });
      assert.equal(agent.id, null);
      assert.equal(
        world.relay.rows().some(({ id }) => id === "claimed"),
        false,
      );
    });

  test("the same key on a newer link gets its id there, and the older link is closed", async () => {
    const identity = newIdentity();
    const older = await register(world.relay.url, "twice", { identity });
    const newer = await register(world.relay.url, "twice", { identity });
    assert.deepEqual([older.id, newer.id], ["twice", "twice"]);
    assert.deepEqual(await older.end, {
      code: 4409,
      reason: "the same agent came on a newer link",
    });
    assert.equal(newer.closed(), null);
    newer.socket.close();
  });

  test("an answer that was right once is refused when it is replayed", async () => {
    const identity = newIdentity();
    const first = await register(world.relay.url, "replayed", { identity });
    assert.equal(first.id, "replayed");
    const signature = identity.answer(first.nonce, world.relay.url.host, "replayed" as never);
    const second = await register(world.relay.url, "replayed", { identity, signature });
    assert.deepEqual(await second.end, { code: 4403, reason: "the identity was not proven" });
    assert.equal(first.closed(), null);
    first.socket.close();
  });
});

describe("an agent whose link breaks", () => {
  let world: World;
  let way: Forwarder;
  let direct: URL;
  afterEach(async () => {
    await way.close();
    await endPrograms();
    await world.close();
  });

  /** The agent reaches the relay through a forwarder; clients go straight to it. */
  async function begin(): Promise<Agent> {
    world = await meet(null);
    direct = world.relay.url;
    way = await forwarder(() => Number(direct.port));
    world.relay = { ...world.relay, url: new URL(`http://127.0.0.1:${way.port}`) };
    world.agent = await world.startAgent();
    world.relay = { ...world.relay, url: direct };
    return world.agent;
  }

  const controlOf = () => {
    const [control] = way.open("/agent/");
    assert.ok(control);
    return control;
  };

  test("it comes back under its own id, its session goes on, and its terminal is told", async () => {
    const agent = await begin();
    const screen = world.terminal();
    await screen.see("$ ");
    controlOf().cut();
    await screen.see(
      "[converge] The relay is lost, the agent looks for it; this session may go on.",
    );
    await until("the row says so", () => world.relay.rows()[0]?.state === "relay lost");
    await screen.see("[converge] The relay is back: others can connect again.");
    screen.type("echo still $((40+2))\r");
    await screen.see("still 42");
    assert.equal(agent.rendezvous(), agent.id);
    assert.equal((await world.ssh(["echo another"])).stdout.toString(), "another\n");
    assert.deepEqual(
      agent.news.map(({ event }) => event).filter((event) => !event.startsWith("client")),
      ["ready", "relay lost", "relay found"],
    );
    screen.type("exit\r");
    await screen.exited;
  });

  test("the same key wins at once over its old link that is half open", async () => {
    const agent = await begin();
    const old = controlOf();
    old.halfOpen();
    await until("a second link", () => way.open("/agent/").length === 1);
    await until("it is registered again", () =>
      agent.log.lines.some(({ message, fields }) => message === "registered" && !fields["isFirst"]),
    );
    assert.equal(agent.rendezvous(), agent.id);
    assert.equal(world.relay.rows().length, 1);
    assert.equal((await world.ssh(["echo here"])).stdout.toString(), "here\n");
  });

  test("an impostor that asks for the id of an agent that is lost gets another", async () => {
    const agent = await begin();
    const wanted = await register(direct, "chosen");
    wanted.socket.terminate();
    await until("it is lost", () => world.relay.rows().every(({ id }) => id !== "chosen"));
    for (const id of ["chosen", agent.id]) {
      const impostor = await register(direct, id);
      assert.match(impostor.id ?? "", new RegExp(`^${id}-[a-z2-9]{4}$`));
      impostor.socket.close();
    }
  });

  test("after a restart of the relay a generated id is its owner's, whoever came first", async () => {
    const agent = await begin();
    const port = Number(direct.port);
    await world.relay.close();
    world.relay = await openRelay(world.clock, { port });
    const impostor = await register(direct, agent.id);
    assert.match(impostor.id ?? "", new RegExp(`^${agent.id}-[a-z2-9]{4}$`));
    await until("the owner is back", () =>
      world.relay.rows().some(({ id, state }) => id === agent.id && state !== "relay lost"),
    );
    const said = await world.ssh(["echo mine"]);
    assert.equal(said.stdout.toString(), "mine\n", said.stderr);
    impostor.socket.close();
  });

  test("an agent whose relay goes silent gives the link up within a minute and dials again", async () => {
    const agent = await begin();
    controlOf().freeze();
    await world.clock.advance(60_000);
    await until("it noticed", () => agent.news.some(({ event }) => event === "relay lost"), 5_000);
    await world.clock.advance(1_000);
    await until("it is back", () =>
      agent.log.lines.some(({ message, fields }) => message === "registered" && !fields["isFirst"]),
    );
    assert.equal(agent.rendezvous(), agent.id);
  });
});

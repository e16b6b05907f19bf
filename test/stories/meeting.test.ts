/** How an agent and its clients find each other. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import type { Agent } from "../support/agent.ts";
import { endPrograms, finished, program } from "../support/child.ts";
import { ours } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { register } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

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

  /** What an agent of this world announces first; when it ends is the clock's business. */
  function ready(agent: Agent, asked: string): object {
    const [first] = agent.news;
    const endsAt = first?.event === "ready" ? first.endsAt : "";
    assert.ok(Math.abs(Date.parse(endsAt) - world.clock.wall() - 600_000) < 60_000, endsAt);
    const [type = "", blob = "", comment = ""] = world.publicKey.split(" ");
    const hash = createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64");
    assert.match(type, /^ssh-/);
    return {
      event: "ready",
      id: agent.rendezvous(),
      asked,
      clientUrl: `${base(world)}/client/${agent.rendezvous()}`,
      fingerprint: agent.fingerprint,
      keys: [{ comment, fingerprint: `SHA256:${hash.replace(/=+$/, "")}` }],
      endsAt,
    };
  }

  test("a random id is eight words that can be said aloud, and no two are alike", async () => {
    const one = await world.startAgent();
    const two = await world.startAgent();
    assert.match(one.rendezvous(), words);
    assert.notEqual(one.rendezvous(), two.rendezvous());
    assert.deepEqual(one.news, [ready(one, one.id)]);
  });

  test("an id that is taken: the second agent gets another, says so, and both work", async () => {
    const first = await world.startAgent({ id: "job" });
    const second = await world.startAgent({ id: "job" });
    assert.equal(first.rendezvous(), "job");
    assert.match(second.rendezvous(), /^job-[a-z2-9]{4}$/);
    assert.deepEqual(second.news, [ready(second, "job")]);
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
      /waiting for it, up to 1s\.\nconverge: No agent came as never within 1s\. /,
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

/**
 * Shipped: the very files that people are given, agent.cjs, the executable and wsproxy.cjs, through a
 * client's whole life, refusals and ends in the middle among them. After each the agent must still
 * let people in; a program from source would hide what a bundler or a runtime changes.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  type RelayProgram,
  relayProgram,
} from "../support/programs.ts";
import { messages, openSession, rawClient } from "../support/raw-client.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram();
});
after(() => endPrograms());

/** What people are given: how the agent is started, and wsproxy. */
const shipped = {
  "agent.cjs": [process.execPath, shippedFile("agent.cjs")],
  executable: [shippedFile("agent-linux-x64")],
} as const;

const options = (agent: AgentProgram): string[] => [
  "-F/dev/null",
  `-oProxyCommand=${process.execPath} ${shippedFile("wsproxy.cjs")} --fingerprint ${agent.ready.fingerprint} ${agent.ready.clientUrl}`,
  "-oUserKnownHostsFile=/dev/null",
  "-oStrictHostKeyChecking=accept-new",
  "-oIdentitiesOnly=yes",
  "-oBatchMode=yes",
  "-oLogLevel=ERROR",
  "-i",
  agent.keyFile,
];

/** Runs ssh, or another of OpenSSH's programs; its status and what it said. */
async function client(agent: AgentProgram, args: string[], input = "", file = "ssh") {
  const to = file === "ssh" ? ["x@agent"] : [];
  const at = args.indexOf("--");
  const [own, rest] = at < 0 ? [[], args] : [args.slice(0, at), args.slice(at + 1)];
  return await finished(program(file, [...options(agent), ...own, ...to, ...rest], { input }));
}

type Scenario = readonly [
  name: string,
  flags: readonly string[],
  live: (agent: AgentProgram) => Promise<void>,
];

const refused =
  (args: string[], file = "ssh"): Scenario[2] =>
  async (agent) => {
    const { status } = await client(agent, args, "", file);
    assert.ok(status !== 0 && status !== null, `status ${status}`);
  };

const scenarios: readonly Scenario[] = [
  ["a refused command", ["--no-exec"], refused(["true"])],
  ["a refused command, read-only", ["--read-only"], refused(["true"])],
  ["a refused terminal", ["--read-only"], refused(["-tt", "--"])],
  ["refused sftp", ["--no-sftp"], refused(["x@agent"], "sftp")],
  ["an unknown subsystem", [], refused(["-s", "--", "netconf"])],
  [
    "a refused forward",
    ["--no-port-forwarding"],
    refused(["-oExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "--", "true"]),
  ],
  [
    "a session that asks for nothing and vanishes",
    [],
    async (agent) => {
      const raw = await rawClient(agent.ready.clientUrl, agent.keyFile);
      await openSession(raw);
      raw.end();
      await until("it is gone", () => raw.isOver());
    },
  ],
  [
    "a session that asks for nothing and is closed: so is its other half",
    [],
    async (agent) => {
      const raw = await rawClient(agent.ready.clientUrl, agent.keyFile);
      const channel = await openSession(raw, { number: 7 });
      raw.send(messages.channelClose, channel);
      assert.equal((await raw.hear(messages.channelClose)).readUInt32BE(1), 7);
      raw.end();
    },
  ],
  [
    "a session that is refused half way and closed: so is its other half",
    ["--no-exec"],
    async (agent) => {
      const raw = await rawClient(agent.ready.clientUrl, agent.keyFile);
      const channel = await openSession(raw, { number: 9 });
      raw.send(messages.channelRequest, channel, "exec", Buffer.of(1), "true");
      assert.equal((await raw.hear(messages.channelFailure)).readUInt32BE(1), 9);
      raw.send(messages.channelClose, channel);
      assert.equal((await raw.hear(messages.channelClose)).readUInt32BE(1), 9);
      raw.end();
    },
  ],
  [
    "a client that vanishes while a command prints",
    [],
    async (agent) => {
      const raw = await rawClient(agent.ready.clientUrl, agent.keyFile);
      const channel = await openSession(raw);
      raw.send(messages.channelRequest, channel, "exec", Buffer.of(1), "yes");
      await raw.hear(messages.channelData);
      raw.end();
      await until("it is gone", () => raw.isOver());
    },
  ],
  [
    "a command of 120 kB",
    [],
    async (agent) => {
      const { status, out } = await client(agent, [`: ${"x".repeat(120_000)}; echo $?`]);
      assert.deepEqual([status, out], [0, "0\n"]);
    },
  ],
  [
    "a command and its status",
    [],
    async (agent) => {
      const { status, out, err } = await client(agent, ["cat; echo no >&2; exit 7"], "in\n");
      assert.deepEqual([status, out], [7, "in\n"]);
      assert.match(err, /\bno\n$/);
    },
  ],
  [
    "a shell on a terminal",
    [],
    async (agent) => {
      const { status, out } = await client(agent, ["-tt", "--"], "echo $((6*7)); tty; exit 3\n");
      assert.equal(status, 3);
      assert.match(out, /42\r\n[\s\S]*\/dev\/pts\/\d/);
    },
  ],
  [
    "sftp and scp",
    [],
    async (agent) => {
      const file = join(folder(), "sent");
      writeFileSync(file, "some bytes");
      const put = await client(
        agent,
        ["x@agent"],
        `put ${file} put\nln -s put link\nls -l\n`,
        "sftp",
      );
      assert.equal(put.status, 0, put.err);
      assert.equal(readFileSync(join(agent.dir, "link"), "utf8"), "some bytes");
      const got = await client(agent, ["x@agent:put", `${file}-got`], "", "scp");
      assert.equal(got.status, 0, got.err);
      assert.equal(readFileSync(`${file}-got`, "utf8"), "some bytes");
    },
  ],
  [
    "forwards both ways",
    [],
    async (agent) => {
      const server = createServer((socket) => void socket.end("hello"));
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", () => done()));
      const address = server.address();
      const port = typeof address === "object" ? address?.port : 0;
      const { out } = await client(agent, [`-W127.0.0.1:${port}`, "--"]).finally(() =>
        server.close(),
      );
      assert.equal(out, "hello");
    },
  ],
  [
    "several channels on one connection, a refused one among them",
    [],
    async (agent) => {
      const control = join(folder(), "control");
      const path = [`-oControlPath=${control}`];
      const master = program("ssh", [...options(agent), ...path, "-MN", "x@agent"]);
      const over = (args: string[]) => client(agent, [...path, ...args]);
      await until("the master is there", async () => {
        const { status } = await over(["-O", "check", "--"]);
        return status === 0;
      });
      const answers = await Promise.all([
        over(["--", "echo one"]),
        over(["-s", "--", "netconf"]),
        over(["--", "exit 4"]),
      ]);
      assert.deepEqual(
        answers.map(({ status, out }) => [status, out]),
        [
          [0, "one\n"],
          [255, ""],
          [4, ""],
        ],
      );
      await over(["-O", "exit", "--"]);
      await master.exited;
    },
  ],
];

for (const [kind, command] of Object.entries(shipped))
  for (const [name, flags, live] of scenarios)
    test(`${kind}: ${name}, and the agent lets people in afterwards`, async () => {
      const agent = await agentProgram(relay.url, ["--linger", "5m", ...flags], {}, command);
      await live(agent);
      const isOpen = !flags.includes("--no-exec") && !flags.includes("--read-only");
      const { status, out } = isOpen
        ? await client(agent, ["echo still here"])
        : await client(agent, ["x@agent"], "pwd\n", "sftp");
      assert.deepEqual([agent.ended(), status], [null, 0], agent.err());
      assert.match(out, isOpen ? /still here/ : /working directory/);
      agent.kill("SIGTERM");
      assert.deepEqual(await agent.exited, { status: 143, signal: null });
    });

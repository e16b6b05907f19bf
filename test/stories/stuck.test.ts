/**
 * Stuck: programs and servers in the job that do not read what a client sends them. Others still get
 * in, and SIGTERM still ends the agent.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  type RelayProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";

let relay: RelayProgram;
let deaf: Server;
let broken: Record<string, string>;
before(async () => {
  relay = await relayProgram();
  deaf = createServer((socket) => void socket.on("error", () => {}).pause());
  await new Promise<void>((done) => deaf.listen(0, "127.0.0.1", () => done()));
  const file = join(folder(), "no-addon.cjs");
  writeFileSync(file, `process.dlopen = () => { throw new Error("cannot load"); };\n`);
  broken = { NODE_OPTIONS: `--require ${file}` };
});
after(async () => {
  await endPrograms();
  deaf.close();
});

const port = (): string => {
  const address = deaf.address();
  return `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
};

for (const [name, args, first, env] of [
  ["a terminal whose program never reads", () => ["-tt", "echo ready; sleep 300"], "", null],
  ["a terminal that ^S has stopped", () => ["-tt", "echo ready; cat"], "\x13", null],
  ["a terminal of script", () => ["-tt", "echo ready; sleep 300"], "", () => broken],
  ["a command that never reads", () => ["echo ready; sleep 300"], "", null],
  ["a command that is stopped", () => ["echo ready; kill -STOP $$"], "", null],
  ["a forward to a server that never reads", () => [`-W${port()}`], "", null],
] as const)
  test(`${name}: another client gets in, and SIGTERM ends the agent`, async () => {
    const command = [process.execPath, shippedFile("agent.cjs")] as const;
    const agent: AgentProgram = await agentProgram(relay.url, [], { env: env?.() ?? {} }, command);
    // OpenSSH takes options also after the host, as long as no command came.
    const stuck = program("ssh", [...sshArgs(agent), ...args()], { input: "open" });
    if (args().some((arg) => arg.includes("ready"))) await stuck.see("ready");
    stuck.child.stdin?.write(first);
    // More than ssh's window, the agent's own buffers and any pipe hold.
    stuck.child.stdin?.write(Buffer.alloc(8 << 20, "y\n"));
    // What it has taken stays the same: all the others wait.
    let same = 0;
    let last = -1;
    await until("it takes no more", () => {
      const now = stuck.child.stdin?.writableLength ?? 0;
      same = now === last ? same + 1 : 0;
      last = now;
      return same > 20;
    });
    const { status, out } = await finished(ssh(agent, ["echo I am in"]));
    assert.deepEqual([status, out], [0, "I am in\n"], agent.err());
    agent.kill("SIGTERM");
    assert.deepEqual(await agent.exited, { status: 143, signal: null });
    stuck.kill("SIGKILL");
    await stuck.exited;
  });

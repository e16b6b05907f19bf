/**
 * World: a relay, an agent and OpenSSH's own clients, with one clock. Relay and agent run in this
 * process on port 0; ssh, scp, sftp, rsync and wsproxy are the real programs.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Agent, type AgentOptions, startAgent } from "./agent.ts";
import { type Result, run } from "./child.ts";
import { type HandClock, handClock } from "./clock.ts";
import { ed25519Pair } from "./ed25519-pair.ts";
import { openRelay, type Relay } from "./relay.ts";
import { type Screen, screen } from "./screen.ts";
import { built } from "./shipped.ts";
import { until } from "./until.ts";

export interface World {
  readonly clock: HandClock;
  readonly dir: string;
  readonly keyFile: string;
  readonly publicKey: string;
  relay: Relay;
  agent: Agent;
  startAgent(options?: AgentOptions): Promise<Agent>;
  /** Options that lead any OpenSSH client to an agent; `wsproxy` are flags of the proxy command. */
  options(agent?: Agent, wsproxy?: string): string[];
  ssh(
    args: string[],
    how?: { input?: Buffer | string; agent?: Agent; key?: string; wsproxy?: string },
  ): Promise<Result>;
  /** An ssh in a terminal of its own. */
  terminal(args?: string[], how?: { agent?: Agent; key?: string }): Screen;
  newKey(comment?: string): { file: string; publicKey: string };
  close(): Promise<void>;
}

/** Puts a world together: a relay, an agent, a key. `null` starts no agent. */
export async function meet(
  options: AgentOptions | null = {},
  origin: Parameters<typeof openRelay>[1] = {},
  clock: HandClock = handClock(),
): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), "converge-test-"));
  const cleanups: (() => void | Promise<void>)[] = [];
  let keys = 0;

  const newKey = (comment = "dev@laptop"): { file: string; publicKey: string } => {
    keys += 1;
    const pair = ed25519Pair(comment);
    const file = join(dir, `key-${keys}`);
    writeFileSync(file, pair.private, { mode: 0o600 });
    return { file, publicKey: pair.public };
  };
  const own = newKey();

  async function start(options: AgentOptions = {}): Promise<Agent> {
    const place = { dir, relay: world.relay.url, clock };
    const { agent, close } = await startAgent(place, { keys: own.publicKey, ...options });
    cleanups.push(close);
    await until("the agent is registered, or ended", () => agent.news.length > 0 || agent.ending());
    return agent;
  }

  const optionsFor = (agent: Agent = world.agent, wsproxy = ""): string[] => [
    "-F/dev/null",
    `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${wsproxy} --fingerprint ${agent.fingerprint} ${world.relay.url.href.replace(/\/$/, "")}/client/${agent.rendezvous()}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-oBatchMode=yes",
  ];

  const world: World = {
    clock,
    dir,
    keyFile: own.file,
    publicKey: own.publicKey,
    relay: await openRelay(clock, origin),
    agent: null as unknown as Agent,
    startAgent: start,
    options: optionsFor,
    newKey,
    ssh: (args, how = {}) =>
      run(
        "ssh",
        [...optionsFor(how.agent, how.wsproxy), "-i", how.key ?? own.file, "job@agent", ...args],
        how.input === undefined ? {} : { input: how.input },
      ),
    terminal: (args = [], how = {}) => {
      const shown = screen("ssh", [
        ...optionsFor(how.agent),
        "-i",
        how.key ?? own.file,
        "-tt",
        "job@agent",
        ...args,
      ]);
      cleanups.push(() => {
        try {
          process.kill(shown.pid, "SIGKILL");
        } catch {
          // it has ended by itself, as it should
        }
      });
      return shown;
    },
    close: async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
      await world.relay.close();
      clock.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  if (options) world.agent = await start(options);
  return world;
}

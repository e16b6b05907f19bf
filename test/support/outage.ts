/**
 * Outage: a relay that is killed and comes back at its port, with an agent that stays. It knows nothing
 * of who uses them. A test that has one calls `endPrograms` when it is over.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "./child.ts";
import { type AgentProgram, agentProgram, type RelayProgram, relayProgram } from "./programs.ts";
import { until } from "./until.ts";

export interface Outage {
  readonly agent: AgentProgram;
  /** The one that runs, or ran last. */
  relay(): RelayProgram;
  kill(): Promise<void>;
  /** Resolves when it listens. */
  revive(): Promise<void>;
}

/** The agent does not end with its last client. */
export async function outage(
  relayArgs: readonly string[] = [],
  agentArgs: readonly string[] = [],
): Promise<Outage> {
  let relay = await relayProgram(relayArgs);
  const { port, url } = relay;
  const agent = await agentProgram(url, ["--log-level", "debug", ...agentArgs]);
  writeFileSync(join(agent.dir, ".hold"), "");
  return {
    agent,
    relay: () => relay,
    kill: async () => {
      relay.kill("SIGKILL");
      await relay.exited;
    },
    revive: async () => {
      relay = await relayProgram(relayArgs, { port });
    },
  };
}

/** How often the agent has announced this. */
export const times = (agent: AgentProgram, event: string): number =>
  agent.news().filter((news) => news["event"] === event).length;

/**
 * Kills the relay at a third and at two thirds of `whole`, as `soFar` counts, and revives it each time.
 * Fails if the program has ended by then: that would be no middle.
 */
export async function killTwice(
  { kill, revive }: Outage,
  run: Pick<Program, "ended" | "err" | "out">,
  soFar: () => number,
  whole: number,
): Promise<void> {
  for (const share of [1 / 3, 2 / 3]) {
    await until(`${Math.round(100 * share)} % has gone over`, () => {
      if (run.ended()) throw new Error(`it has ended: ${run.err().slice(-2_000)}`);
      return soFar() >= share * whole;
    });
    await kill();
    await revive();
  }
}

/** Programs that were started with that word among their arguments. */
export const pidsWith = (word: string): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word);
      } catch {
        return false; // it has ended meanwhile
      }
    })
    .map(Number);

export const sha256 = (data: string | Buffer): string =>
  createHash("sha256").update(data).digest("hex");

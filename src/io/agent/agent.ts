/**
 * Agent: a whole one, ports and actor together, as the program, the tests and the bench start it.
 * Where its settings come from is their business.
 */
import { type AgentConfig, type RunningAgent, startAgent } from "../../actors/agent.ts";
import type { Clock } from "../../actors/clock.ts";
import type { Log } from "../../actors/ports.ts";
import { type AgentPortsConfig, openAgentPorts } from "./ports.ts";

export interface OpenAgentConfig extends AgentPortsConfig, Pick<AgentConfig, "id" | "limits"> {}

/**
 * Opens the ports and starts the agent; `signal` ends it in order. Rejects with `CONVERGE_NO_SHELL` or
 * `CONVERGE_NO_KEYS` before anything was dialled; what comes later is in `ended`.
 */
export async function openAgent(
  config: OpenAgentConfig,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<RunningAgent> {
  const ports = await openAgentPorts(config, clock, log);
  const { id, limits, hostKey, relay } = config;
  return startAgent(
    { id, limits, fingerprint: hostKey.fingerprint, relay: relay.host },
    ports,
    clock,
    signal,
  );
}

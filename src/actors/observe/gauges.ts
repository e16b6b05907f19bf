/**
 * Gauges: how many are there now, counted from the relay's snapshot as the sessions page shows it.
 * It knows no names and no addresses: what comes out is as large for a million agents as for one.
 */
import type { SnapshotFrom } from "xstate";
import type { relayMachine } from "../../machines/relay.ts";
import type { AgentStatus, ChannelKind } from "../../machines/vocabulary.ts";
import { type ClientRow, stateOf } from "./roster.ts";

export const agentStates = ["waiting", "occupied", "held", "lost", "lingering", "ending"] as const;
export const clientStates = ["waiting", "summoning", "connected", "detached"] as const;
export const channelKinds = ["shell", "exec", "sftp", "forward"] as const;

export interface Gauges {
  /** Agents whose control link stands, by what they last said of themselves. */
  readonly agents: Readonly<Record<AgentStatus["state"], number>>;
  readonly clients: Readonly<Record<ClientRow["state"], number>>;
  /** Connected clients that have used a kind of channel; one may be in several. */
  readonly kinds: Readonly<Record<ChannelKind, number>>;
}

const zeros = <K extends string>(keys: readonly K[]): Record<K, number> =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;

export function gauges({ context }: SnapshotFrom<typeof relayMachine>): Gauges {
  const agents = zeros<AgentStatus["state"]>(agentStates);
  const clients = zeros<ClientRow["state"]>(clientStates);
  const kinds = zeros<ChannelKind>(channelKinds);
  for (const { control, status, detached } of context.agents.all) {
    clients.detached += detached.length;
    if (control !== null) agents[status?.state ?? "waiting"] += 1;
  }
  for (const pairing of context.pairings.all()) {
    const state = stateOf(pairing);
    clients[state] += 1;
    if (state === "connected")
      for (const kind of new Set(pairing.context.report?.kinds)) kinds[kind] += 1;
  }
  return { agents, clients, kinds };
}

/**
 * Registry: which agent an id belongs to. Pure rules about who may have it, and for how long it
 * stays somebody's who is lost; the relay's machine keeps the entries.
 */
import type { AgentFacts, AgentStatus, IdentityKey, LinkId, RendezvousId } from "./vocabulary.ts";

export interface Registration {
  readonly control: LinkId;
  /** Where the agent dials from. */
  readonly address: string;
  readonly asked: RendezvousId;
  /** Those that it may have, in order; the one asked for is first if it is among them. */
  readonly ids: readonly RendezvousId[];
  readonly key: IdentityKey;
  readonly facts: AgentFacts;
  /** Whose token let it register; null where none is wanted. */
  readonly voucher: string | null;
  /** Wall clock, as are all `atMs`. */
  readonly atMs: number;
}

export interface AgentEntry {
  readonly key: IdentityKey;
  readonly facts: AgentFacts;
  readonly address: string;
  readonly sinceMs: number;
  /** Since when its last link stands, or stood. */
  readonly onlineAtMs: number;
  /** Null while the control link is lost. */
  readonly control: LinkId | null;
  readonly lostAtMs: number;
  readonly status: AgentStatus | null;
  /** When the status came, so that `leftMs` can be counted down from there. */
  readonly statusAtMs: number;
}

/** The entries, and how long a lost one is remembered. */
export interface Agents {
  readonly agents: ReadonlyMap<RendezvousId, AgentEntry>;
  readonly rememberMs: number;
}

/** Whether an agent is there, or was lost so recently that the id is still its own. */
const isRemembered = (agent: AgentEntry, { rememberMs }: Agents, atMs: number): boolean =>
  agent.control !== null || atMs - agent.lostAtMs < rememberMs;

/** The first of the ids that is free or already this key's; null when none is. */
export function idFor(context: Agents, { ids, key, atMs }: Registration): RendezvousId | null {
  const isFree = (id: RendezvousId): boolean => {
    const agent = context.agents.get(id);
    return !agent || agent.key === key || !isRemembered(agent, context, atMs);
  };
  return ids.find(isFree) ?? null;
}

/** The control link that a registration replaces: an agent that came back before its loss was seen. */
export function formerLink(context: Agents, registration: Registration): LinkId | null {
  const id = idFor(context, registration);
  return (id === null ? undefined : context.agents.get(id)?.control) ?? null;
}

/** The agents without those that were lost too long ago to be remembered. */
export function remembered(context: Agents, atMs: number): Map<RendezvousId, AgentEntry> {
  return new Map([...context.agents].filter(([, agent]) => isRemembered(agent, context, atMs)));
}

/** The entries with the registered agent among them, under the first id that it may have. */
export function admitted(context: Agents, registration: Registration): Agents["agents"] {
  const id = idFor(context, registration);
  if (id === null) return context.agents;
  const { key, facts, address, control, atMs } = registration;
  const agents = remembered(context, atMs);
  const before = agents.get(id);
  return agents.set(id, {
    key,
    facts,
    address,
    control,
    sinceMs: before?.sinceMs ?? atMs,
    onlineAtMs: atMs,
    lostAtMs: 0,
    status: before?.status ?? null,
    statusAtMs: before?.statusAtMs ?? atMs,
  });
}

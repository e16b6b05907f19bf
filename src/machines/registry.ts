/**
 * Registry: which agent an id belongs to. Rules about who may have it, for how long it stays
 * somebody's who is lost, and who is forgotten first when too many are. It reads no clock.
 */
import { Sorted } from "./sorted.ts";
import type {
  AgentFacts,
  AgentStatus,
  ClientReport,
  Holder,
  IdentityKey,
  LinkId,
  RendezvousId,
} from "./vocabulary.ts";

/** How long a lost agent keeps its id, at every relay. */
export const rememberMs = 24 * 60 * 60_000;

export interface Registration {
  readonly control: LinkId;
  /** Where the agent dials from. */
  readonly address: string;
  /** Whose that address is. */
  readonly holder: Holder;
  readonly asked: RendezvousId;
  /** Those that it may have, in order; the one asked for is first if it is among them. */
  readonly ids: readonly RendezvousId[];
  readonly key: IdentityKey;
  readonly facts: AgentFacts;
  /** What its side of a stream can do, in words that are only passed on. */
  readonly can: readonly string[];
  /** Whose token let it register; null where none is wanted. */
  readonly voucher: string | null;
  /** Wall clock, as are all `atMs`. */
  readonly atMs: number;
}

export interface AgentEntry {
  readonly id: RendezvousId;
  readonly key: IdentityKey;
  readonly facts: AgentFacts;
  readonly can: readonly string[];
  readonly address: string;
  readonly holder: Holder;
  readonly sinceMs: number;
  /** Since when its last link stands, or stood. */
  readonly onlineAtMs: number;
  /** Null while the control link is lost. */
  readonly control: LinkId | null;
  readonly lostAtMs: number;
  /** What it last said, without its clients: pairings know those. */
  readonly status: Omit<AgentStatus, "clients"> | null;
  /** Those of its clients that have no link now. */
  readonly detached: readonly ClientReport[];
  /** When the status came, so that `leftMs` can be counted down from there. */
  readonly statusAtMs: number;
}

/** How long a lost agent is remembered, and how many may be. */
export interface Memory {
  readonly rememberMs: number;
  /** Agents of one holder, lost ones too. */
  readonly agentsPerHolder: number;
  /** Lost agents of all together. */
  readonly lostMost: number;
}

/** The same for all, for it is what nearly all have. */
const noneAway: readonly ClientReport[] = [];

/** The agents of one holder. */
interface Own {
  count: number;
  /** In the order of their loss. */
  readonly lost: Set<RendezvousId>;
}

/**
 * Changes in place, as pairings do: a copy for each message of an agent took milliseconds once there
 * were thousands. An entry never changes; another takes its place.
 */
export class Registry {
  readonly #memory: Memory;
  readonly #agents = new Map<RendezvousId, AgentEntry>();
  readonly #sorted = new Sorted<AgentEntry>();
  /** In the order of their loss. */
  readonly #lost = new Set<RendezvousId>();
  #detached = 0;
  readonly #owns = new Map<Holder, Own>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  get size(): number {
    return this.#agents.size;
  }

  get(id: RendezvousId): AgentEntry | undefined {
    return this.#agents.get(id);
  }

  /** In order of id. */
  get all(): readonly AgentEntry[] {
    return this.#sorted.all;
  }

  /** Whether an agent is there, or was lost so recently that the id is still its own. */
  isRemembered({ control, lostAtMs }: AgentEntry, atMs: number): boolean {
    return control !== null || atMs - lostAtMs < this.#memory.rememberMs;
  }

  /** The first of the ids that is free or already this key's; null when none is. */
  idFor({ ids, key, atMs }: Registration): RendezvousId | null {
    const isFree = (id: RendezvousId): boolean => {
      const agent = this.#agents.get(id);
      return !agent || agent.key === key || !this.isRemembered(agent, atMs);
    };
    return ids.find(isFree) ?? null;
  }

  /** Whom a registration replaces: a lost agent, or one that came back before its loss was seen. */
  formerOf(registration: Registration): AgentEntry | null {
    const id = this.idFor(registration);
    return (id === null ? undefined : this.#agents.get(id)) ?? null;
  }

  /** The id under which it was admitted; null before that. */
  idOf({ ids, control }: Registration): RendezvousId | null {
    return ids.find((id) => this.#agents.get(id)?.control === control) ?? null;
  }

  /** Takes the agent in, under the first id that it may have. */
  admit(registration: Registration): void {
    const id = this.idFor(registration);
    if (id === null) return;
    const { key, facts, can, address, holder, control, atMs } = registration;
    this.#forgetOld(atMs);
    const former = this.#agents.get(id);
    const before = former?.key === key ? former : undefined;
    this.forget(id);
    this.#put({
      id,
      key,
      facts,
      can,
      address,
      holder,
      control,
      sinceMs: before?.sinceMs ?? atMs,
      onlineAtMs: atMs,
      lostAtMs: 0,
      status: before?.status ?? null,
      detached: before?.detached ?? [],
      statusAtMs: before?.statusAtMs ?? atMs,
    });
    const own = this.#owns.get(holder) ?? { count: 0, lost: new Set() };
    this.#owns.set(holder, own);
    own.count += 1;
    for (const oldest of own.lost) {
      if (own.count <= this.#memory.agentsPerHolder) break;
      this.forget(oldest);
    }
  }

  note(id: RendezvousId, { clients, ...status }: AgentStatus, atMs: number): void {
    const agent = this.#agents.get(id);
    const away = clients.filter(({ detachedMs }) => detachedMs !== undefined);
    const detached = away.length > 0 ? away : noneAway;
    if (agent) this.#put({ ...agent, status, detached, statusAtMs: atMs });
  }

  /** One of its clients has a link again. */
  noteResumed(id: RendezvousId, stream: number | undefined): void {
    const agent = this.#agents.get(id);
    if (!agent?.detached.some((client) => client.stream === stream)) return;
    const detached = agent.detached.filter((client) => client.stream !== stream);
    this.#put({ ...agent, detached });
  }

  /**
   * Its link is lost, and it is remembered. When that makes too many, the oldest of its own holder is
   * forgotten, and one of another holder's only when there is none.
   */
  lose(id: RendezvousId, atMs: number): void {
    const agent = this.#agents.get(id);
    const own = agent && this.#owns.get(agent.holder);
    if (!own) return;
    this.#forgetOld(atMs);
    if (this.#lost.size >= this.#memory.lostMost) {
      const [oldest] = own.lost.size > 0 ? own.lost : this.#lost;
      if (oldest !== undefined) this.forget(oldest);
    }
    this.#put({ ...agent, control: null, lostAtMs: atMs });
    this.#lost.add(id);
    own.lost.add(id);
  }

  /** Its id is free. */
  forget(id: RendezvousId): void {
    const agent = this.#agents.get(id);
    if (!agent) return;
    this.#agents.delete(id);
    this.#detached -= agent.detached.length;
    this.#sorted.delete(id);
    this.#lost.delete(id);
    const own = this.#owns.get(agent.holder);
    own?.lost.delete(id);
    if (own) own.count -= 1;
    if (own?.count === 0) this.#owns.delete(agent.holder);
  }

  /** Clients without a link, of all agents. */
  get detached(): number {
    return this.#detached;
  }

  #put(agent: AgentEntry): void {
    this.#detached += agent.detached.length - (this.#agents.get(agent.id)?.detached.length ?? 0);
    this.#agents.set(agent.id, agent);
    this.#sorted.put(agent);
  }

  /** Those that were lost too long ago: the first of the lost, so the others are not looked at. */
  #forgetOld(atMs: number): void {
    for (const id of this.#lost) {
      const agent = this.#agents.get(id);
      if (agent && this.isRemembered(agent, atMs)) return;
      this.forget(id);
    }
  }
}

/**
 * A plain model of the relay, of maps and sets: who is there, who knocks, and what is said to whom. It
 * knows nothing of machines, and is as slow as it likes.
 */
import type {
  AgentStatus,
  ChannelKind,
  ClientReport,
  Holder,
  IdentityKey,
  LinkId,
  PairingOutcome,
  RendezvousId,
  Ticket,
} from "../../src/machines/vocabulary.ts";

/** Small, so that a run of a few dozen steps meets each bound. */
export const bounds = { summonMs: 10_000, rememberMs: 40_000, agentsPerHolder: 3, lostMost: 2 };
export interface Agent {
  readonly key: IdentityKey;
  readonly holder: Holder;
  readonly control: LinkId | null;
  readonly sinceMs: number;
  readonly lostAtMs: number;
  readonly state: AgentStatus["state"] | null;
}

interface Pair {
  readonly id: RendezvousId;
  state: "parked" | "summoning" | "asleep";
  /** When it gives up; never, once it is spliced. */
  endsAtMs: number;
  /** What its agent has said of its client. */
  readonly kinds: Set<ChannelKind>;
  login: string | null;
}

/** The whole of what a relay should know. */
export class RelayModel {
  nowMs = 0;
  readonly agents = new Map<RendezvousId, Agent>();
  /** In the order of their loss. */
  readonly lost = new Set<RendezvousId>();
  readonly pairs = new Map<Ticket, Pair>();
  readonly tickets: Ticket[] = [];
  readonly links: LinkId[] = [];
  readonly outcomes = new Map<Ticket, PairingOutcome["kind"]>();
  /** Since the last look. */
  said: string[] = [];

  #forget(id: RendezvousId): void {
    this.agents.delete(id);
    this.lost.delete(id);
  }

  #forgetOld(): void {
    for (const id of this.lost) {
      const agent = this.agents.get(id);
      if (agent && !this.isRemembered(agent)) this.#forget(id);
    }
  }

  register(control: LinkId, ids: readonly RendezvousId[], key: IdentityKey, holder: Holder): void {
    this.links.push(control);
    this.#forgetOld();
    const id = ids.find((one) => (this.agents.get(one)?.key ?? key) === key);
    if (id === undefined) {
      this.said.push(`${control} turned away`);
      return;
    }
    const former = this.agents.get(id);
    if (former?.control) this.said.push(`${former.control} dismissed`);
    this.said.push(`${control} is ${id}`);
    this.#forget(id);
    const { sinceMs = this.nowMs, state = null } = former ?? {};
    this.agents.set(id, { key, holder, control, sinceMs, lostAtMs: 0, state });
    const isOwn = (one: RendezvousId): boolean => this.agents.get(one)?.holder === holder;
    const excess = [...this.agents.keys()].filter(isOwn).length - bounds.agentsPerHolder;
    for (const one of [...this.lost].filter(isOwn).slice(0, Math.max(0, excess))) this.#forget(one);
    for (const [ticket, pair] of this.pairs)
      if (pair.id === id && pair.state !== "asleep") this.#summon(ticket, pair, control);
  }

  #summon(ticket: Ticket, pair: Pair, control: LinkId): void {
    pair.state = "summoning";
    pair.endsAtMs = this.nowMs + bounds.summonMs;
    this.said.push(`${control} summoned for ${ticket}`);
  }

  /** Whether the agent is there by this very link: all others are of the past. */
  isCurrent(id: RendezvousId, control: LinkId): boolean {
    return this.agents.get(id)?.control === control;
  }

  lose(id: RendezvousId, control: LinkId): void {
    const agent = this.agents.get(id);
    if (!agent || !this.isCurrent(id, control)) return;
    this.#forgetOld();
    if (this.lost.size >= bounds.lostMost) {
      const all = [...this.lost];
      const own = all.find((one) => this.agents.get(one)?.holder === agent.holder);
      const oldest = own ?? all[0];
      if (oldest !== undefined) this.#forget(oldest);
    }
    this.agents.set(id, { ...agent, control: null, lostAtMs: this.nowMs });
    this.lost.add(id);
  }

  leave(id: RendezvousId, control: LinkId): void {
    if (this.isCurrent(id, control)) this.#forget(id);
  }

  report(id: RendezvousId, control: LinkId, state: AgentStatus["state"]): void {
    const agent = this.agents.get(id);
    if (agent && this.isCurrent(id, control)) this.agents.set(id, { ...agent, state });
  }

  reportClient(id: RendezvousId, control: LinkId, { ticket, kinds, login }: ClientReport): void {
    const pair = this.pairs.get(ticket);
    if (!pair || pair.id !== id || !this.isCurrent(id, control)) return;
    for (const kind of kinds) pair.kinds.add(kind);
    pair.login ??= login?.fingerprint ?? null;
  }

  knock(id: RendezvousId, ticket: Ticket, waitMs: number): void {
    this.tickets.push(ticket);
    const endsAtMs = this.nowMs + waitMs;
    const pair: Pair = { id, state: "parked", endsAtMs, kinds: new Set(), login: null };
    this.pairs.set(ticket, pair);
    const control = this.agents.get(id)?.control;
    if (control) this.#summon(ticket, pair, control);
    else if (waitMs === 0) this.end(ticket, "no such rendezvous");
    else this.said.push(`${ticket} waits`);
  }

  end(ticket: Ticket, kind: PairingOutcome["kind"]): void {
    if (!this.pairs.delete(ticket)) return;
    this.outcomes.set(ticket, kind);
    this.said.push(`${ticket} ended: ${kind}`);
  }

  /** Whether the id is still its own. */
  isRemembered({ control, lostAtMs }: Agent): boolean {
    return control !== null || this.nowMs - lostAtMs < bounds.rememberMs;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    const due = [...this.pairs].filter(([, { endsAtMs }]) => endsAtMs <= this.nowMs);
    for (const [ticket, { state }] of due)
      this.end(ticket, state === "parked" ? "no such rendezvous" : "agent silent");
  }
}

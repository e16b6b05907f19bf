/**
 * Pairings: those of one relay, by ticket. A spliced one has nothing to do until it ends, and there
 * may be thousands for hours: of those only what they know is kept, and an event wakes them.
 */
import { type ActorRefFrom, createActor, type SnapshotFrom } from "xstate";
import type { PairingContext, PairingEvent, PairingInput, pairingMachine } from "./pairing.ts";
import { Sorted } from "./sorted.ts";
import type { RendezvousId, Ticket } from "./vocabulary.ts";

type Machine = typeof pairingMachine;
type Awake = ActorRefFrom<Machine>;

const isAwake = (pairing: Awake | PairingContext): pairing is Awake => "getSnapshot" in pairing;

/** Those with one id, in the order in which they came. */
export interface Group {
  readonly id: RendezvousId;
  readonly tickets: Set<Ticket>;
}

/** What is to be seen of a pairing that is not over. */
export interface PairingView {
  readonly state: SnapshotFrom<Machine>["value"];
  readonly context: PairingContext;
}

/**
 * Changes in place: a copy for each knock, as of the table that xstate keeps of spawned children,
 * took milliseconds.
 */
export class Pairings {
  readonly #machine: Machine;
  /** In the order in which they came. */
  readonly #pairings = new Map<Ticket, Awake | PairingContext>();
  readonly #ofId = new Map<RendezvousId, Group>();
  readonly #sorted = new Sorted<Group>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** How many there are; one that is over counts until it is deleted. */
  get size(): number {
    return this.#pairings.size;
  }

  has(ticket: Ticket): boolean {
    return this.#pairings.has(ticket);
  }

  open(input: PairingInput): void {
    const { id, ticket, owner } = input;
    const pairing = createActor(this.#machine, { id: ticket, parent: owner, input });
    this.#pairings.set(ticket, pairing);
    const own = this.#ofId.get(id) ?? { id, tickets: new Set() };
    own.tickets.add(ticket);
    if (own.tickets.size === 1) this.#sorted.put(own);
    this.#ofId.set(id, own);
    pairing.start();
  }

  /** Nothing happens when there is none with that ticket. */
  send(ticket: Ticket, event: PairingEvent): void {
    const pairing = this.#awaken(ticket);
    if (!pairing) return;
    pairing.send(event);
    const { value, context } = pairing.getSnapshot();
    if (value === "asleep") this.#pairings.set(ticket, context);
  }

  /** To all, or to those of an id. */
  sendAll(event: PairingEvent, id?: RendezvousId): void {
    for (const { context } of id === undefined ? this.all() : this.ofId(id))
      this.send(context.ticket, event);
  }

  /** Null when there is none, or it is over. */
  of(ticket: Ticket): PairingView | null {
    const pairing = this.#pairings.get(ticket);
    if (!pairing) return null;
    if (!isAwake(pairing)) return { state: "asleep", context: pairing };
    const { status, value, context } = pairing.getSnapshot();
    return status === "active" ? { state: value, context } : null;
  }

  all(): PairingView[] {
    return [...this.#pairings.keys()].flatMap((ticket) => this.of(ticket) ?? []);
  }

  /** Those of an id, in the order in which they came; of many, the first `most`. */
  ofId(id: RendezvousId, most = Number.POSITIVE_INFINITY): PairingView[] {
    const views: PairingView[] = [];
    for (const ticket of this.#ofId.get(id)?.tickets ?? []) {
      if (views.length >= most) break;
      const view = this.of(ticket);
      if (view) views.push(view);
    }
    return views;
  }

  /** How many an id has. */
  countOf(id: RendezvousId): number {
    return this.#ofId.get(id)?.tickets.size ?? 0;
  }

  /** Those with one id, for each id that has some, in order of id. */
  get groups(): readonly Group[] {
    return this.#sorted.all;
  }

  delete(ticket: Ticket): void {
    const pairing = this.#pairings.get(ticket);
    if (!pairing) return;
    const { id } = isAwake(pairing) ? pairing.getSnapshot().context : pairing;
    this.#pairings.delete(ticket);
    const own = this.#ofId.get(id);
    own?.tickets.delete(ticket);
    if (own?.tickets.size !== 0) return;
    this.#ofId.delete(id);
    this.#sorted.delete(id);
  }

  #awaken(ticket: Ticket): Awake | undefined {
    const pairing = this.#pairings.get(ticket);
    if (!pairing || isAwake(pairing)) return pairing;
    const snapshot = this.#machine.resolveState({ value: "spliced", context: pairing });
    const options = { id: ticket, parent: pairing.owner, snapshot, input: pairing };
    const awake = createActor(this.#machine, options);
    this.#pairings.set(ticket, awake);
    awake.start();
    return awake;
  }
}

/**
 * Threshold: how much of the relay's websockets one address, one id and all together may have.
 * What is too much is refused before there is a websocket. It knows no session.
 */
import type { Clock } from "../../../actors/clock.ts";
import type { Holder } from "../../../machines/vocabulary.ts";
import { holderOf } from "../../holder.ts";
import { openMisses } from "./misses.ts";
import { type Newcomers, openNewcomers } from "./newcomers.ts";
import { bucket } from "./rates.ts";
import type { Door, Refusal } from "./routes.ts";
import { type Tally, tally } from "./tally.ts";

export interface Limits {
  /** Agents' control links of one address. */
  readonly agentsPerAddress: number;
  /** Upgrades of one address in the long run; at once it may be twenty times as many. */
  readonly connectionsPerSecond: number;
  /** Websockets altogether. */
  readonly maxConnections: number;
}

/** Generous: a whole CI fleet may be behind one address. */
export const defaultLimits: Limits = {
  agentsPerAddress: 5_000,
  connectionsPerSecond: 100,
  maxConnections: 20_000,
};

/** Clients of one address that asked to wait and have not been joined with an agent. */
const parkedMost = 100;
const burstSeconds = 20;
/** Addresses that are remembered; beyond, the one that was quiet longest is forgotten. */
const addressesMost = 10_000;

export interface Threshold {
  /** Why this may not come in, or null. Asking counts. */
  refusalOf(address: string, door: Door): Refusal | null;
  readonly agents: Tally<Holder>;
  readonly newcomers: Newcomers;
  readonly parked: Tally<Holder>;
  /** A client of that address asked for an id that nobody has. */
  missed(address: string): void;
}

export function openThreshold(
  { agentsPerAddress, connectionsPerSecond, maxConnections }: Limits,
  connections: () => number,
  clock: Clock,
): Threshold {
  const arrivals = new Map<Holder, () => boolean>();
  const mayCome = (holder: Holder): boolean => {
    const rate =
      arrivals.get(holder) ??
      bucket(clock, burstSeconds * connectionsPerSecond, connectionsPerSecond);
    arrivals.delete(holder); // and in again as the newest
    arrivals.set(holder, rate);
    const [quietest] = arrivals.keys();
    if (arrivals.size > addressesMost && quietest !== undefined) arrivals.delete(quietest);
    return rate();
  };
  const misses = openMisses(clock);
  const agents = tally<Holder>();
  const newcomers = openNewcomers();
  const parked = tally<Holder>();
  const tooMany = (reason: Refusal["reason"], sentence: string): Refusal => ({
    reason,
    status: 429,
    sentence,
  });
  return {
    agents,
    newcomers,
    parked,
    missed: (address) => misses.note(holderOf(address)),
    refusalOf: (address, door) => {
      const holder = holderOf(address);
      if (connections() >= maxConnections)
        return { reason: "full", status: 503, sentence: "The relay is full: try again later." };
      if (!mayCome(holder))
        return tooMany("too fast", "Your address connects too often: wait a minute.");
      if (door.kind === "agent" && agents.of(holder) >= agentsPerAddress)
        return tooMany("too many agents", "Too many agents of your address are connected.");
      if (door.kind !== "client") return null;
      if (!misses.mayAsk(holder))
        return tooMany("too many misses", "Too many unknown ids from your address: wait a minute.");
      if (door.waitMs > 0 && parked.of(holder) >= parkedMost)
        return tooMany("too many waiting", "Too many clients of your address are waiting.");
      if (!newcomers.mayCome(door.id, holder))
        return tooMany(
          "too many clients",
          "Too many clients are logging in with this id: try again.",
        );
      return null;
    },
  };
}

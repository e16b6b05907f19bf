/**
 * Limits: how much of the relay's websockets one address, one id and all together may have.
 * What is too much is refused before there is a websocket. It knows no session.
 */
import type { Clock } from "../../../actors/clock.ts";
import type { Holder } from "../../../machines/vocabulary.ts";
import { holderOf } from "../../holder.ts";
import { type Newcomers, newcomersMost, openNewcomers, returningMost } from "./newcomers.ts";
import { Buckets } from "./rates.ts";
import type { Refusal, Route } from "./routes.ts";
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
/**
 * Asking for ids that nobody has: so many at once, and again so many in each minute. Guessing ids
 * opens nothing, and is not to be cheap either.
 */
export const missesMost = 20;

export interface OpenLimits {
  /** Why this may not come in, or null. Asking counts. */
  refusalOf(address: string, route: Route): Refusal | null;
  readonly agents: Tally<Holder>;
  readonly newcomers: Newcomers;
  /** Those who lost their link; the agent says of them too that they are in. */
  readonly returning: Newcomers;
  readonly parked: Tally<Holder>;
  /** A client of that address asked for an id that nobody has. */
  missed(address: string): void;
}

export function openLimits(
  { agentsPerAddress, connectionsPerSecond, maxConnections }: Limits,
  connections: () => number,
  clock: Clock,
): OpenLimits {
  const arrivals = new Buckets<Holder>(clock, {
    most: burstSeconds * connectionsPerSecond,
    perSecond: connectionsPerSecond,
  });
  const misses = new Buckets<Holder>(clock, { most: missesMost, perSecond: missesMost / 60 });
  const agents = tally<Holder>();
  const newcomers = openNewcomers(newcomersMost);
  const returning = openNewcomers(returningMost);
  const tooManyClients = "Too many clients are logging in with this id: try again.";
  const parked = tally<Holder>();
  const tooMany = (reason: Refusal["reason"], sentence: string): Refusal => ({
    reason,
    status: 429,
    sentence,
  });
  return {
    agents,
    newcomers,
    returning,
    parked,
    missed: (address) => {
      const bucket = misses.of(holderOf(address));
      bucket.pay(Math.min(1, bucket.left)); // several may have asked before the first was told
    },
    refusalOf: (address, route) => {
      const holder = holderOf(address);
      if (connections() >= maxConnections)
        return { reason: "full", status: 503, sentence: "The relay is full: try again later." };
      if (!arrivals.of(holder).take())
        return tooMany("too fast", "Your address connects too often: wait a minute.");
      if (route.kind === "agent" && agents.of(holder) >= agentsPerAddress)
        return tooMany("too many agents", "Too many agents of your address are connected.");
      if (route.kind !== "client") return null;
      if (route.isAgain)
        return returning.mayCome(route.id, holder)
          ? null
          : tooMany("too many clients", tooManyClients);
      if (misses.leftOf(holder) < 1)
        return tooMany("too many misses", "Too many unknown ids from your address: wait a minute.");
      if (route.waitMs > 0 && parked.of(holder) >= parkedMost)
        return tooMany("too many waiting", "Too many clients of your address are waiting.");
      if (!newcomers.mayCome(route.id, holder)) return tooMany("too many clients", tooManyClients);
      return null;
    },
  };
}

/**
 * History: how many agents and clients there were in the last hours, for one small picture. It looks
 * once a minute, whatever happens meanwhile, and keeps a fixed number of numbers; it knows no names.
 */
import { type Clock, every } from "../clock.ts";
import type { RelayActor } from "../relay.ts";
import { gauges } from "./gauges.ts";

/** What one place of the picture stands for, and how many places there are: six hours. */
export const stepMs = 5 * 60_000;
export const stepsMost = 72;
const lookMs = 60_000;

/** The most that were there in each step, the oldest first; the last step is not over. */
export interface History {
  /** When the relay began to look, on its wall clock. */
  readonly since: string;
  readonly agents: readonly number[];
  readonly clients: readonly number[];
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

/** Looks until the actor ends; what it returns is the history up to now. */
export function openHistory(actor: RelayActor, clock: Clock): () => History {
  const since = new Date(clock.wall()).toISOString();
  const beganMs = clock.now();
  const agents: number[] = [];
  const clients: number[] = [];
  let step = -1;
  const look = (): void => {
    const now = Math.floor((clock.now() - beganMs) / stepMs);
    // A machine that slept has steps in which nobody was seen.
    for (step = Math.max(step, now - stepsMost); step < now; step += 1)
      for (const counts of [agents, clients]) {
        counts.push(0);
        if (counts.length > stepsMost) counts.shift();
      }
    const there = gauges(actor.getSnapshot());
    const note = (counts: number[], count: number): void => {
      counts.push(Math.max(counts.pop() ?? 0, count));
    };
    note(agents, sum(there.agents));
    note(clients, sum(there.clients));
  };
  look();
  actor.subscribe({ complete: every(clock, lookMs, look) });
  return () => {
    look();
    return { since, agents: [...agents], clients: [...clients] };
  };
}

/**
 * Pulse: whether the other end of a stream is still heard, and whether this machine has slept or has
 * another network. Pings of websockets prove one hop; this asks through to the agent. It knows what is
 * to be asked, and not what follows from no answer.
 */
import { type Clock, every } from "../../actors/clock.ts";
import { networkNow } from "../network.ts";

/** How often it is looked. */
const lookMs = 2_000;
/** Nothing heard for so long: it is asked. */
const quietMs = 15_000;
/** For the answer; and where there is reason to doubt. */
const answerMs = 10_000;
const doubtMs = 3_000;
/** Time that passed unseen: the machine has slept, or this program was stopped. */
const sleptMs = 5_000;

export interface PulsePorts {
  /** Counts what was heard; null while there is no link, or nobody takes what comes. */
  heard(): number | null;
  ask(): void;
  /** No answer came. */
  isDead(): void;
  /** What was known of the network need not be true any more. */
  woke(): void;
}

/** Watches until what it returns is called. */
export function watchPulse(ports: PulsePorts, clock: Clock): () => void {
  let lookedAtMs = clock.now();
  let wallMs = clock.wall();
  let network = networkNow();
  let heard: number | null = null;
  let heardAtMs = lookedAtMs;
  let deadAtMs = Number.POSITIVE_INFINITY;

  const ask = (withinMs: number, now: number): void => {
    ports.ask();
    deadAtMs = Math.min(deadAtMs, now + withinMs);
  };
  const look = (): void => {
    const now = clock.now();
    const wall = clock.wall();
    const hasSlept =
      now - lookedAtMs >= lookMs + sleptMs || wall - wallMs - (now - lookedAtMs) >= sleptMs;
    lookedAtMs = now;
    wallMs = wall;
    const addresses = networkNow();
    const hasMoved = addresses !== network;
    network = addresses;
    const count = ports.heard();
    if (count === null || count !== heard) {
      heard = count;
      heardAtMs = now;
      deadAtMs = Number.POSITIVE_INFINITY;
    }
    if (hasSlept || hasMoved) {
      ports.woke();
      if (count !== null) ask(doubtMs, now);
    } else if (now >= deadAtMs) {
      deadAtMs = Number.POSITIVE_INFINITY;
      heardAtMs = now;
      ports.isDead();
    } else if (count !== null && now - heardAtMs >= quietMs && deadAtMs > now + answerMs)
      ask(answerMs, now);
  };
  return every(clock, lookMs, look);
}

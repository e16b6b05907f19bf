/**
 * Redialling as an actor: the machine, one try after the other, and who is told. It is loaded when a
 * link was lost for the first time, for nearly no ssh ever needs it.
 */
import { createActor, fromPromise, toPromise } from "xstate";
import {
  type RedialEmitted,
  type RedialEnding,
  type RedialEvent,
  type Redialled,
  redialMachine,
} from "../machines/redial.ts";
import type { Clock } from "./clock.ts";

export interface RedialPorts {
  /** Tries once to give the stream another link; `signal` gives the try up. Never rejects. */
  dial(signal: AbortSignal): Promise<Redialled>;
  /** The person should know that the link is lost, or that there is one again. */
  tell(what: RedialEmitted["type"]): void;
}

export interface Redialling {
  send(event: RedialEvent): void;
  /** Resolves when there will be no other link. */
  readonly ended: Promise<RedialEnding>;
  stop(): void;
}

/** From now on the stream's links are its business. `graceMs` is how long it may be without one. */
export function startRedialling(graceMs: number, ports: RedialPorts, clock: Clock): Redialling {
  const actor = createActor(
    redialMachine.provide({
      actors: { dial: fromPromise(({ signal }) => ports.dial(signal)) },
    }),
    { input: { graceMs, jitter: 0 }, clock },
  );
  actor.on("lost", () => ports.tell("lost"));
  actor.on("resumed", () => ports.tell("resumed"));
  actor.start();
  return {
    send: (event) => actor.send(event),
    ended: toPromise(actor),
    stop: () => actor.stop(),
  };
}

/**
 * The relay as an actor: the machine, its doors, and what is recorded of both.
 * It wires; which id belongs to whom and how a pairing goes is the machines' business.
 */
import { type ActorRefFrom, createActor, waitFor } from "xstate";
import { type PairingContext, pairingMachine, summonMs } from "../machines/pairing.ts";
import { rememberMs } from "../machines/registry.ts";
import { relayMachine } from "../machines/relay.ts";
import type { RelayEvent } from "../machines/relay-events.ts";
import type { LinkId, RendezvousId, SpliceReport } from "../machines/vocabulary.ts";
import { type Clock, pause } from "./clock.ts";
import { confine, faultsIn } from "./confine.ts";
import { clientEnded, clientJoined, factsOf } from "./observe/recorder.ts";
import type { RelayPorts } from "./ports.ts";
import { trace } from "./trace.ts";

export type RelayActor = ActorRefFrom<typeof relayMachine>;

/** How many agents one address may have, and how many websockets all together. */
export interface RelayLimits {
  readonly agentsPerAddress: number;
  readonly maxConnections: number;
}

/** Whose link an event came by; none when it tells of its end. */
function linksOf(event: RelayEvent): LinkId[] {
  switch (event.type) {
    case "CLIENT.KNOCKED":
      return [event.client];
    case "AGENT.DIALLED":
      return [event.link];
    case "AGENT.REGISTERED":
    case "AGENT.REPORTED":
    case "CLIENT.REPORTED":
      return [event.control];
    default:
      return [];
  }
}

/** Starts the relay. It never ends by itself: stop the actor, after `drained`. */
export function startRelay(ports: RelayPorts, clock: Clock, limits: RelayLimits): RelayActor {
  // As many as there can have been at once: who loses all its agents in a moment finds them again.
  const { agentsPerAddress: agentsPerHolder, maxConnections: lostMost } = limits;
  const leftMs = (id: RendezvousId): number | null => {
    const agent = actor.getSnapshot().context.agents.get(id);
    return agent?.status
      ? Math.max(0, Math.round(agent.status.leftMs - (clock.wall() - agent.statusAtMs)))
      : null;
  };

  // What an action throws would end all pairings, and the relay with them.
  const fault = faultsIn(ports.log);
  const step = (act: (params: { readonly pairing: PairingContext }) => void) =>
    confine(
      fault,
      "pairing",
      (_: unknown, params: { readonly pairing: PairingContext }) => act(params),
      (_, { pairing }) => ports.drop(pairing.client),
    );
  const pairing = pairingMachine.provide({
    actions: {
      tellWaiting: (_, { client, waitMs }) => ports.tellWaiting(client, waitMs),
      summonAgent: step(({ pairing }) => ports.summon(pairing, leftMs(pairing.id))),
      splice: (_, { pairing }) => {
        const { ticket, client, dialled } = pairing;
        const ended = (report: SpliceReport): void =>
          actor.send({ type: "SPLICE.ENDED", ticket, report });
        if (dialled && ports.splice(client, dialled, ended)) ports.record(clientJoined(pairing));
        else actor.send({ type: "SPLICE.FAILED", ticket });
      },
      hangUp: step(({ pairing }) => {
        ports.record(clientEnded(pairing, clock.wall()));
        ports.hangUp(pairing);
      }),
    },
  });

  const actor: RelayActor = createActor(
    relayMachine.provide({
      actions: {
        welcomeAgent: (_, { control, id }) => {
          if (id) ports.welcome(control, id);
        },
        turnAway: (_, { control }) => ports.turnAway(control),
        dismissFormer: (_, { control }) => {
          if (control) ports.dismiss(control);
        },
      },
    }),
    {
      input: { summonMs, rememberMs, agentsPerHolder, lostMost, pairing },
      clock,
      inspect: trace(ports.log),
    },
  );
  actor.subscribe({
    error: (error) => {
      ports.log.error({ err: error }, "relay failed");
      // Without its machine it would take in links and join nobody: the program's last net ends it.
      setImmediate(() => {
        throw error;
      });
    },
  });
  actor.on("*", (news) => {
    for (const fact of factsOf(news, clock.wall())) ports.record(fact);
  });
  actor.start();
  const arrive = confine(
    fault,
    "arrival",
    (event: RelayEvent) => actor.send(event),
    (event) => {
      for (const link of linksOf(event)) ports.drop(link);
    },
  );
  const arrivals = ports.arrivals.subscribe(arrive);
  actor.subscribe({
    complete: () => {
      arrivals.unsubscribe();
      actor.getSnapshot().context.pairings.sendAll({ type: "RELAY.ENDED" });
    },
  });
  return actor;
}

/** Lets running pairings end by themselves for `timeoutMs`; resolves when none is left or time is up. */
export async function drained(actor: RelayActor, clock: Clock, timeoutMs: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([
    pause(clock, timeoutMs, over.signal),
    waitFor(actor, ({ context }) => context.pairings.size === 0, { timeout: Infinity }),
  ]);
  over.abort();
}

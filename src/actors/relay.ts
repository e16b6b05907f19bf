/**
 * The relay as an actor: the machine, its doors, and one log line for each fact.
 * It wires; which id belongs to whom and how a pairing goes is the machines' business.
 */
import { type ActorRefFrom, createActor, fromPromise, waitFor } from "xstate";
import { type PairingContext, pairingMachine } from "../machines/pairing.ts";
import { type RelayEvent, type RelayInput, relayMachine } from "../machines/relay.ts";
import type { ClientReport, RendezvousId, Ticket } from "../machines/vocabulary.ts";
import type { Clock } from "./clock.ts";
import type { Log, RelayPorts } from "./ports.ts";
import { trace } from "./trace.ts";

export type RelayActor = ActorRefFrom<typeof relayMachine>;

/** How long an agent may take to dial back, and how long a lost one keeps its id. */
export const relayTimes: RelayInput = { summonMs: 10_000, rememberMs: 24 * 60 * 60_000 };

/** Starts the relay. It never ends by itself: stop the actor, after `drained`. */
export function startRelay(ports: RelayPorts, clock: Clock): RelayActor {
  /** What agents last said of a client: when it ends, the agent has struck it off already. */
  const reports = new Map<Ticket, ClientReport>();
  const noteReports = (id: RendezvousId, clients: readonly ClientReport[]): void => {
    const { pairings } = actor.getSnapshot().context;
    for (const report of clients)
      if (pairings.get(report.ticket)?.id === id) reports.set(report.ticket, report);
  };

  const leftMs = (id: RendezvousId): number | null => {
    const agent = actor.getSnapshot().context.agents.get(id);
    return agent?.status
      ? Math.max(0, Math.round(agent.status.leftMs - (clock.wall() - agent.statusAtMs)))
      : null;
  };

  const record = (pairing: PairingContext): void => {
    const { id, facts, outcome, sinceMs, ticket } = pairing;
    const report = reports.get(ticket);
    reports.delete(ticket);
    ports.log.info(
      {
        id,
        client: facts.address,
        outcome: outcome.kind,
        seconds: Math.round((clock.wall() - sinceMs) / 1_000),
        ...(outcome.kind === "served" && outcome.report),
        ...(report && { kinds: report.kinds, login: report.login }),
      },
      "client session ended",
    );
  };

  const pairing = pairingMachine.provide({
    actors: {
      splice: fromPromise(({ input }) => ports.splice(input.client, input.agent)),
    },
    actions: {
      tellWaiting: (_, { client, waitMs }) => ports.tellWaiting(client, waitMs),
      summonAgent: (_, { pairing }) => ports.summon(pairing, leftMs(pairing.id)),
      hangUp: (_, { pairing }) => {
        record(pairing);
        ports.hangUp(pairing);
      },
    },
  });

  const actor: RelayActor = createActor(
    relayMachine.provide({
      actors: { pairing },
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
    { input: relayTimes, clock, inspect: trace(ports.log) },
  );
  actor.subscribe({ error: (error) => ports.log.error({ err: error }, "relay failed") });
  actor.start();
  const arrivals = ports.arrivals.subscribe((event) => {
    logArrival(ports.log, event, actor);
    actor.send(event);
    if (event.type === "AGENT.REPORTED") noteReports(event.id, event.status.clients);
  });
  actor.subscribe({ complete: () => arrivals.unsubscribe() });
  return actor;
}

/** Lets running pairings end by themselves for `timeoutMs`; resolves when none is left or time is up. */
export async function drained(actor: RelayActor, clock: Clock, timeoutMs: number): Promise<void> {
  let timer: unknown;
  const timeUp = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, timeoutMs);
  });
  await Promise.race([
    timeUp,
    waitFor(actor, ({ context }) => context.pairings.size === 0, { timeout: Infinity }),
  ]);
  clock.clearTimeout(timer);
}

function logArrival(log: Log, event: RelayEvent, actor: RelayActor): void {
  const agents = actor.getSnapshot().context.agents;
  switch (event.type) {
    case "AGENT.REGISTERED":
      log.info({ asked: event.ids[0], agent: event.facts }, "agent came");
      break;
    case "AGENT.LOST":
      if (agents.get(event.id)?.control === event.control)
        log.info({ id: event.id }, "agent link lost");
      break;
    case "AGENT.LEFT":
      log.info({ id: event.id }, "agent left");
      break;
    case "CLIENT.KNOCKED":
      log.info({ id: event.id, client: event.facts.address }, "client knocked");
      break;
    default:
  }
}

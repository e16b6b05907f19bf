/**
 * Relay: a whole one, ports, actor and pages together, as the program, the tests and the bench start
 * it. Where its settings come from, and what its pages look like, is their business.
 */
import type { Clock } from "../../actors/clock.ts";
import { confineTimers, faultsIn } from "../../actors/confine.ts";
import { liveRoster } from "../../actors/observe/live-roster.ts";
import type { Log } from "../../actors/ports.ts";
import { drained, type RelayActor, startRelay } from "../../actors/relay.ts";
import type { HttpServer } from "./http/server.ts";
import {
  type Address,
  type ListenConfig,
  type OpenRelayPorts,
  openRelayPorts,
  type PagesAt,
  type RelayPortsConfig,
} from "./ports.ts";

export interface OpenRelay {
  readonly ports: OpenRelayPorts;
  readonly actor: RelayActor;
  readonly server: HttpServer & { readonly metricsAt: Address | null };
  /**
   * Lets running sessions go on for `drainMs`, cuts what is left, and closes. Every session has its
   * line in the log by then.
   */
  end(drainMs: number): Promise<void>;
}

/** Starts the relay and listens; rejects with the system's error when it cannot. */
export async function openRelay(
  config: RelayPortsConfig,
  where: ListenConfig,
  pages: PagesAt,
  clock: Clock,
  log: Log,
): Promise<OpenRelay> {
  const ports = openRelayPorts(config, clock, log);
  const actor = startRelay(ports, clock, config.limits);
  const live = liveRoster(actor, confineTimers(clock, faultsIn(log)), ports.countsOf);
  const server = await ports.listen(where, { ...pages, live }).catch((error) => {
    actor.stop(); // its timers would keep a process that cannot do its work
    throw error;
  });
  return {
    ports,
    actor,
    server,
    end: async (drainMs) => {
      ports.drain(drainMs);
      await drained(actor, clock, drainMs);
      await server.close();
      await drained(actor, clock, 0);
      actor.stop();
    },
  };
}

/** Relay: the whole relay in the test's own process, on port 0, by the test's clock. */
import { liveRoster } from "../../src/actors/observe/live-roster.ts";
import { type AgentRow, roster } from "../../src/actors/observe/roster.ts";
import { drained, type RelayActor, startRelay } from "../../src/actors/relay.ts";
import { defaultLimits, type Limits } from "../../src/io/relay/admission/limits.ts";
import type { OriginConfig } from "../../src/io/relay/admission/origin.ts";
import { readManifest } from "../../src/io/relay/http/pages.ts";
import type { HttpServer } from "../../src/io/relay/http/server.ts";
import { type OpenRelayPorts, openRelayPorts } from "../../src/io/relay/ports.ts";
import { siteOf } from "../../web/site.tsx";
import type { HandClock } from "./clock.ts";
import { type Lines, lines } from "./lines.ts";
import { fresh } from "./shipped.ts";

export interface Relay {
  readonly actor: RelayActor;
  readonly ports: OpenRelayPorts;
  readonly log: Lines;
  readonly url: URL;
  rows(): AgentRow[];
  close(): Promise<void>;
}

export async function openRelay(
  clock: HandClock,
  config: Partial<OriginConfig> & {
    port?: number;
    limits?: Partial<Limits>;
    tls?: { certFile: string; keyFile: string };
    policy?: string;
    downloads?: string;
  } = {},
): Promise<Relay> {
  const log = lines();
  const { port = 0, tls, limits, policy = null, downloads, ...origin } = config;
  const full = {
    publicUrl: null,
    alsoHosts: [],
    contextPath: "",
    trustProxy: [],
    hasTls: Boolean(tls),
    ...origin,
    policy,
    limits: { ...defaultLimits, ...limits },
  };
  const ports = openRelayPorts(full, clock, log);
  const actor = startRelay(ports, clock, full.limits);
  const rows = (): AgentRow[] => roster(actor.getSnapshot(), clock.wall(), ports.countsOf);
  const assets = fresh("dist/assets");
  const server: HttpServer = await ports.listen(
    { host: "127.0.0.1", port, tls: tls ?? null, metricsAt: null },
    {
      assets,
      downloads: downloads ?? fresh("dist/downloads"),
      bootstrap: fresh("dist/bootstrap"),
      site: siteOf(readManifest(assets), "0.0.0"),
      live: liveRoster(actor, clock, ports.countsOf),
    },
  );
  return {
    actor,
    ports,
    log,
    rows,
    url: new URL(`${tls ? "https" : "http"}://127.0.0.1:${server.port}${full.contextPath}`),
    close: async () => {
      ports.drain(0);
      await drained(actor, clock, 0);
      actor.stop();
      await server.close();
    },
  };
}

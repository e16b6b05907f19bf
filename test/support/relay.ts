/** Relay: the whole relay in the test's own process, on port 0, by the test's clock. */
import { type AgentRow, roster } from "../../src/actors/observe/roster.ts";
import type { RelayActor } from "../../src/actors/relay.ts";
import { defaultLimits, type Limits } from "../../src/io/relay/admission/limits.ts";
import type { OriginConfig } from "../../src/io/relay/admission/origin.ts";
import { readManifest } from "../../src/io/relay/http/pages.ts";
import type { OpenRelayPorts } from "../../src/io/relay/ports.ts";
import { openRelay as startRelay } from "../../src/io/relay/relay.ts";
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
  const assets = fresh("dist/assets");
  const { actor, ports, server, end } = await startRelay(
    full,
    { host: "127.0.0.1", port, tls: tls ?? null, metricsAt: null },
    {
      assets,
      downloads: downloads ?? fresh("dist/downloads"),
      bootstrap: fresh("dist/bootstrap"),
      site: siteOf(readManifest(assets), "0.0.0"),
    },
    clock,
    log,
  );
  return {
    actor,
    ports,
    log,
    rows: () => roster(actor.getSnapshot(), clock.wall(), ports.countsOf),
    url: new URL(`${tls ? "https" : "http"}://127.0.0.1:${server.port}${full.contextPath}`),
    close: () => end(0),
  };
}

#!/usr/bin/env node
/**
 * converge: the relay. Flags become a config, the config real ports, and one signal ends it all.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConvergeError } from "../src/actors/errors.ts";
import { liveRoster } from "../src/actors/live-roster.ts";
import { drained, startRelay } from "../src/actors/relay.ts";
import { systemClock } from "../src/io/clock.ts";
import { readTls } from "../src/io/http-server.ts";
import { openLog } from "../src/io/log.ts";
import { readManifest } from "../src/io/pages.ts";
import { openRelayPorts } from "../src/io/relay-ports.ts";
import { version } from "../src/io/version.ts";
import { siteOf } from "../web/site.tsx";
import { main } from "./exit.ts";
import {
  contextPath,
  duration,
  listenAddress,
  logLevel,
  option,
  program,
  proxyRange,
  relayUrl,
  several,
} from "./flags.ts";

const command = program("converge", version, "The relay: joins agents and ssh clients by their id.")
  .addOption(
    option("--listen <[host:]port>", "where to listen")
      .argParser(listenAddress("0.0.0.0"))
      .default({ host: "0.0.0.0", port: 8000 }, "0.0.0.0:8000"),
  )
  .addOption(option("--tls-cert <file>", "certificate chain (PEM); reloaded when it changes"))
  .addOption(option("--tls-key <file>", "its private key (PEM)"))
  .addOption(
    option("--context-path <path>", "serve everything below this path")
      .argParser(contextPath)
      .default("", "/"),
  )
  .addOption(option("--public-url <url>", "the relay's URL as users see it").argParser(relayUrl))
  .addOption(
    option("--trust-proxy <cidr>", "whose X-Forwarded-* headers are believed; repeatable")
      .argParser(several(proxyRange))
      .default([], "nobody's"),
  )
  .addOption(
    option("--downloads <dir>", "the agent and wsproxy files to serve (default: those built in)"),
  )
  .addOption(
    option("--drain-timeout <duration>", "on SIGTERM, how long running sessions may go on")
      .argParser(duration)
      .default(30_000, "30s"),
  )
  .addOption(option("--check-config", "validate the configuration and exit"))
  .addOption(option("--log-level <level>", "pino level").argParser(logLevel).default("info"));

await main(async (signal) => {
  command.parse();
  const flags = command.opts();
  if (Boolean(flags["tlsCert"]) !== Boolean(flags["tlsKey"]))
    throw new ConvergeError("CONVERGE_USAGE", "Give --tls-cert and --tls-key together.");
  const tls = flags["tlsCert"] ? { certFile: flags["tlsCert"], keyFile: flags["tlsKey"] } : null;
  const log = openLog("converge", flags["logLevel"]);
  if (tls) readTls(tls);
  const built = resolve(import.meta.dirname, "..");
  const downloads = resolve(flags["downloads"] ?? join(built, "downloads"));
  if (!existsSync(downloads))
    throw new ConvergeError("CONVERGE_USAGE", `There is no folder ${downloads} for --downloads.`);
  if (flags["checkConfig"]) return 0;
  const ports = openRelayPorts(
    {
      publicUrl: flags["publicUrl"] ?? null,
      contextPath: flags["contextPath"],
      trustProxy: flags["trustProxy"],
      hasTls: tls !== null,
    },
    systemClock,
    log,
  );
  const relay = startRelay(ports, systemClock);
  const assets = join(built, "assets");
  const server = await ports.listen(
    { ...flags["listen"], tls },
    {
      assets,
      downloads,
      bootstrap: join(built, "bootstrap"),
      site: siteOf(readManifest(assets), version),
      live: liveRoster(relay, systemClock, ports.countsOf),
    },
  );
  log.info({ host: server.host, port: server.port, version }, "relay listening");
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  log.info({ seconds: flags["drainTimeout"] / 1_000 }, "relay draining");
  ports.drain();
  await drained(relay, systemClock, flags["drainTimeout"]);
  await server.close();
  await drained(relay, systemClock, 0); // sessions that were cut now have their line in the log
  relay.stop();
  log.info({}, "relay ended");
  return 0;
});

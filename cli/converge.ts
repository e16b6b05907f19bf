#!/usr/bin/env node
/**
 * converge: the relay. Flags become a config, the config real ports, and one signal ends it all.
 */
import "../src/io/relay/young-space.ts";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConvergeError, reasonOf } from "../src/actors/errors.ts";
import { systemClock } from "../src/io/clock.ts";
import { openLog } from "../src/io/log.ts";
import { defaultLimits } from "../src/io/relay/admission/limits.ts";
import { readPolicy } from "../src/io/relay/admission/policy.ts";
import { askHealth } from "../src/io/relay/http/health.ts";
import { readManifest } from "../src/io/relay/http/pages.ts";
import { readTls } from "../src/io/relay/http/server.ts";
import { openRelay } from "../src/io/relay/relay.ts";
import { standardError } from "../src/io/standard-output.ts";
import { terminalText } from "../src/io/text.ts";
import { version } from "../src/io/version.ts";
import { siteOf } from "../web/site.tsx";
import { main } from "./exit.ts";
import {
  contextPath,
  duration,
  hostName,
  integer,
  listenAddress,
  logLevel,
  option,
  parseWhole,
  program,
  proxyRange,
  relayUrl,
  several,
  withFlags,
} from "./flags.ts";

const command = program(
  "converge",
  version,
  "The relay: joins agents and ssh clients by their id.",
);

const readFlags = withFlags(command, [
  option("--listen <[host:]port>", "where to listen", {
    read: listenAddress("0.0.0.0"),
    otherwise: { host: "0.0.0.0", port: 8000 },
    shown: "0.0.0.0:8000",
  }),
  option("--tls-cert <file>", "certificate chain (PEM); reloaded when it changes"),
  option("--tls-key <file>", "its private key (PEM)"),
  option("--context-path <path>", "serve everything below this path", {
    read: contextPath,
    otherwise: "",
    shown: "/",
  }),
  option("--public-url <url>", "the relay's URL as users see it", { read: relayUrl }),
  option(
    "--also-host <name>",
    "answer pages under this name too, beside --public-url; repeatable",
    { read: several(hostName), otherwise: [], shown: "none" },
  ),
  option("--trust-proxy <cidr>", "whose X-Forwarded-* headers are believed; repeatable", {
    read: several(proxyRange),
    otherwise: [],
    shown: "nobody's",
  }),
  option("--downloads <dir>", "the agent and wsproxy files to serve (default: those built in)"),
  option("--drain-timeout <duration>", "on SIGTERM, how long running sessions may go on", {
    read: duration,
    otherwise: 30_000,
    shown: "30s",
  }),
  option(
    "--metrics-listen <[host:]port>",
    "serve /metrics alone there (default: with everything else)",
    { read: listenAddress("127.0.0.1") },
  ),
  option("--agents-per-address <n>", "agents that one address may have, lost ones too", {
    read: integer(1, 1_000_000),
    otherwise: defaultLimits.agentsPerAddress,
  }),
  option("--connections-per-second <n>", "of one address; twenty times as many at once", {
    read: integer(1, 1_000_000),
    otherwise: defaultLimits.connectionsPerSecond,
  }),
  option("--max-connections <n>", "websockets of all together", {
    read: integer(1, 1_000_000),
    otherwise: defaultLimits.maxConnections,
  }),
  option("--policy <file>", "who may register agents and see sessions (JSON); reloaded on change"),
  option("--check-config", "validate the configuration and exit"),
  option("--health", "ask the relay that runs with this configuration, and exit: 0 well, 1 not"),
  option("--log-level <level>", "pino level", { read: logLevel, otherwise: "info" }),
]);

/** Where a built package has its pages and its own downloads. */
const built = resolve(import.meta.dirname, "..");

/** The configuration, or one error with everything that is wrong with it. */
function readConfig() {
  const problems = parseWhole(command);
  const flags = readFlags();
  const note = (isWrong: boolean, sentence: string): void => {
    if (isWrong) problems.push(sentence);
  };
  const { tlsCert, tlsKey, listen, metricsListen } = flags;
  note(Boolean(tlsCert) !== Boolean(tlsKey), "Give --tls-cert and --tls-key together.");
  note(
    flags.alsoHost.length > 0 && !flags.publicUrl,
    "--also-host adds to --public-url: give that too, or leave it out.",
  );
  const tls = tlsCert && tlsKey ? { certFile: tlsCert, keyFile: tlsKey } : null;
  if (tls)
    try {
      readTls(tls);
    } catch (error) {
      problems.push(reasonOf(error));
    }
  const policy = flags.policy ? resolve(flags.policy) : null;
  if (policy)
    try {
      readPolicy(policy);
    } catch (error) {
      problems.push(reasonOf(error));
    }
  const downloads = resolve(flags.downloads ?? join(built, "downloads"));
  note(!existsSync(downloads), `There is no folder ${downloads} for --downloads.`);
  const isSame =
    metricsListen !== undefined && metricsListen.port !== 0 && metricsListen.port === listen.port;
  note(
    isSame &&
      [metricsListen.host, listen.host].some(
        (host, _n, hosts) => ["0.0.0.0", "::"].includes(host) || hosts[0] === hosts[1],
      ),
    "--metrics-listen is the address of --listen: give it another port, or leave it out.",
  );
  if (problems.length > 0) throw new ConvergeError("CONVERGE_USAGE", problems.join("\nconverge: "));
  const { checkConfig, health } = flags;
  return {
    flags,
    tls,
    policy,
    downloads,
    isCheck: Boolean(checkConfig),
    isHealth: Boolean(health),
  };
}

/** After the last word nothing may keep the process, or its supervisor would wait for it. */
const lastMs = 2_000;

await main(async (signal) => {
  const { flags, tls, policy, downloads, isCheck, isHealth } = readConfig();
  if (isCheck) return 0;
  if (isHealth) {
    const why = await askHealth({
      ...flags.listen,
      contextPath: flags.contextPath,
      isTls: tls !== null,
    });
    if (why !== null) standardError.write(terminalText(`converge: ${why}\n`, "\n"));
    return why === null ? 0 : 1;
  }
  const log = openLog("converge", flags.logLevel);
  const limits = {
    agentsPerAddress: flags.agentsPerAddress,
    connectionsPerSecond: flags.connectionsPerSecond,
    maxConnections: flags.maxConnections,
  };
  const assets = join(built, "assets");
  const relay = await openRelay(
    {
      publicUrl: flags.publicUrl ?? null,
      alsoHosts: flags.alsoHost,
      contextPath: flags.contextPath,
      trustProxy: flags.trustProxy,
      hasTls: tls !== null,
      policy,
      limits,
    },
    { ...flags.listen, tls, metricsAt: flags.metricsListen ?? null },
    {
      assets,
      downloads,
      bootstrap: join(built, "bootstrap"),
      site: siteOf(readManifest(assets), version),
    },
    systemClock,
    log,
  );
  const { host, port, metricsAt } = relay.server;
  log.info({ host, port, metrics: metricsAt, version }, "relay listening");
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  log.info({ seconds: flags.drainTimeout / 1_000 }, "relay draining");
  await relay.end(flags.drainTimeout);
  log.info({}, "relay ended");
  setTimeout(() => process.exit(), lastMs).unref(); // should anything still be open
  return 0;
});

/**
 * wsproxy with every flag: for whoever gave one that `wsproxy` itself does not know by heart.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { CommanderError } from "commander";
import { ConvergeError, reasonOf } from "../src/actors/errors.ts";
import { connect } from "../src/io/client/connect.ts";
import type { ProxyCommandConfig } from "../src/io/client/proxy-command.ts";
import { systemClock } from "../src/io/clock.ts";
import { readTrust } from "../src/io/dial/config.ts";
import { clientUrlOf, isFingerprint } from "../src/io/protocol/wire.ts";
import { standardError } from "../src/io/standard-output.ts";
import { terminalText } from "../src/io/text.ts";
import { version } from "../src/io/version.ts";
import {
  duration,
  type Listen,
  listenAddress,
  logLevel,
  option,
  program,
  relayUrl,
  socketServerUrl,
  urlArgument,
  withFlags,
} from "./flags.ts";
import { join, resumeMs, type Say, sayer, terminalNotice } from "./join.ts";

const command = program("wsproxy", version, "ssh's ProxyCommand for Converge.")
  .argument(
    "[client-url]",
    "https://host[/context]/client/ID, or the relay's with --host (or CONVERGE_CLIENT_URL)",
  )
  .addHelpText(
    "after",
    `
Example:
  ssh -oProxyCommand="wsproxy https://relay.example.com/client/my-job" me@my-job

More:
  wsproxy ssh-config <url>          prints a block for ~/.ssh/config; --help says more
  wsproxy doctor <relay-url>        checks the way to a relay and says what to fix

Exit status (ssh itself shows 255): 0 done, 2 usage, 3 relay unreachable, 4 TLS, 5 version,
6 refused, 7 no such agent, 8 host key mismatch, 9 agent silent.`,
  );

const readFlags = withFlags(command, [
  option("--wait <duration>", "wait so long for an agent that is not there yet", {
    read: duration,
    otherwise: 0,
    shown: "not at all",
  }),
  option("--raw", "connect stdio with any websocket server; no Converge handshake"),
  option("--listen <[host:]port>", "instead of stdio: each TCP connection is a websocket", {
    read: listenAddress("127.0.0.1"),
  }),
  option("--host <name>", "the URL is the relay's; ID or ID.converge, as ssh's %n has it"),
  option("--fingerprint <SHA256:…>", "refuse any other ssh host key"),
  option("--resume-timeout <duration>", "look so long for another way when the link is lost", {
    read: duration,
    otherwise: resumeMs,
    shown: "10m; 0s: not at all",
  }),
  option("--ca <file>", "trust this authority (PEM) for wss"),
  option("--insecure", "accept any TLS certificate"),
  option("--quiet", "say nothing but errors"),
  option("--log-level <level>", "debug says more", { read: logLevel, otherwise: "info" }),
]);

/** Reads the command line and does what it says; resolves with the exit status. */
export async function run(signal: AbortSignal): Promise<number> {
  const [tool = "", ...rest] = process.argv.slice(2);
  if (tool === "ssh-config") return (await import("./wsproxy-tools.ts")).printSshConfig(rest);
  if (tool === "doctor") return await (await import("./wsproxy-tools.ts")).runDoctor(rest, signal);
  command.parse();
  const flags = readFlags();
  const text = command.args[0] ?? process.env["CONVERGE_CLIENT_URL"];
  if (!text) {
    standardError.write(command.helpInformation());
    throw new CommanderError(2, "commander.help", "no client URL");
  }
  const say = sayer(flags.quiet ?? false);
  const config: ProxyCommandConfig = {
    debug: ["debug", "trace"].includes(flags.logLevel) ? say : () => {},
    url: flags.host
      ? hostUrl(urlArgument(relayUrl, text), flags.host)
      : urlArgument(flags.raw ? socketServerUrl : relayUrl, text),
    raw: flags.raw ?? false,
    waitMs: flags.wait,
    resumeMs: flags.resumeTimeout,
    notice: flags.quiet || flags.listen ? null : terminalNotice(),
    fingerprint: flags.fingerprint ?? null,
    trust: readTrust(flags.ca, flags.insecure ?? false),
  };
  if (config.fingerprint && !isFingerprint(config.fingerprint))
    throw new ConvergeError(
      "CONVERGE_USAGE",
      "--fingerprint is SHA256: and 43 characters, as the agent prints it.",
    );
  if (flags.listen) return await listen(flags.listen, config, say, signal);
  return await join(config, say, signal);
}

/** `CONVERGE_USAGE` for a name that is no id. */
function hostUrl(relay: URL, host: string): URL {
  const url = clientUrlOf(relay, host);
  if (url) return url;
  throw new ConvergeError(
    "CONVERGE_USAGE",
    "A --host is an id, or an id and .converge: 1 to 128 of A-Z a-z 0-9 . _ - only.",
  );
}

/** Serves a local port until the signal; a connection that fails is reported, the others go on. */
async function listen(
  { host, port }: Listen,
  config: ProxyCommandConfig,
  say: Say,
  signal: AbortSignal,
): Promise<number> {
  const server = createServer({ allowHalfOpen: config.raw }, (socket) => {
    socket.setNoDelay(true);
    connect(config, { input: socket, output: socket }, say, systemClock, signal)
      .catch((error: unknown) =>
        standardError.write(terminalText(`[converge] ${reasonOf(error)}\n`, "\n")),
      )
      .finally(() => socket.end());
  });
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    throw new ConvergeError("CONVERGE_LISTEN", `${host}:${port}`, error);
  }
  const address = server.address();
  say(`Listening on ${host}:${typeof address === "object" ? address?.port : port}.`);
  await once(signal, "abort");
  server.close();
  return 0;
}

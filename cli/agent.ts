#!/usr/bin/env node
/**
 * agent: runs in the CI job. Flags become a config, the config real ports, and the session's
 * ending an exit status.
 */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { CommanderError } from "commander";
import { ConvergeError, reasonOf } from "../src/actors/errors.ts";
import type { AgentNews } from "../src/actors/ports.ts";
import { openAgent } from "../src/io/agent/agent.ts";
import { freeInPlace } from "../src/io/agent/collector.ts";
import { systemClock } from "../src/io/clock.ts";
import { isBearer, readTrust } from "../src/io/dial/config.ts";
import { openLog } from "../src/io/log.ts";
import { derivedId, newIdentity } from "../src/io/protocol/identity.ts";
import { isRendezvousId } from "../src/io/protocol/wire.ts";
import { deriveHostKey, type HostKey, openHostKey } from "../src/io/ssh2/host-key.ts";
import { standardError, standardOutput } from "../src/io/standard-output.ts";
import { version } from "../src/io/version.ts";
import { jsonFor, textFor } from "./announce.ts";
import { main } from "./exit.ts";
import {
  asIs,
  duration,
  durations,
  integer,
  logLevel,
  names,
  option,
  program,
  relayUrl,
  several,
  timeout,
  urlArgument,
  webUrl,
  withFlags,
} from "./flags.ts";

const command = program("agent", version, "Makes a running CI job reachable by ssh.")
  .argument("[relay-url]", "https://host[/context] (or CONVERGE_RELAY_URL)")
  .addHelpText(
    "after",
    `
CONVERGE_REGISTER_TOKEN may hold the token itself, instead of --register-token-file.
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are honoured.
Exit status: 0 the last client left, or silence; 2 usage, 3 relay unreachable, 4 TLS,
5 version, 6 refused, 130/143 signal.`,
  );

const readFlags = withFlags(command, [
  option("--id <id>", "rendez-vous id, 1-128 of A-Z a-z 0-9 . _ - (default: random)"),
  option("--authorized-keys <file>", "who may log in, in OpenSSH's format", {
    read: asIs,
    otherwise: ".authorized_keys",
  }),
  option(
    "--authorized-keys-url <url>",
    "keys from a URL, such as a forge's /<user>.keys; repeatable",
    { read: several(webUrl), otherwise: [], shown: "none" },
  ),
  option("--shells <list>", "shells to try first, comma-separated", {
    read: names,
    otherwise: [],
    shown: "none",
  }),
  option("--timeout <duration>", "end after so long without activity", {
    read: timeout,
    otherwise: 600_000,
    shown: "10m",
  }),
  option("--warn <list>", "how long before the end the warnings come", {
    read: durations,
    otherwise: [300_000, 60_000, 10_000],
    shown: "5m,1m,10s",
  }),
  option("--join-timeout <duration>", "deadline until the first login (default: --timeout)", {
    read: timeout,
  }),
  option("--linger <duration>", "after the last client left, wait so long for another", {
    read: duration,
    otherwise: 0,
    shown: "0s",
  }),
  option(
    "--resume-timeout <duration>",
    "keep the shells of a client whose link broke so long; 0s: not at all",
    { read: duration, otherwise: 600_000, shown: "10m" },
  ),
  option("--max-duration <duration>", "end after so long, whatever happens", { read: timeout }),
  option("--bell", "ring the terminal's bell with each notice"),
  option("--title", "show in the window's title how long there is, once there was a warning"),
  option("--exit-code-on-timeout <n>", "exit status when silence ended it", {
    read: integer(0, 255),
    otherwise: 0,
  }),
  option("--host-key <file>", "keep the ssh host key in this file"),
  option(
    "--host-key-secret-env <name>",
    "derive the ssh host key from the secret in this variable: the same at every run",
  ),
  option("--host-key-secret-file <file>", "the same, from a file or a descriptor (/dev/fd/3)"),
  option(
    "--register-token-file <file>",
    "the relay's token, or the CI's signed one; read at each registration",
  ),
  option("--no-sftp", "no sftp, nor scp through it"),
  option("--no-exec", "no commands, nor rsync, git and old scp"),
  option("--no-port-forwarding", "no -L, -R, -D and unix sockets"),
  option("--no-agent-forwarding", "no ssh agent"),
  option("--read-only", "sftp only, and no changes"),
  option("--ca <file>", "trust this authority (PEM) for wss"),
  option("--insecure", "accept any TLS certificate"),
  option("--json", "one JSON object a line on stdout for every event"),
  option("--log-level <level>", "pino level, on stderr", { read: logLevel, otherwise: "warn" }),
]);

/** Ids below this are easily guessed. */
const shortChars = 8;

/** `--id` or one that belongs to this very key. */
function idFrom(text: string | undefined, derived: ReturnType<typeof derivedId>) {
  if (text === undefined) return derived;
  if (isRendezvousId(text)) return text;
  throw new ConvergeError(
    "CONVERGE_USAGE",
    "An --id is 1 to 128 of the characters A-Z a-z 0-9 . _ - and not . or .. alone.",
  );
}

/** The host key, and the environment for shells, which never has the secret of the former. */
function hostKeyFrom(
  file: string | undefined,
  variable: string | undefined,
  secretFile: string | undefined,
): { hostKey: HostKey; job: NodeJS.ProcessEnv } {
  if ([file, variable, secretFile].filter((given) => given !== undefined).length > 1)
    throw new ConvergeError(
      "CONVERGE_USAGE",
      "Give one of --host-key, --host-key-secret-env and --host-key-secret-file.",
    );
  if (secretFile !== undefined)
    return { hostKey: deriveHostKey(secretIn(secretFile), `from ${secretFile}`), job: process.env };
  if (variable === undefined)
    return { hostKey: openHostKey(file ? resolve(file) : null), job: process.env };
  const { [variable]: secret = "", ...job } = process.env;
  if (secret === "")
    throw new ConvergeError("CONVERGE_USAGE", `--host-key-secret-env: ${variable} is not set.`);
  return { hostKey: deriveHostKey(secret, `from ${variable}`), job };
}

/** Without the end of its line, so that it is what the same secret in a variable would be. */
function secretIn(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new ConvergeError("CONVERGE_USAGE", `--host-key-secret-file: ${reasonOf(error)}.`, error);
  }
}

/** The token of the moment, as a file or the environment has it. `CONVERGE_USAGE` for an unusable one. */
function registerTokenFrom(file: string | undefined): () => string | null {
  const given = process.env["CONVERGE_REGISTER_TOKEN"] ?? "";
  if (file !== undefined && given !== "")
    throw new ConvergeError(
      "CONVERGE_USAGE",
      "Give --register-token-file or CONVERGE_REGISTER_TOKEN, not both.",
    );
  if (file === undefined && given === "") return () => null;
  const path = file && resolve(file);
  const source = path ? `--register-token-file ${path}` : "CONVERGE_REGISTER_TOKEN";
  // What a pipe holds (`/dev/fd/3`) can be read once.
  let held: string | null = null;
  return () => {
    let text = given;
    try {
      if (path) text = held ?? readFileSync(path, "utf8");
      if (path && statSync(path).isFIFO()) held = text;
    } catch (error) {
      throw new ConvergeError("CONVERGE_USAGE", `${source}: ${reasonOf(error)}.`, error);
    }
    if (!isBearer(text.trim()))
      throw new ConvergeError("CONVERGE_USAGE", `${source} holds no token: one word is expected.`);
    return text.trim();
  };
}

void main(async (signal) => {
  freeInPlace();
  command.parse();
  const flags = readFlags();
  const relayText = command.args[0] ?? process.env["CONVERGE_RELAY_URL"];
  if (!relayText) {
    standardError.write(command.helpInformation());
    throw new CommanderError(2, "commander.help", "no relay URL");
  }
  const relay = urlArgument(relayUrl, relayText);
  const agentdir = process.cwd();
  const identity = newIdentity();
  const id = idFrom(flags.id, derivedId(identity.key));
  const { hostKey, job } = hostKeyFrom(
    flags.hostKey,
    flags.hostKeySecretEnv,
    flags.hostKeySecretFile,
  );
  const registerToken = registerTokenFrom(flags.registerTokenFile);
  const log = openLog("agent", flags.logLevel);
  if (registerToken() !== null && /^(?:http|ws):$/.test(relay.protocol))
    log.warn({ relay: relay.host }, "token goes unencrypted: use https");
  if (process.pid === 1)
    log.warn({}, "agent is process 1: ended processes stay, use docker run --init or agent.sh");
  if (id.length < shortChars) log.warn({ id }, "short id: others may guess it, or want it too");
  const isOpen = !flags.readOnly;
  const limits = {
    timeoutMs: flags.timeout,
    joinTimeoutMs: flags.joinTimeout ?? flags.timeout,
    warnAtMs: flags.warn,
    lingerMs: flags.linger,
    maxDurationMs: flags.maxDuration ?? null,
    resumeTimeoutMs: flags.resumeTimeout,
  };

  if (flags.json)
    standardOutput.tellLostAs((lost) => `${JSON.stringify({ event: "lines lost", lost })}\n`);
  const announce = (news: AgentNews): void => {
    const insecure = flags.insecure ?? false;
    standardOutput.write(`${(flags.json ? jsonFor : textFor)(news, insecure)}\n`);
  };
  const agent = await openAgent(
    {
      id,
      limits,
      relay,
      trust: readTrust(flags.ca, flags.insecure ?? false),
      identity,
      registerToken,
      hostKey,
      agentdir,
      keysFile: resolve(agentdir, flags.authorizedKeys),
      keysUrls: flags.authorizedKeysUrl,
      shells: flags.shells,
      job,
      allowed: {
        shell: isOpen,
        exec: isOpen && flags.exec,
        sftp: flags.sftp,
        readOnly: !isOpen,
        portForwarding: isOpen && flags.portForwarding,
        agentForwarding: isOpen && flags.agentForwarding,
      },
      notices: { bell: flags.bell ?? false, title: flags.title ?? false },
      announce,
      isResumable: flags.resumeTimeout > 0,
    },
    systemClock,
    log,
    signal,
  );
  const ending = await agent.ended;
  return ending.kind === "inactivity" ? flags.exitCodeOnTimeout : 0;
});

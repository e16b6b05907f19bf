/**
 * wsproxy's two tools for people: `ssh-config` prints a block for ~/.ssh/config, `doctor` says what
 * is between this machine and a relay. Loaded only when asked for, since each ssh starts wsproxy.
 */
import { resolve } from "node:path";
import { ConvergeError } from "../src/actors/errors.ts";
import { sshConfig } from "../src/actors/words/ssh-command.ts";
import { examine } from "../src/io/client/doctor.ts";
import { readTrust } from "../src/io/dial/config.ts";
import { hostSuffix, isFingerprint, isRendezvousId } from "../src/io/protocol/wire.ts";
import { standardOutput } from "../src/io/standard-output.ts";
import { terminalText } from "../src/io/text.ts";
import { version } from "../src/io/version.ts";
import { statusOf } from "./exit.ts";
import { option, program, relayUrl, urlArgument, withFlags } from "./flags.ts";

const pin = "--fingerprint is SHA256: and 43 characters, as the agent prints it.";

/**
 * Prints a block with which `ssh <alias>` leads to the agent of a client URL, or `ssh ID.converge` to
 * any agent of a relay's.
 */
export function printSshConfig(args: readonly string[]): number {
  const command = program("wsproxy ssh-config", version, "Prints a block for ~/.ssh/config.")
    .argument("<url>", "the relay's: https://host[/context]; or one agent's: …/client/ID")
    .addHelpText("after", "\nExample: wsproxy ssh-config RELAY >> ~/.ssh/config; ssh ID.converge");
  const readFlags = withFlags(command, [
    option("--host-alias <name>", "what to call it (default: ID.converge, or *.converge)"),
    option("--fingerprint <SHA256:…>", "the agent's host key, from the job's log"),
    option("--ca <file>", "trust this authority (PEM) for wss"),
    option("--insecure", "accept any TLS certificate"),
  ]);
  command.parse(args, { from: "user" });
  const flags = readFlags();
  const url = urlArgument(relayUrl, command.args[0] ?? "");
  const client = /\/client(?:\/([^/]*))?\/?$/.exec(url.pathname);
  const id = client && (client[1] ?? "");
  if (id !== null && !isRendezvousId(id))
    throw new ConvergeError(
      "CONVERGE_USAGE",
      "The URL is the relay's, or ends with /client/ID, as the job prints it.",
    );
  const alias = flags.hostAlias ?? `${id ?? "*"}${hostSuffix}`;
  if (!(id === null && alias === `*${hostSuffix}`) && !/^\w[\w.-]*$/.test(alias))
    throw new ConvergeError("CONVERGE_USAGE", "A --host-alias is of A-Z a-z 0-9 . _ - only.");
  if (id === null && flags.hostAlias)
    throw new ConvergeError(
      "CONVERGE_USAGE",
      "A --host-alias is one agent's: give its URL, which ends with /client/ID.",
    );
  const fingerprint = flags.fingerprint ?? null;
  if (fingerprint && !isFingerprint(fingerprint)) throw new ConvergeError("CONVERGE_USAGE", pin);
  standardOutput.write(
    sshConfig(alias, id, {
      clientUrl: url.href.replace(/\/+$/, ""),
      fingerprint,
      insecure: flags.insecure ?? false,
      system: process.platform === "win32" ? "windows" : "unix",
      more: flags.ca ? ["--ca", resolve(flags.ca)] : [],
    }),
  );
  return 0;
}

/** How this very wsproxy is started: by Node from a file, or as a program of its own. */
function ownWords(): string[] {
  const [node = process.execPath, file = ""] = process.argv;
  return file === "" || file === node ? [node] : [node, ...process.execArgv, file];
}

/** One line a check, and under a failed one what to do; the exit status is the first failure's. */
export async function runDoctor(args: readonly string[], signal: AbortSignal): Promise<number> {
  const command = program("wsproxy doctor", version, "Checks the way to a relay.").argument(
    "<url>",
    "the relay's: https://host[/context]; or one agent's, to look at it and at your keys too",
  );
  const readFlags = withFlags(command, [
    option("--ca <file>", "trust this authority (PEM) for wss"),
    option("--insecure", "accept any TLS certificate"),
  ]);
  command.parse(args, { from: "user" });
  const flags = readFlags();
  const url = urlArgument(relayUrl, command.args[0] ?? "");
  const trust = readTrust(flags.ca, flags.insecure ?? false);
  let status = 0;
  for await (const { name, state, said, fix, code } of examine(
    url,
    trust,
    { words: ownWords(), version },
    signal,
  )) {
    const lines = [`${state.padEnd(5)}${name.padEnd(11)}${said}\n`];
    if (fix) lines.push(`${" ".repeat(16)}${fix}\n`);
    for (const line of lines) standardOutput.write(terminalText(line, "\n"));
    if (code && status === 0) status = statusOf(code);
  }
  return status;
}

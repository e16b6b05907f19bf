/**
 * Programs: the real relay, agent, wsproxy and ssh, as a user starts them, with what they say. A
 * story that starts some calls `endPrograms` when it is over.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder, type How, type Program, program } from "./child.ts";
import { ed25519Pair } from "./ed25519-pair.ts";
import { built } from "./shipped.ts";
import { until } from "./until.ts";

/** One of ours, from dist/. */
export const ours = (
  name: "converge" | "agent" | "wsproxy",
  args: readonly string[],
  how: How = {},
): Program => program(process.execPath, [built(name), ...args], how);

export interface RelayProgram extends Program {
  readonly url: string;
  readonly port: number;
  /** Its log so far. */
  lines(): Record<string, unknown>[];
}

/** Starts the relay and waits until it listens. */
export async function relayProgram(
  args: readonly string[] = [],
  how: How & { port?: number; scheme?: string } = {},
): Promise<RelayProgram> {
  const { port = 0, scheme = "http", ...rest } = how;
  const run = ours("converge", ["--listen", `127.0.0.1:${port}`, ...args], rest);
  const lines = (): Record<string, unknown>[] =>
    run
      .err()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  await run.see("relay listening");
  const line = await until("the port", () =>
    lines().find((entry) => entry["msg"] === "relay listening"),
  );
  const used = Number(line["port"]);
  return Object.assign(run, { url: `${scheme}://127.0.0.1:${used}`, port: used, lines });
}

export interface Ready {
  readonly id: string;
  readonly asked: string;
  readonly clientUrl: string;
  readonly fingerprint: string;
}

export interface AgentProgram extends Program {
  readonly dir: string;
  readonly keyFile: string;
  readonly ready: Ready;
  /** What it announced, in order. */
  news(): Record<string, unknown>[];
}

/** A job's folder with a keys file, and the private key for it. */
export function jobFolder(comment = "dev@laptop"): { dir: string; keyFile: string } {
  const dir = folder();
  const pair = ed25519Pair(comment);
  const keyFile = join(dir, "id");
  writeFileSync(keyFile, pair.private, { mode: 0o600 });
  writeFileSync(join(dir, ".authorized_keys"), `${pair.public}\n`);
  writeFileSync(join(dir, ".bashrc"), "PS1='$ '\n");
  return { dir, keyFile };
}

/** Starts an agent in a folder of its own and waits until it is registered. */
export async function agentProgram(
  relayUrl: string,
  args: readonly string[] = [],
  how: How = {},
  [file, ...before]: readonly [string, ...string[]] = [process.execPath, built("agent")],
): Promise<AgentProgram> {
  const { dir, keyFile } = jobFolder();
  const run = program(file, [...before, "--json", ...args, relayUrl], {
    cwd: dir,
    ...how,
    env: { HOME: dir, SHELL: "/bin/bash", ...how.env },
  });
  const news = (): Record<string, unknown>[] =>
    run
      .out()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  await run.see('"event":"ready"');
  const ready = news()[0] as unknown as Ready;
  return Object.assign(run, { dir, keyFile, ready, news });
}

/** ssh's arguments to reach an agent; `wsproxy` are flags of the proxy command. */
export function sshArgs(agent: AgentProgram, wsproxy = "", clientUrl = agent.ready.clientUrl) {
  return [
    "-F/dev/null",
    `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${wsproxy} --fingerprint ${agent.ready.fingerprint} ${clientUrl}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-oBatchMode=yes",
    "-i",
    agent.keyFile,
    "job@agent",
  ];
}

export const ssh = (agent: AgentProgram, args: readonly string[], how: How = {}): Program =>
  program("ssh", [...sshArgs(agent), ...args], how);

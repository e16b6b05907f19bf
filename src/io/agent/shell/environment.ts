/**
 * Session environment: the variables a shell or command starts with. A pure function.
 *
 * It is the job's own environment without anything of the agent, so what a person tries in the
 * session behaves as it did in the job. What a client asks for can only choose language and colours.
 */
import type { Environment, Shell } from "./shells.ts";

/** An address and a port as ssh's variables show them. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Everything that goes into the environment of one session. */
export interface SessionFacts {
  /** The environment that the agent was started with. */
  readonly job: Environment;
  readonly agentdir: string;
  readonly rendezvous: string;
  /** Random, one for the agent process; the reaper finds its processes by it. */
  readonly marker: string;
  readonly shell: Shell;
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** What the client said its terminal is, as "xterm-256color"; null without a terminal. */
  readonly term: string | null;
  /** The path of the forwarded ssh-agent socket; null without agent forwarding. */
  readonly agentSocket: string | null;
  /** What the client wanted to run when a forced command runs instead; null otherwise. */
  readonly originalCommand: string | null;
  /** The client's env requests, unfiltered. */
  readonly requested: Environment;
  /** The `environment=` options of the key that logged in. */
  readonly keyEnvironment: Environment;
  /** The machine's own, and handed in by tests. */
  readonly platform?: NodeJS.Platform;
}

/** The env requests that are granted: none of them changes what is run. */
const granted = /^(LANG|LC_[A-Z0-9_]+|COLORTERM|TERM_PROGRAM|TERM_PROGRAM_VERSION)$/;

/** The longest value of an env request, in characters; the names are short by themselves. */
const longestRequest = 4_096;

/** About the terminal or ssh session in which the agent was started, not about this one. */
const stale = "SSH_CONNECTION SSH_CLIENT SSH_TTY SSH_ORIGINAL_COMMAND".split(" ");
const staleOnTerminal = "COLUMNS LINES TERMCAP TMUX TMUX_PANE STY WINDOW WINDOWID".split(" ");

/**
 * The environment of a session. Later ones win: the job's, the client's, the key's, the session's
 * own. `NODE_OPTIONS` is the job's again if the bootstrap kept it in `CONVERGE_NODE_OPTIONS`.
 */
export function sessionEnvironment(facts: SessionFacts): Record<string, string> {
  const { job, client, server, shell, term } = facts;
  const env: Record<string, string> = {};
  for (const [name, value] of pairs(job)) {
    if (!/^CONVERGE_/i.test(name)) env[name] = value;
  }
  for (const name of term === null ? stale : [...stale, ...staleOnTerminal]) delete env[name];
  const nodeOptions = job["CONVERGE_NODE_OPTIONS"];
  if (nodeOptions === "") delete env["NODE_OPTIONS"];
  else if (nodeOptions !== undefined) env["NODE_OPTIONS"] = nodeOptions;
  for (const [name, value] of pairs(facts.requested)) {
    if (granted.test(name) && value.length <= longestRequest) env[name] = value;
  }
  Object.assign(env, Object.fromEntries(pairs(facts.keyEnvironment)));
  const own: Environment = {
    agentdir: facts.agentdir,
    CONVERGE_RENDEZVOUS_ID: facts.rendezvous,
    CONVERGE_SESSION: facts.marker,
    SHELL: shell.path,
    SSH_CLIENT: `${client.address} ${client.port} ${server.port}`,
    SSH_CONNECTION: `${client.address} ${client.port} ${server.address} ${server.port}`,
    // Until the terminal has its name, which `terminal-modes.ts` puts here; this one is always right.
    SSH_TTY: term === null ? undefined : "/dev/tty",
    TERM: term ?? undefined,
    SSH_AUTH_SOCK: facts.agentSocket ?? undefined,
    SSH_ORIGINAL_COMMAND: facts.originalCommand ?? undefined,
  };
  Object.assign(env, Object.fromEntries(pairs(own)));
  return (facts.platform ?? process.platform) === "win32" ? ofEachNameOne(env) : env;
}

/** Windows takes a name in any case for the same: the later value, under the name that was first. */
function ofEachNameOne(env: Readonly<Record<string, string>>): Record<string, string> {
  const names = new Map<string, string>();
  const one: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const first = names.get(name.toUpperCase()) ?? name;
    names.set(name.toUpperCase(), first);
    one[first] = value;
  }
  return one;
}

/** What is set, and can be: a name is not empty, and neither part holds a NUL. */
function pairs(env: Environment): [string, string][] {
  return Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value !== undefined && /^[^=\0]+$/.test(name) && !value.includes("\0") ? [[name, value]] : [],
  );
}

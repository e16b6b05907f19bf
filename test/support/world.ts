/**
 * World: a relay, an agent and OpenSSH's own clients, with one clock. Relay and agent run in this
 * process on port 0; ssh, scp, sftp, rsync and wsproxy are the real programs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunningAgent } from "../../src/actors/agent.ts";
import { type AgentRow, roster } from "../../src/actors/observe/roster.ts";
import type { AgentNews, Log } from "../../src/actors/ports.ts";
import type { RelayActor } from "../../src/actors/relay.ts";
import type { AgentPortsConfig } from "../../src/io/agent/ports.ts";
import { openTerminal } from "../../src/io/agent/shell/terminal.ts";
import { derivedId, newIdentity } from "../../src/io/protocol/identity.ts";
import { defaultLimits, type Limits } from "../../src/io/relay/admission/limits.ts";
import type { OriginConfig } from "../../src/io/relay/admission/origin.ts";
import { readManifest } from "../../src/io/relay/http/pages.ts";
import type { OpenRelayPorts } from "../../src/io/relay/ports.ts";
import { openRelay as startRelay } from "../../src/io/relay/relay.ts";
import { openHostKey } from "../../src/io/ssh2/host-key.ts";
import type { Ending, RendezvousId } from "../../src/machines/vocabulary.ts";
import { siteOf } from "../../web/site.tsx";
import { openAgent } from "./agent-door.ts";
import { type HandClock, handClock } from "./clock.ts";
import { ed25519Pair } from "./ed25519-pair.ts";
import { built, root } from "./shipped.ts";
import { until } from "./until.ts";

export { built, root } from "./shipped.ts";

export interface Lines extends Log {
  readonly lines: { readonly message: string; readonly fields: Record<string, unknown> }[];
}

/** A log that a test can read. */
export function lines(): Lines {
  const lines: Lines["lines"] = [];
  const add = (fields: object, message: string): void => {
    lines.push({ message, fields: { ...fields } });
  };
  return { lines, debug: () => {}, info: add, warn: add, error: add };
}

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
  const assets = join(root, "dist/assets");
  const { actor, ports, server, end } = await startRelay(
    full,
    { host: "127.0.0.1", port, tls: tls ?? null, metricsAt: null },
    {
      assets,
      downloads: downloads ?? join(root, "dist/downloads"),
      bootstrap: join(root, "dist/bootstrap"),
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

export interface AgentOptions {
  id?: string;
  timeoutMs?: number;
  joinTimeoutMs?: number;
  warnAtMs?: number[];
  lingerMs?: number;
  maxDurationMs?: number;
  allowed?: Partial<AgentPortsConfig["allowed"]>;
  notices?: Partial<AgentPortsConfig["notices"]>;
  job?: Record<string, string>;
  /** Whether that is all of the job's environment, and is handed over as it is. */
  isJobWhole?: boolean;
  registerToken?: () => string | null;
  /** Lines for the keys file; the world's own key by default. */
  keys?: string;
}

export interface Agent {
  readonly id: RendezvousId;
  readonly dir: string;
  readonly fingerprint: string;
  readonly news: AgentNews[];
  readonly log: Lines;
  readonly running: RunningAgent;
  /** Null until it ended. */
  ending(): Ending | Error | null;
  stop(): void;
  /** The id in use, which may be another than the one that was asked for. */
  rendezvous(): string;
}

export interface Result {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface World {
  readonly clock: HandClock;
  readonly dir: string;
  readonly keyFile: string;
  readonly publicKey: string;
  relay: Relay;
  agent: Agent;
  startAgent(options?: AgentOptions): Promise<Agent>;
  /** Options that lead any OpenSSH client to an agent; `wsproxy` are flags of the proxy command. */
  options(agent?: Agent, wsproxy?: string): string[];
  ssh(
    args: string[],
    how?: { input?: Buffer | string; agent?: Agent; key?: string; wsproxy?: string },
  ): Promise<Result>;
  /** An ssh in a terminal of its own. */
  terminal(args?: string[], how?: { agent?: Agent; key?: string }): Screen;
  newKey(comment?: string): { file: string; publicKey: string };
  close(): Promise<void>;
}

/** A terminal with ssh in it, as a person sees it. */
export interface Screen {
  readonly pid: number;
  text(): string;
  /** Waits until the text after the last `see` holds this. */
  see(what: string | RegExp): Promise<string>;
  type(text: string): void;
  resize(cols: number, rows: number): void;
  readonly exited: Promise<number | null>;
}

const clean = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", LANG: "C.UTF-8" };

/** Runs a program to its end; never longer than a minute. */
export function run(
  file: string,
  args: readonly string[],
  how: {
    input?: Buffer | string;
    cwd?: string;
    env?: Record<string, string>;
    limitMs?: number;
  } = {},
): Promise<Result> & { child: ChildProcess } {
  const child = spawn(file, args, {
    cwd: how.cwd,
    env: { ...clean, ...how.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (data: Buffer) => out.push(data));
  child.stderr.on("data", (data: Buffer) => err.push(data));
  child.stdin.on("error", () => {});
  child.stdin.end(how.input ?? "");
  const limit = setTimeout(() => child.kill("SIGKILL"), how.limitMs ?? 60_000);
  const result = new Promise<Result>((done, fail) => {
    child.on("error", fail);
    child.on("close", (status) => {
      clearTimeout(limit);
      done({ status, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() });
    });
  });
  return Object.assign(result, { child });
}

/** Puts a world together: a relay, an agent, a key. `null` starts no agent. */
export async function meet(
  options: AgentOptions | null = {},
  origin: Parameters<typeof openRelay>[1] = {},
  clock: HandClock = handClock(),
): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), "converge-test-"));
  const cleanups: (() => void | Promise<void>)[] = [];
  let keys = 0;

  const newKey = (comment = "dev@laptop"): { file: string; publicKey: string } => {
    keys += 1;
    const pair = ed25519Pair(comment);
    const file = join(dir, `key-${keys}`);
    writeFileSync(file, pair.private, { mode: 0o600 });
    return { file, publicKey: pair.public };
  };
  const own = newKey();

  async function start(options: AgentOptions = {}): Promise<Agent> {
    const agentdir = mkdtempSync(join(dir, "job-"));
    writeFileSync(join(agentdir, ".authorized_keys"), `${options.keys ?? own.publicKey}\n`);
    writeFileSync(join(agentdir, ".bashrc"), "PS1='$ '\n");
    const identity = newIdentity();
    const id = (options.id ?? derivedId(identity.key)) as RendezvousId;
    const hostKey = openHostKey(null);
    const log = lines();
    const news: AgentNews[] = [];
    const stop = new AbortController();
    let ending: Ending | Error | null = null;
    const timeoutMs = options.timeoutMs ?? 600_000;
    const running = await openAgent(
      {
        id,
        limits: {
          timeoutMs,
          joinTimeoutMs: options.joinTimeoutMs ?? timeoutMs,
          warnAtMs: options.warnAtMs ?? [300_000, 60_000, 10_000],
          lingerMs: options.lingerMs ?? 0,
          maxDurationMs: options.maxDurationMs ?? null,
        },
        relay: world.relay.url,
        trust: { ca: null, insecure: true },
        identity,
        registerToken: options.registerToken ?? (() => null),
        hostKey,
        agentdir,
        keysFile: join(agentdir, ".authorized_keys"),
        keysUrls: [],
        shells: [],
        job: (options.isJobWhole && options.job) || {
          ...clean,
          HOME: agentdir,
          SHELL: "/bin/bash",
          ...options.job,
        },
        allowed: {
          shell: true,
          exec: true,
          sftp: true,
          readOnly: false,
          portForwarding: true,
          agentForwarding: true,
          ...options.allowed,
        },
        notices: { bell: false, title: false, ...options.notices },
        announce: (item) => void news.push(item),
      },
      clock,
      log,
      stop.signal,
    );
    const ended = running.ended.then(
      (how) => {
        ending = how;
      },
      (error: Error) => {
        ending = error;
      },
    );
    cleanups.push(async () => {
      stop.abort();
      await ended;
    });
    const agent: Agent = {
      id,
      dir: agentdir,
      fingerprint: hostKey.fingerprint,
      news,
      log,
      running,
      ending: () => ending,
      stop: () => stop.abort(),
      rendezvous: running.rendezvous,
    };
    await until("the agent is registered, or ended", () => news.length > 0 || ending);
    return agent;
  }

  const optionsFor = (agent: Agent = world.agent, wsproxy = ""): string[] => [
    "-F/dev/null",
    `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${wsproxy} --fingerprint ${agent.fingerprint} ${world.relay.url.href.replace(/\/$/, "")}/client/${agent.rendezvous()}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-oBatchMode=yes",
  ];

  const world: World = {
    clock,
    dir,
    keyFile: own.file,
    publicKey: own.publicKey,
    relay: await openRelay(clock, origin),
    agent: null as unknown as Agent,
    startAgent: start,
    options: optionsFor,
    newKey,
    ssh: (args, how = {}) =>
      run(
        "ssh",
        [...optionsFor(how.agent, how.wsproxy), "-i", how.key ?? own.file, "job@agent", ...args],
        how.input === undefined ? {} : { input: how.input },
      ),
    terminal: (args = [], how = {}) => {
      const shown = screen("ssh", [
        ...optionsFor(how.agent),
        "-i",
        how.key ?? own.file,
        "-tt",
        "job@agent",
        ...args,
      ]);
      cleanups.push(() => {
        try {
          process.kill(shown.pid, "SIGKILL");
        } catch {
          // it has ended by itself, as it should
        }
      });
      return shown;
    },
    close: async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
      await world.relay.close();
      clock.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  if (options) world.agent = await start(options);
  return world;
}

/** Starts a program in a terminal of 80 by 24. */
export function screen(file: string, args: string[], env: Record<string, string> = {}): Screen {
  const path = (
    clean.PATH.split(":").find((folder) => existsSync(join(folder, file))) ?? ""
  ).concat(`/${file}`);
  const child = openTerminal({
    file: existsSync(file) ? file : path,
    args,
    cwd: tmpdir(),
    env: { ...clean, TERM: "xterm", ...env },
    cols: 80,
    rows: 24,
  });
  let text = "";
  let seen = 0;
  /** Without what is not seen by itself: colours and weight. */
  const shown = (): string => text.replace(/\p{Cc}\[[\d;]*m/gu, "");
  child.stdout.on("data", (data: Buffer) => {
    text += data.toString();
  });
  return {
    pid: child.pid ?? 0,
    text: () => text,
    see: async (what) => {
      const find = (): { index: number; length: number } | null => {
        const rest = shown().slice(seen);
        if (typeof what === "string")
          return rest.includes(what) ? { index: rest.indexOf(what), length: what.length } : null;
        const match = what.exec(rest);
        return match ? { index: match.index, length: match[0].length } : null;
      };
      const found = await until(`${what} on the screen`, find).catch((error) => {
        throw new Error(`${error.message}; there was: ${JSON.stringify(text.slice(-600))}`);
      });
      const start = seen + found.index;
      seen = start + found.length;
      return shown().slice(start, seen);
    },
    type: (keys) => void child.stdin.write(keys),
    resize: child.resize,
    exited: child.exited.then(({ code }) => code),
  };
}

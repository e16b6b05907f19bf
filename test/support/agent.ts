/** Agent: a whole agent with real shells in the test's own process, by the test's clock. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningAgent } from "../../src/actors/agent.ts";
import type { AgentNews } from "../../src/actors/ports.ts";
import type { AgentPortsConfig } from "../../src/io/agent/ports.ts";
import { derivedId, newIdentity } from "../../src/io/protocol/identity.ts";
import { openHostKey } from "../../src/io/ssh2/host-key.ts";
import type { Ending, RendezvousId } from "../../src/machines/vocabulary.ts";
import { openAgent } from "./agent-door.ts";
import { clean } from "./child.ts";
import type { HandClock } from "./clock.ts";
import { type Lines, lines } from "./lines.ts";

export interface AgentOptions {
  id?: string;
  timeoutMs?: number;
  joinTimeoutMs?: number;
  warnAtMs?: number[];
  lingerMs?: number;
  maxDurationMs?: number;
  resumeTimeoutMs?: number;
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

/**
 * Starts an agent, in a job's folder of its own inside `dir`; it is not registered yet. `close` stops
 * it and waits for its end.
 */
export async function startAgent(
  { dir, relay, clock }: { dir: string; relay: URL; clock: HandClock },
  options: AgentOptions & { keys: string },
): Promise<{ agent: Agent; close(): Promise<void> }> {
  const agentdir = mkdtempSync(join(dir, "job-"));
  writeFileSync(join(agentdir, ".authorized_keys"), `${options.keys}\n`);
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
        resumeTimeoutMs: options.resumeTimeoutMs ?? 600_000,
      },
      relay,
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
      isResumable: options.resumeTimeoutMs !== 0,
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
  return {
    agent,
    close: async () => {
      stop.abort();
      await ended;
    },
  };
}

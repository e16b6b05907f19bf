/**
 * Agent ports: the ssh server, keys, hold file and control link of one agent, put together as the
 * actor's ports. Nothing is decided here.
 */
import { randomBytes } from "node:crypto";
import { hostname, release, type as systemName, userInfo } from "node:os";
import { join } from "node:path";
import { Subject } from "rxjs";
import { Meter } from "../../actors/activity.ts";
import type { Clock } from "../../actors/clock.ts";
import { confineTimers, faultsIn } from "../../actors/confine.ts";
import { ConvergeError } from "../../actors/errors.ts";
import type { AgentNews, AgentPorts, AgentState, Log, RelayEnding } from "../../actors/ports.ts";
import { helpText, leavingText } from "../../actors/words/visit.ts";
import type { AgentFacts } from "../../machines/vocabulary.ts";
import { resumeWord } from "../protocol/wire.ts";
import { useFastPoly1305 } from "../ssh2/gaps.ts";
import type { HostKey } from "../ssh2/host-key.ts";
import { offerPostQuantum } from "../ssh2/post-quantum.ts";
import { plainText } from "../text.ts";
import { version } from "../version.ts";
import { type ControlLinkConfig, openControlLink } from "./control-link.ts";
import { openHoldFile } from "./job/hold-file.ts";
import { withoutSecrets } from "./keys/key-download.ts";
import { openKeyring } from "./keys/keyring.ts";
import { reap } from "./shell/reaper.ts";
import { findWillingShell } from "./shell/willing-shell.ts";
import { openSshServer, type SshServerConfig } from "./ssh/server.ts";
import { openVisits } from "./visits.ts";

export interface AgentPortsConfig
  extends Pick<ControlLinkConfig, "relay" | "trust" | "identity" | "registerToken">,
    Pick<SshServerConfig, "allowed" | "job" | "notices"> {
  readonly agentdir: string;
  readonly hostKey: HostKey;
  readonly keysFile: string;
  readonly keysUrls: readonly string[];
  readonly shells: readonly string[];
  readonly announce: (news: AgentNews) => void;
  /** Whether shells outlive their links. */
  readonly isResumable: boolean;
}

/** The name that the hold file has, in `agentdir`. */
const holdName = ".hold";

/** Opens everything. `CONVERGE_NO_SHELL` or `CONVERGE_NO_KEYS` when nobody could get in or work. */
export async function openAgentPorts(
  config: AgentPortsConfig,
  givenClock: Clock,
  log: Log,
): Promise<AgentPorts> {
  const clock = confineTimers(givenClock, faultsIn(log));
  const shell = await findWillingShell({ first: config.shells, env: config.job }, log);
  const keyChanges = new Subject<string>();
  const keyring = openKeyring({ file: config.keysFile, urls: config.keysUrls }, clock, (what) =>
    keyChanges.next(what),
  );
  await keyring.ready;
  const { keys, problems } = await keyring.read();
  for (const problem of problems) log.warn({ problem }, "authorized key refused");
  if (keys.length === 0) {
    keyring.close();
    const places = [config.keysFile, ...config.keysUrls.map(withoutSecrets)];
    throw new ConvergeError("CONVERGE_NO_KEYS", places.join(", "));
  }

  const marker = randomBytes(16).toString("hex");
  const meter = new Meter();
  const extraKex = await offerPostQuantum(log);
  await useFastPoly1305();
  let state: AgentState | null = null;
  const server = openSshServer(
    {
      ...config,
      shell,
      marker,
      extraKex,
      rendezvous: () => state?.rendezvous() ?? "",
      welcome: () =>
        state
          ? helpText({
              platform: process.platform,
              shell: shell.name,
              agentdir: config.agentdir,
              keysFile: config.keysFile,
              rendezvous: state.rendezvous(),
              leftMs: state.leftMs(),
              timeoutMs: state.timeoutMs,
              held: state.isHeld(),
            })
          : "",
      farewell: (others) => {
        // As for the leave itself, a hold made by the last command counts.
        holdFile.look();
        const { lingerMs = 0 } = state ?? {};
        const held = holdFile.isThere();
        return leavingText({ others, held, lingerMs, leftMs: state?.leftMs() ?? 0 });
      },
    },
    keyring,
    meter,
    clock,
    log,
  );
  const facts: AgentFacts = {
    host: plainText(hostname(), 100),
    user: userName(),
    os: plainText(`${systemName()} ${release()}`, 100),
    arch: process.arch,
    shell: plainText(shell.path, 200),
    version,
    fingerprint: config.hostKey.fingerprint,
  };
  const relayEndings = new Subject<RelayEnding>();
  const visits = openVisits({ isResumable: config.isResumable, accept: server.accept }, clock, log);
  const control = openControlLink(
    {
      ...config,
      facts,
      can: config.isResumable ? [resumeWord] : [],
      onVisit: visits.take,
      onRelayEnding: (leftMs, times) => {
        visits.move(leftMs);
        relayEndings.next({ leftMs, times });
      },
    },
    clock,
    log,
  );
  const reporting = server.changes.subscribe(control.reportClient);
  const holdFile = openHoldFile(join(config.agentdir, holdName), clock.wall(), clock);
  if (holdFile.isLeftover)
    log.warn({ file: holdName }, "hold file is older than this agent: ignored until touched");

  return {
    log,
    begin: (begun) => {
      state = begun;
    },
    meter,
    clients: server.news,
    holdFile,
    keyChanges,
    keys: keys.map(({ comment, fingerprint }) => ({ comment, fingerprint })),
    relayEndings,
    register: control.register,
    standing: control.standing,
    report: control.report,
    reports: server.reports,
    giveUp: server.giveUp,
    tell: server.tell,
    announce: config.announce,
    end: async (lastLine) => {
      visits.close();
      await server.end(lastLine);
      keyring.close();
      reporting.unsubscribe();
      control.close();
      await reap(marker, clock, server.leaders());
    },
  };
}

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return plainText(userInfo().username, 100);
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}

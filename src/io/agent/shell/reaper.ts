/**
 * Reaper: after the end of the agent no process of its sessions is left.
 *
 * Every session carries `CONVERGE_SESSION` with a marker of this agent alone, so on Linux what was
 * detached by nohup, setsid or a double fork is found by its environment. It knows no channels.
 * A process that had cleared its environment and left its session and parent before the first scan
 * is not found; one whose ancestors are still there is. The agent itself is never touched.
 */
import { execFile } from "node:child_process";
import { type Clock, pause } from "../../../actors/clock.ts";
import { allStats, type Stat, statOf, wasStartedWith } from "./proc.ts";
import { send } from "./process.ts";

/** How long a process may take to end after the hang-up. */
export const graceMs = 5_000;

/** When reaping gives up: by then only what the kernel cannot kill is left. */
export const limitMs = 10_000;

/** How often it is looked whether they have gone. */
const pollMs = 50;

/**
 * Hangs up one session: SIGHUP to the group of its leader `pid` and to what is in the foreground of
 * its terminal, and SIGKILL to the same after 5 s if the leader is still there. Jobs started with
 * nohup in groups of their own stay, as they do with sshd, until `reap`. Resolves when the leader
 * has gone or was killed; at once if there is none. Never rejects.
 */
export async function hangUp(pid: number, clock: Clock): Promise<void> {
  if (!isAlive(pid)) return;
  if (process.platform === "win32") return killTrees([pid]);
  const born = statOf(pid)?.startTime; // so that nobody else is killed who gets the number meanwhile
  for (const name of ["HUP", "CONT"]) sendToSession(pid, name);
  const until = clock.now() + graceMs;
  while (isAlive(pid) && statOf(pid)?.startTime === born) {
    if (clock.now() >= until) return sendToSession(pid, "KILL");
    await pause(clock, pollMs);
  }
}

/**
 * Ends everything that carries `marker`: SIGHUP (and SIGCONT, so that stopped ones hear it), SIGKILL
 * after 5 s, and it gives up after 10 s. Resolves at once if there is nothing. `leaders` are the pids
 * that the sessions started with, and are only looked at where there is no /proc. Never rejects.
 */
export async function reap(
  marker: string,
  clock: Clock,
  leaders: readonly number[] = [],
): Promise<void> {
  if (marker === "") return; // any process may carry that
  if (process.platform === "win32") return killTrees(leaders.filter(isAlive));
  const look = process.platform === "linux" ? marked(marker) : groups(leaders);
  const from = clock.now();
  const warned = new Set<number>();
  for (;;) {
    const found = look();
    if (found.length === 0 || clock.now() - from >= limitMs) return;
    const isLate = clock.now() - from >= graceMs;
    for (const target of found) {
      if (isLate) send(target, "KILL");
      else if (!warned.has(target)) for (const name of ["HUP", "CONT"]) send(target, name);
      warned.add(target);
    }
    await pause(clock, pollMs);
  }
}

/**
 * Finds the processes that carry the marker, those in a session of such a one, and all their
 * children; and again whatever was found before, should it have lost its parent since.
 */
function marked(marker: string): () => number[] {
  const pair = `CONVERGE_SESSION=${marker}`;
  const known = new Set<string>();
  const nameOf = ({ pid, startTime }: Stat): string => `${pid} ${startTime}`;
  const scan = (): number[] => {
    const stats = allStats().filter(({ pid }) => pid !== process.pid);
    const own = statOf(process.pid)?.session;
    const ours = new Set<number>();
    const sessions = new Set<number>();
    const take = (stat: Stat): void => {
      ours.add(stat.pid);
      known.add(nameOf(stat));
      if (stat.session > 1 && stat.session !== own) sessions.add(stat.session);
    };
    for (const stat of stats) {
      if (known.has(nameOf(stat)) || wasStartedWith(stat.pid, pair)) take(stat);
    }
    for (let before = -1; before !== ours.size; ) {
      before = ours.size;
      for (const stat of stats) {
        if (ours.has(stat.pid)) continue;
        if (ours.has(stat.parent) || sessions.has(stat.session)) take(stat);
      }
    }
    return [...ours];
  };
  // One that forks and ends while /proc is being read can hide its child from a single scan.
  return () => {
    const found = scan();
    return found.length > 0 ? found : scan();
  };
}

/** Without /proc: the process groups of the sessions, as negative numbers, as far as they live. */
function groups(leaders: readonly number[]): () => number[] {
  return () => leaders.filter((pid) => pid > 1 && isAlive(-pid)).map((pid) => -pid);
}

/** The group of the leader, and the group in the foreground of its terminal if that is another. */
function sendToSession(pid: number, name: string): void {
  const foreground = statOf(pid)?.foreground ?? -1;
  send(-pid, name);
  if (foreground > 1 && foreground !== pid) send(-foreground, name);
}

/** Whether there is such a process, or group for a negative number. 0 and 1 are nobody's business. */
function isAlive(target: number): boolean {
  if (Math.abs(target) <= 1) return false;
  try {
    return process.kill(target, 0);
  } catch {
    return false;
  }
}

/** Where taskkill is missing or cannot, the leader at least is ended. */
async function killTrees(pids: readonly number[]): Promise<void> {
  await Promise.all(
    pids.map(
      (pid) =>
        new Promise<void>((resolve) => {
          execFile("taskkill", ["/T", "/F", "/PID", String(pid)], (error) => {
            if (error) send(pid, "KILL");
            resolve();
          });
        }),
    ),
  );
}

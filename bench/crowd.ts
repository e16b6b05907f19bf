/**
 * Crowd: what one registration, one status and one knock cost the relay, with few agents and with
 * many, and what watchers of the live list cost beside thousands of reports. The relay is a process of
 * its own; the agents are plain websockets here, which register, report and answer pings.
 */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { WebSocket } from "ws";
import { newIdentity } from "../src/io/protocol/identity.ts";
import { subprotocols } from "../src/io/protocol/wire.ts";
import { type Figures, median } from "./measure.ts";
import * as peers from "./peers.ts";
import type { openReport } from "./report.ts";

/** Processor time in seconds, to the nanosecond: the scheduler's own account of all threads. */
function cpuOf(pid: number): number {
  const sum = readdirSync(`/proc/${pid}/task`).reduce((total, task) => {
    const [ns = "0"] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ");
    return total + Number(ns);
  }, 0);
  return sum / 1e9;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Agents of so many addresses, as far as the relay counts addresses. */
const addresses = 200;
const facts = {
  host: "runner",
  user: "ci",
  os: "Linux 6.1",
  arch: "x64",
  shell: "/bin/bash",
  version: "0.1.0",
  fingerprint: `SHA256:${"a".repeat(43)}`,
};

interface Agent {
  readonly id: string;
  readonly socket: WebSocket;
  readonly localAddress: string;
}

let names = 0;
async function register(url: string): Promise<Agent> {
  names += 1;
  const id = `crowd-${names}`;
  const localAddress = `127.0.1.${1 + (names % addresses)}`;
  const { host } = new URL(url);
  const identity = newIdentity();
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/agent/${id}`, [subprotocols.agent], {
    perMessageDeflate: false,
    localAddress,
  });
  await new Promise<void>((done, fail) => {
    socket.on("error", fail);
    socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString());
      if (message.type === "challenge") {
        const signature = identity.answer(message.nonce, host, id as never);
        const { key } = identity;
        socket.send(JSON.stringify({ type: "register", id, host, key, signature, facts }));
      }
      if (message.type === "registered") done();
    });
  });
  return { id, socket, localAddress };
}

/** Runs `work` so many times, a few at a time. */
async function inParallel<T>(times: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < times) {
      const n = next;
      next += 1;
      results[n] = await work(n);
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return results;
}

async function leave(agents: readonly Agent[]): Promise<void> {
  await inParallel(agents.length, async (n) => {
    const socket = agents[n]?.socket;
    if (!socket) return;
    socket.close(1000);
    await once(socket, "close");
  });
}

/** A status whose deadline moved on, as that of a session where something goes on does. */
function report({ socket }: Agent, turn: number): void {
  const leftMs = 600_000 + (turn % 50) * 1_000;
  const status = { state: "occupied", leftMs, held: false, clients: [], warnings: 0 };
  socket.send(JSON.stringify({ type: "status", status }));
}

/** Resolves when the relay has read all that an agent has said: it answers a ping in its order. */
async function settled(agents: readonly Agent[]): Promise<void> {
  await inParallel(agents.length, async (n) => {
    const socket = agents[n]?.socket;
    if (!socket) return;
    const pong = once(socket, "pong");
    socket.ping();
    await pong;
  });
}

/** One knock of a client that goes as soon as it has been told whom it found. */
async function knock(url: string, { id, localAddress }: Agent): Promise<void> {
  const socket = new WebSocket(
    `${url.replace(/^http/, "ws")}/client/${id}`,
    [subprotocols.client],
    { perMessageDeflate: false, localAddress },
  );
  socket.on("error", () => {});
  await once(socket, "message");
  socket.close(1000);
  await once(socket, "close");
}

interface Relay {
  readonly pid: number;
  readonly url: string;
}

/** How long it is watched with nothing to do, before each round. */
const idleMs = 2_000;

/** Milliseconds of the relay's processor for one of each, beside so many agents. */
async function costs(
  { pid, url }: Relay,
  agents: readonly Agent[],
  times: number,
): Promise<Figures> {
  // What the crowd costs by being there, its pings above all, is not the event's.
  const idleFrom = cpuOf(pid);
  await pause(idleMs);
  const idleShare = (cpuOf(pid) - idleFrom) / (idleMs / 1_000);
  const each = async (work: () => Promise<unknown>, count: number): Promise<number> => {
    await pause(300);
    const before = cpuOf(pid);
    const began = performance.now();
    await work();
    const seconds = (performance.now() - began) / 1_000;
    return ((cpuOf(pid) - before - idleShare * seconds) / count) * 1_000;
  };
  let more: Agent[] = [];
  const registration = await each(async () => {
    more = await inParallel(times, () => register(url));
  }, times);
  await leave(more);
  const some = agents.slice(0, 100);
  const turns = Math.ceil((8 * times) / some.length);
  const status = await each(async () => {
    for (let turn = 0; turn < turns; turn += 1) {
      for (const agent of some) report(agent, turn);
      await settled(some.slice(0, 1));
    }
    await settled(some);
  }, turns * some.length);
  const knocks = await each(
    () =>
      inParallel(times, (n) => {
        const agent = some[n % some.length];
        return agent ? knock(url, agent) : pause(0);
      }),
    times,
  );
  return { registration, status, knock: knocks };
}

/** One of those who watch the list of sessions; returns how to stop. */
async function watch(url: string): Promise<() => void> {
  const request = get(`${url}/api/sessions/live`);
  const [answer] = await once(request, "response");
  if (answer.statusCode !== 200) throw new Error(`the live list answers ${answer.statusCode}`);
  answer.resume();
  answer.on("error", () => {});
  request.on("error", () => {});
  return () => request.destroy();
}

/** The relay's own figure, since it was last asked. */
async function lagP99(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]) * 1_000;
}

/** Percent of a core that the relay needs for `seconds`, and its event loop's delay. */
async function load(
  { pid, url }: Relay,
  seconds: number,
  work: (untilMs: number) => Promise<void>,
): Promise<{ cpu: number; lag: number }> {
  await lagP99(url);
  const before = cpuOf(pid);
  const began = performance.now();
  await work(began + seconds * 1_000);
  const cpu = ((cpuOf(pid) - before) / ((performance.now() - began) / 1_000)) * 100;
  return { cpu, lag: await lagP99(url) };
}

const reportEveryMs = 30_000;

/** All agents report once in 30 s, evenly. */
async function reporting(agents: readonly Agent[], untilMs: number): Promise<void> {
  const began = performance.now();
  let sent = 0;
  while (performance.now() < untilMs) {
    const due = ((performance.now() - began) / reportEveryMs) * agents.length;
    for (; sent < due; sent += 1) {
      const agent = agents[sent % agents.length];
      if (agent) report(agent, sent);
    }
    await pause(20);
  }
}

export async function benchCrowd(
  output: ReturnType<typeof openReport>,
  rounds: number,
  isQuick: boolean,
): Promise<void> {
  const crowds = isQuick ? [100, 400] : [100, 4_000, 18_000];
  const times = isQuick ? 100 : 400;
  const seconds = isQuick ? 3 : 30;
  const relay = await peers.startRelay();
  const agents: Agent[] = [];
  const results = new Map<string, Figures>();
  const measure = async (crowd: number): Promise<void> => {
    const runs: Figures[] = [];
    // Code gets compiled, and V8 forgets what was not used while others were watched.
    for (let warm = 0; warm < 4; warm += 1) await costs(relay, agents, times);
    for (let round = 0; round < rounds; round += 1) runs.push(await costs(relay, agents, times));
    const of = (figure: string): number => median(runs.map((run) => run[figure] ?? Number.NaN));
    results.set(`${crowd} agents`, {
      registration: of("registration"),
      status: of("status"),
      knock: of("knock"),
    });
  };
  await grow(agents, relay.url, 100);
  for (const crowd of crowds.slice(0, -1)) {
    await grow(agents, relay.url, crowd);
    await measure(crowd);
  }
  // Before most files are agents': then the relay keeps the rest for agents and probes.
  const watchers = await Promise.all([1, 2, 3].map(() => watch(relay.url)));
  const most = crowds.at(-1) ?? 0;
  await grow(agents, relay.url, most);
  await pause(seconds * 100);
  const busy = await load(relay, seconds, (untilMs) => reporting(agents, untilMs));
  for (const stop of watchers) stop();
  const idle = await load(relay, seconds, (untilMs) => pause(untilMs - performance.now()));
  await measure(most);
  const [least = ""] = results.keys();
  output.add({
    title: "relay, one event beside a crowd",
    results: new Map([...results].reverse()),
    units: { registration: "ms", status: "ms", knock: "ms" },
    goals: ["registration", "status", "knock"].map((figure) => ({
      figure,
      against: least,
      target: "≤ 1.3",
    })),
  });
  output.add({
    title: `relay, ${most} agents that report, three people watching`,
    results: new Map([
      ["converge", { cpu: busy.cpu - idle.cpu, lag: busy.lag }],
      ["bound", { cpu: 4, lag: 20 }],
    ]),
    units: { cpu: "% of a core above idle", lag: "ms, p99 of the event loop" },
    goals: [
      { figure: "cpu", against: "bound", target: "≤ 1" },
      { figure: "lag", against: "bound", target: "≤ 1" },
    ],
  });
  for (const { socket } of agents) socket.terminate();
  relay.end();
}

/** Adds agents until there are so many. */
async function grow(agents: Agent[], url: string, crowd: number): Promise<readonly Agent[]> {
  agents.push(...(await inParallel(crowd - agents.length, () => register(url))));
  return agents;
}

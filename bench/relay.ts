/**
 * Relay: throughput, processor time, latency, handshakes and memory of the relay beside socat and a
 * Go relay. The driver is the same for all: frames that were made once, on raw sockets.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { alternate, type Contender, cpuSeconds, percentile } from "./measure.ts";
import * as peers from "./peers.ts";
import { goPipe, openDialler, openSink, type Pipe, payloads, push, tcpPipe } from "./pipes.ts";
import type { openReport } from "./report.ts";

const mib = 1024 * 1024;
const gib = 1024 * mib;
const go = "Go, messages";
const socatName = "socat -b65536";

/** Bytes through so many pipes at once: speed, and processor time of the relay for each GiB. */
const through = (
  name: string,
  pid: number,
  open: () => Promise<Pipe>,
  pairs: number,
  bytes: number,
): Contender => ({
  name,
  run: async () => {
    const pipes = await Promise.all(Array.from({ length: pairs }, open));
    const before = cpuSeconds(pid);
    const seconds = await push(pipes, bytes / pairs);
    const cpu = cpuSeconds(pid) - before;
    for (const pipe of pipes) pipe.close();
    return { speed: bytes / mib / seconds, cpu: cpu / (bytes / gib) };
  },
});

/** A byte there, and its answer back, one after the other. */
const pingPong = (name: string, open: () => Promise<Pipe>, times: number): Contender => ({
  name,
  run: async () => {
    const { from, to, crumb, answer, close } = await open();
    to.on("data", () => to.write(answer));
    const took: number[] = [];
    for (let n = 0; n < times; n += 1) {
      const back = once(from, "data");
      const began = performance.now();
      from.write(crumb);
      await back;
      took.push((performance.now() - began) * 1_000);
    }
    close();
    return { p50: percentile(took, 50), p99: percentile(took, 99) };
  },
});

/** Websockets opened, 20 at a time, and closed at once. */
const handshakes = (name: string, port: number, path: string, times: number): Contender => ({
  name,
  run: async () => {
    const began = performance.now();
    let left = times;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const socket = connect(port, "127.0.0.1");
        socket.write(
          `GET ${path}${left} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Protocol: converge.agent.v1\r\n\r\n`,
        );
        await once(socket, "data");
        socket.destroy();
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    return { rate: times / ((performance.now() - began) / 1_000) };
  },
});

const residentKiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);

/**
 * Idle pairs on a relay of their own: memory of each connection after so many seconds, and what
 * their pings, and the collections of what their coming left behind, cost in that time. Within a
 * minute, for nobody here answers a ping.
 */
const idle = (
  name: string,
  start: () => Promise<{ pid: number; open: () => Promise<Pipe>; end: () => void }>,
  pairs: number,
  seconds: number,
): Contender => ({
  name,
  run: async () => {
    const relay = await start();
    const before = residentKiB(relay.pid);
    const pipes: Pipe[] = [];
    while (pipes.length < pairs)
      pipes.push(...(await Promise.all(Array.from({ length: 50 }, relay.open))));
    await new Promise((done) => setTimeout(done, 2_000));
    const spent = cpuSeconds(relay.pid);
    await new Promise((done) => setTimeout(done, seconds * 1_000));
    const cpu = ((cpuSeconds(relay.pid) - spent) / seconds) * 100;
    const memory = (residentKiB(relay.pid) - before) / (2 * pipes.length);
    for (const pipe of pipes) pipe.close();
    relay.end();
    return { memory, cpu };
  },
});

/** All about the relay. */
export async function benchRelay(
  report: ReturnType<typeof openReport>,
  rounds: number,
  isQuick: boolean,
): Promise<void> {
  const bytes = (isQuick ? 64 : 4_096) * mib;
  const sink = await openSink();
  const relay = await peers.startRelay();
  const dialler = await openDialler(relay.url);
  const socat = await peers.startSocat(sink.port);
  const gorilla = await peers.startGo("pairs");
  const overSocat = (): Promise<Pipe> => tcpPipe(socat.port, sink);
  const overGo = (): Promise<Pipe> => goPipe(gorilla.port);
  const three = (pairs: number): Contender[] => [
    through("converge", relay.pid, () => dialler.pipe(payloads.large), pairs, bytes),
    through(socatName, socat.pid, overSocat, pairs, bytes),
    through(go, gorilla.pid, overGo, pairs, bytes),
  ];
  const units = { speed: "MiB/s", cpu: "s/GiB" };
  report.add({
    title: "relay, one pair, 64 KiB frames",
    results: await alternate(three(1), rounds),
    units,
    goals: [
      { figure: "cpu", against: socatName, target: "≤ 1.0" },
      { figure: "speed", against: socatName, target: "≥ 0.95" },
      { figure: "speed", against: go, target: "≥ 2.2" },
    ],
  });
  report.add({
    title: "relay, eight pairs, 64 KiB frames",
    results: await alternate(three(8), rounds),
    units,
    goals: [
      { figure: "speed", against: socatName, target: "≥ 0.9" },
      { figure: "speed", against: go, target: "≥ 4" },
    ],
  });
  report.add({
    title: "relay, one pair, 1 KiB frames",
    results: await alternate(
      [
        through("converge", relay.pid, () => dialler.pipe(payloads.small), 1, bytes),
        through(socatName, socat.pid, overSocat, 1, bytes),
      ],
      rounds,
    ),
    units,
    goals: [{ figure: "cpu", against: socatName, target: "≤ 2.2" }],
  });
  report.add({
    title: "relay, frames with random masks",
    results: await alternate(
      [
        through("random masks", relay.pid, () => dialler.pipe(payloads.masked), 1, bytes),
        through("zero masks", relay.pid, () => dialler.pipe(payloads.large), 1, bytes),
      ],
      rounds,
    ),
    units,
    goals: [{ figure: "cpu", against: "zero masks", target: "≤ 1.3" }],
  });
  const times = isQuick ? 500 : 4_000;
  report.add({
    title: "relay, round trip of one byte",
    results: await alternate(
      [
        pingPong("converge", () => dialler.pipe(payloads.large), times),
        pingPong(socatName, overSocat, times),
      ],
      rounds,
    ),
    units: { p50: "µs", p99: "µs" },
    goals: [
      { figure: "p50", against: socatName, target: "≤ 1.3" },
      { figure: "p99", against: socatName, target: "≤ 2" },
    ],
  });
  const many = isQuick ? 200 : 3_000;
  report.add({
    title: "relay, handshakes",
    results: await alternate(
      [
        handshakes("converge", Number(new URL(relay.url).port), "/agent/x", many),
        handshakes(go, gorilla.port, "/x", many),
      ],
      rounds,
    ),
    units: { rate: "a second" },
    goals: [{ figure: "rate", against: go, target: "≥ 0.5" }],
  });
  dialler.close();
  sink.server.close();
}

/** Memory and processor time of connections on which nothing happens but pings. */
export async function benchIdle(
  report: ReturnType<typeof openReport>,
  isQuick: boolean,
): Promise<void> {
  // Two sockets each, on both sides, and 20000 files are what a process may usually open at most.
  const pairs = isQuick ? 100 : 9_000;
  const results = await alternate(
    [
      idle("converge", startOurs, pairs, isQuick ? 1 : 42),
      idle(go, startTheirs, pairs, isQuick ? 1 : 2),
    ],
    1,
    false,
  );
  report.add({
    title: `relay, ${2 * pairs} idle connections`,
    results: new Map([...results, ["bound", { memory: 6, cpu: 4 }]]),
    units: { memory: "KiB each", cpu: "% of a core" },
    goals: [
      { figure: "memory", against: "bound", target: "≤ 1" },
      { figure: "memory", against: go, target: "" },
      { figure: "cpu", against: "bound", target: "≤ 1" },
    ],
  });
  async function startOurs() {
    const { pid, url, end } = await peers.startRelay();
    // An id has 50 clients of one address at most that do not log in.
    const diallers = await Promise.all(
      Array.from({ length: Math.ceil(pairs / 40) }, () => openDialler(url)),
    );
    let n = 0;
    const open = (): Promise<Pipe> => {
      n += 1;
      const of = diallers[n % diallers.length];
      if (!of) throw new Error("no dialler");
      return of.pipe(payloads.large);
    };
    return { pid, open, end };
  }
  async function startTheirs() {
    const { pid, port, end } = await peers.startGo("pairs");
    return { pid, open: () => goPipe(port), end };
  }
}

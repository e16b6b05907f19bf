/**
 * Run: the whole bench. Every figure is a median of rounds in which the contenders take turns,
 * and is worth something only beside the others of the same run.
 */
import { spawn } from "node:child_process";
import { openTerminal } from "../src/io/terminal.ts";
import { alternate, type Contender, cpuSeconds, percentile, table } from "./measure.ts";
import * as peers from "./peers.ts";
import { openDialler, openSink, type Pipe, push, tcpPipe, websockifyPipe } from "./pipes.ts";
import { forms, startUps } from "./startup.ts";

const isQuick = process.argv.includes("--quick");
const rounds = isQuick ? 1 : 5;
const mib = 1024 * 1024;
const relayBytes = (isQuick ? 64 : 512) * mib;
const sshBytes = (isQuick ? 32 : 256) * mib;
const keys = isQuick ? 50 : 400;

const gib = 1024 * mib;
const through = (
  name: string,
  pid: number,
  open: () => Promise<Pipe>,
  pairs: number,
): Contender => ({
  name,
  run: async () => {
    const pipes = await Promise.all(Array.from({ length: pairs }, open));
    const before = cpuSeconds(pid);
    const seconds = await push(pipes, relayBytes / pairs);
    const cpu = cpuSeconds(pid) - before;
    for (const pipe of pipes) pipe.close();
    return { speed: relayBytes / mib / seconds, cpu: cpu / (relayBytes / gib) };
  },
});

/** Runs ssh and resolves with seconds; a failure is an error. */
function ssh(args: string[], upload = 0): Promise<number> {
  const start = performance.now();
  return new Promise((done, fail) => {
    const child = spawn("ssh", args, { stdio: ["pipe", "pipe", "inherit"] });
    child.stdout.resume();
    const chunk = Buffer.alloc(mib);
    let left = upload / mib;
    const write = (): void => {
      while (left > 0) {
        left -= 1;
        if (!child.stdin.write(chunk)) return void child.stdin.once("drain", write);
      }
      child.stdin.end();
    };
    write();
    child.once("exit", (status) => {
      if (status === 0) done((performance.now() - start) / 1_000);
      else fail(new Error(`ssh ended with ${status}`));
    });
  });
}

/** Milliseconds from a key to its echo, one key at a time. */
async function echoes(args: string[]): Promise<{ p50: number; p99: number }> {
  const child = openTerminal({
    file: "/usr/bin/ssh",
    args: ["-tt", ...args, "stty raw -echo; echo ready; cat"],
    cwd: "/",
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm" },
    cols: 80,
    rows: 24,
  });
  let seen: (text: string) => void = () => {};
  child.stdout.on("data", (data: Buffer) => seen(data.toString()));
  const next = (what: string): Promise<void> =>
    new Promise((done) => {
      let text = "";
      seen = (more) => {
        text += more;
        if (text.includes(what)) done();
      };
    });
  await next("ready");
  const times: number[] = [];
  for (let n = 0; n < keys; n += 1) {
    const echoed = next("x");
    const start = performance.now();
    child.stdin.write("x");
    await echoed;
    times.push(performance.now() - start);
  }
  child.abandon();
  return { p50: percentile(times, 50), p99: percentile(times, 99) };
}

try {
  const start = await alternate(startUps(), rounds * 3);
  table("proxy command: start to first byte", start, { time: "ms" });
  const sink = await openSink();
  const relay = await peers.startRelay();
  const dialler = await openDialler(relay.url);
  const socat = await peers.startSocat(sink.port);
  const websockify = await peers.startWebsockify(sink.port);
  for (const pairs of [1, 8]) {
    const results = await alternate(
      [
        through("converge", relay.pid, dialler.pipe, pairs),
        through("socat -b65536", socat.pid, () => tcpPipe(socat.port, sink), pairs),
        through("websockify", websockify.pid, () => websockifyPipe(websockify.url, sink), pairs),
      ],
      rounds,
    );
    const title = `relay, ${pairs} ${pairs === 1 ? "pair" : "pairs"}, 64 KiB frames`;
    table(title, results, { speed: "MiB/s", cpu: "CPU s/GiB" });
  }
  dialler.close();
  sink.server.close();

  const pair = peers.makeKeys();
  const agent = await peers.startAgent(relay.url, pair);
  const units = { ready: "ms to ready", memory: "MiB at rest", size: "MB", packed: "MB packed" };
  table("agent", await alternate(forms(relay.url, agent.dir), rounds), units);
  const sshd = await peers.startSshd(pair);
  const contenders = [
    ["converge (end to end)", agent.ssh],
    ["sshd (direct)", sshd.ssh],
  ] as const;
  const each = (run: (args: readonly string[]) => Promise<Record<string, number>>): Contender[] =>
    contenders.map(([name, args]) => ({ name, run: () => run(args) }));
  const speed = (seconds: number) => ({ speed: sshBytes / mib / seconds });
  const down = each(async (args) => speed(await ssh([...args, `head -c ${sshBytes} /dev/zero`])));
  table("ssh exec, download", await alternate(down, rounds), { speed: "MiB/s" });
  const up = each(async (args) => speed(await ssh([...args, "cat >/dev/null"], sshBytes)));
  table("ssh exec, upload", await alternate(up, rounds), { speed: "MiB/s" });
  const connect = each(async (args) => ({ time: (await ssh([...args, "true"])) * 1_000 }));
  table("ssh host true", await alternate(connect, rounds * 2), { time: "ms" });
  const echo = each((args) => echoes([...args]));
  table("keystroke echo", await alternate(echo, rounds), { p50: "ms", p99: "ms" });
} finally {
  peers.endAll();
}
process.exit(0);

/**
 * Ssh: whole sessions with OpenSSH's client, through relay and wsproxy, beside Debian's sshd reached
 * directly and beside a stack in Go that ends at the same sshd.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { openTerminal } from "../src/io/agent/shell/terminal.ts";
import { alternate, type Contender, cpuSeconds, type Figures, percentile } from "./measure.ts";
import * as peers from "./peers.ts";
import type { openReport } from "./report.ts";
import { forms } from "./startup.ts";

const mib = 1024 * 1024;

/**
 * Runs a client and resolves with seconds; a failure is an error. It reads `input`, which may be an
 * open file, and what it says is thrown away: who drives it takes no processor from it.
 */
function seconds(
  file: string,
  args: readonly string[],
  input: string | number = "",
): Promise<number> {
  const start = performance.now();
  return new Promise((done, fail) => {
    const from = typeof input === "number" ? input : "pipe";
    const child = spawn(file, args, { stdio: [from, "ignore", "inherit"] });
    if (typeof input === "string") child.stdin?.end(input);
    child.once("exit", (status) => {
      if (status === 0) done((performance.now() - start) / 1_000);
      else fail(new Error(`${file} ended with ${status}`));
    });
  });
}

/** Milliseconds from a key to its echo, one key at a time. */
export async function echoes(args: readonly string[], keys: number): Promise<Figures> {
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

type Side = { readonly name: string; readonly args: readonly string[]; readonly pid: number };

const units = { speed: "MiB/s", cpu: "s/GiB" };

/** The same done with each: how fast, and at what cost for the server. */
const each = (
  among: readonly Side[],
  bytes: number,
  run: (args: readonly string[]) => Promise<number>,
): Contender[] =>
  among.map(({ name, args, pid }) => ({
    name,
    run: async () => {
      const before = cpuSeconds(pid);
      const took = await run(args);
      return {
        speed: bytes / mib / took,
        cpu: (cpuSeconds(pid) - before) / (bytes / mib / 1_024),
      };
    },
  }));

/** A file of so many zeros, which takes no room. */
function zeros(bytes: number): string {
  const file = join(peers.folder, `zeros-${bytes}`);
  execFileSync("truncate", ["-s", String(bytes), file]);
  return file;
}

/** A command that takes or gives so many bytes, by ssh with those arguments; seconds. */
export const exec = (bytes: number) => ({
  up: async (args: readonly string[]) => {
    const input = openSync(zeros(bytes), "r");
    try {
      return await seconds("ssh", [...args, "cat >/dev/null"], input);
    } finally {
      closeSync(input);
    }
  },
  down: (args: readonly string[]) => seconds("ssh", [...args, `head -c ${bytes} /dev/zero`]),
});

/** With the cipher that OpenSSH takes when it is not told another. */
const chacha =
  (run: (args: readonly string[]) => Promise<number>) =>
  (args: readonly string[]): Promise<number> =>
    run(
      args.map((arg) =>
        arg.startsWith("-oCiphers=") ? "-oCiphers=chacha20-poly1305@openssh.com" : arg,
      ),
    );

function files(bytes: number) {
  const file = zeros(bytes);
  const sftp = (what: string) => (args: readonly string[]) => {
    // sftp wants the port as -P, and no host's options after it.
    const plain = args.map((arg) => (arg === "-p" ? "-P" : arg));
    return seconds("sftp", ["-q", "-b", "-", ...plain.slice(0, -1), plain.at(-1) ?? ""], what);
  };
  return {
    put: sftp(`put ${file} ${join(peers.inMemory, "put-there")}\n`),
    get: sftp(`get ${file} /dev/null\n`),
  };
}

const sshdName = "sshd, direct";

/** Adds the section of a key and its echo; the targets are for p50 and p99. */
async function addKeystrokes(
  report: ReturnType<typeof openReport>,
  title: string,
  among: readonly Side[],
  rounds: number,
  isQuick: boolean,
  [p50, p99]: readonly [string, string],
): Promise<void> {
  const keys = isQuick ? 50 : 4_000;
  report.add({
    title,
    results: await alternate(
      among.map(({ name, args }) => ({ name, run: () => echoes(args, keys) })),
      rounds,
    ),
    units: { p50: "ms", p99: "ms" },
    goals: [
      { figure: "p50", against: sshdName, target: p50 },
      { figure: "p99", against: sshdName, target: p99 },
    ],
  });
}

/** From the connection to the end of the login, by one client that costs both the same. */
const logins = (among: readonly Side[], key: Buffer): Contender[] =>
  among.map(({ name, args }) => ({
    name,
    run: async () => {
      const began = performance.now();
      const client = new ssh2.Client();
      client.connect({
        sock: connect({
          host: "127.0.0.1",
          port: Number(args[args.indexOf("-p") + 1]),
          noDelay: true,
        }),
        username: userInfo().username,
        privateKey: key,
        algorithms: { kex: ["curve25519-sha256"], cipher: ["aes128-gcm@openssh.com"] },
      });
      await once(client, "ready");
      const time = performance.now() - began;
      client.end();
      await once(client, "close");
      return { time };
    },
  }));

/** The agent's ssh server without relay, wsproxy and websockets, beside sshd. */
export async function benchAlone(
  report: ReturnType<typeof openReport>,
  rounds: number,
  isQuick: boolean,
): Promise<void> {
  const bytes = (isQuick ? 32 : 1_024) * mib;
  const pair = peers.makeKeys();
  const alone = await peers.startAlone(pair);
  const sshd = await peers.startSshd(pair);
  const two: Side[] = [
    { name: "server alone", args: alone.ssh, pid: alone.pid },
    { name: sshdName, args: sshd.ssh, pid: sshd.pid },
  ];
  const { up, down } = exec(bytes);
  const { put, get } = files(bytes);
  for (const [title, run, target] of [
    ["server alone, exec up, aes128-gcm", up, "≥ 0.85"],
    ["server alone, exec down, aes128-gcm", down, "≥ 0.85"],
    ["server alone, exec up, OpenSSH's default cipher", chacha(up), "≥ 0.8"],
    ["server alone, exec down, OpenSSH's default cipher", chacha(down), "≥ 0.8"],
    ["server alone, sftp put, aes128-gcm", put, "≥ 1.1"],
    ["server alone, sftp get, aes128-gcm", get, "≥ 0.9"],
  ] as const)
    report.add({
      title,
      results: await alternate(each(two, bytes, run), rounds),
      units,
      goals: [{ figure: "speed", against: sshdName, target }],
    });
  report.add({
    title: "server alone, login to ready",
    results: await alternate(logins(two, readFileSync(pair.file)), rounds * 4),
    units: { time: "ms" },
    goals: [{ figure: "time", against: sshdName, target: "≤ 0.3" }],
  });
  await addKeystrokes(report, "server alone, keystroke echo", two, rounds, isQuick, [
    "≤ 1.0",
    "≤ 2",
  ]);
}

/** All about sessions. */
export async function benchSsh(
  report: ReturnType<typeof openReport>,
  rounds: number,
  isQuick: boolean,
): Promise<void> {
  const bytes = (isQuick ? 32 : 1_024) * mib;
  const relay = await peers.startRelay();
  const pair = peers.makeKeys();
  const agent = await peers.startAgent(relay.url, pair);
  const sshd = await peers.startSshd(pair);
  const go = await peers.startGoStack(pair, sshd.port);
  const goName = "Go stack and sshd";
  const ours: Side = { name: "converge", args: agent.ssh, pid: agent.pid };
  const theirs: Side = { name: sshdName, args: sshd.ssh, pid: sshd.pid };
  const three = [ours, theirs, { name: goName, args: go.ssh, pid: sshd.pid }];
  const two = [ours, theirs];
  const { up, down } = exec(bytes);
  for (const [way, run, least] of [
    ["up", up, 3],
    ["down", down, 2],
  ] as const)
    report.add({
      title: `ssh exec ${way}, aes128-gcm`,
      results: await alternate(each(three, bytes, run), rounds),
      units,
      goals: [{ figure: "speed", against: goName, target: `≥ ${least}` }],
    });
  for (const [way, run] of [
    ["up", up],
    ["down", down],
  ] as const)
    report.add({
      title: `ssh exec ${way}, OpenSSH's default cipher`,
      results: await alternate(each(two, bytes, chacha(run)), rounds),
      units,
      goals: [{ figure: "speed", against: sshdName, target: "" }],
    });
  const { put, get } = files(bytes);
  for (const [way, run] of [
    ["put", put],
    ["get", get],
  ] as const)
    report.add({
      title: `sftp ${way}, aes128-gcm`,
      results: await alternate(each(two, bytes, run), rounds),
      units,
      goals: [{ figure: "speed", against: sshdName, target: "" }],
    });

  const login: Contender[] = two.map(({ name, args }) => ({
    name,
    run: async () => ({ time: (await seconds("ssh", [...args, "true"])) * 1_000 }),
  }));
  report.add({
    title: "ssh host true",
    results: await alternate(login, rounds * 2),
    units: { time: "ms" },
    goals: [{ figure: "time", against: sshdName, target: "≤ 1.5" }],
  });
  await addKeystrokes(report, "keystroke echo", two, rounds, isQuick, ["", ""]);
  report.add({
    title: "agent",
    results: await alternate(forms(relay.url, agent.dir), rounds),
    units: { ready: "ms to ready", memory: "MiB at rest", size: "MB", packed: "MB packed" },
    goals: [],
  });
}

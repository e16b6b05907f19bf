/**
 * Peers: the programs that are measured, started on loopback and ended in order: our relay and
 * agent, Debian's socat and sshd, and two relays in Go.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const root = resolve(import.meta.dirname, "..");
const started: ChildProcess[] = [];
const folderIn = (where: string): string => mkdtempSync(join(where, "converge-bench-"));
export const folder = folderIn(tmpdir());
/** For what is written in bulk: no disk is to be measured. */
export const inMemory = existsSync("/dev/shm") ? folderIn("/dev/shm") : folder;

export function endAll(): void {
  for (const child of started) child.kill("SIGTERM");
  for (const made of [folder, inMemory]) rmSync(made, { recursive: true, force: true });
}

function start(file: string, args: string[], cwd = folder): ChildProcess {
  const child = spawn(file, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  return child;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === "object" && address ? address.port : 0;
}

/** Resolves when something listens there. */
async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    const socket = connect(port, "127.0.0.1");
    const ok = await new Promise<boolean>((done) => {
      socket.once("connect", () => done(true));
      socket.once("error", () => done(false));
    });
    socket.destroy();
    if (ok) return;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`nothing listens on ${port}`);
}

const jsonLine = (
  child: ChildProcess,
  from: "stdout" | "stderr",
  is: (v: Record<string, unknown>) => boolean,
) =>
  new Promise<Record<string, unknown>>((done) => {
    const stream = child[from];
    if (!stream) return;
    createInterface({ input: stream }).on("line", (line) => {
      try {
        const value = JSON.parse(line);
        if (is(value)) done(value);
      } catch {
        // not one of ours
      }
    });
  });

/** Our relay; its pid and URL. One address opens more here than it may by default. */
export async function startRelay(): Promise<{ pid: number; url: string; end: () => void }> {
  const child = start(process.execPath, [
    join(root, "dist/cli/converge.js"),
    "--listen",
    "127.0.0.1:0",
    "--connections-per-second=100000",
    "--agents-per-address=100000",
  ]);
  child.stderr?.resume();
  const { port } = await jsonLine(child, "stderr", ({ msg }) => msg === "relay listening");
  return { pid: child.pid ?? 0, url: `http://127.0.0.1:${port}`, end: () => child.kill("SIGKILL") };
}

export interface Keys {
  readonly file: string;
}

export function makeKeys(): Keys {
  const file = join(folder, "key");
  if (existsSync(file)) return { file };
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
  return { file };
}

/** Our agent behind our relay; ssh options that lead to it, at another URL of the relay's if need be. */
export async function startAgent(
  relay: string,
  keys: Keys,
  clientRelay = relay,
): Promise<{ pid: number; dir: string; ssh: string[] }> {
  const job = mkdtempSync(join(folder, "job-"));
  copyFileSync(`${keys.file}.pub`, join(job, ".authorized_keys"));
  writeFileSync(join(job, ".hold"), "");
  const child = start(
    process.execPath,
    [join(root, "dist/cli/agent.js"), "--json", "--timeout", "2h", "--log-level", "error", relay],
    job,
  );
  const { clientUrl } = await jsonLine(child, "stdout", ({ event }) => event === "ready");
  writeFileSync(join(job, ".hold"), "");
  const there = new URL(new URL(String(clientUrl)).pathname, clientRelay);
  const proxy = `${process.execPath} ${join(root, "dist/downloads/wsproxy.cjs")} --quiet ${there}`;
  return {
    pid: child.pid ?? 0,
    dir: job,
    ssh: [...common(keys), `-oProxyCommand=${proxy}`, "job@agent"],
  };
}

const common = (keys: Keys): string[] => [
  "-F/dev/null",
  "-i",
  keys.file,
  "-oIdentitiesOnly=yes",
  "-oUserKnownHostsFile=/dev/null",
  "-oStrictHostKeyChecking=no",
  "-oLogLevel=ERROR",
  "-oKexAlgorithms=curve25519-sha256",
  "-oCiphers=aes128-gcm@openssh.com",
];

/** The agent's ssh server by itself, on a port of its own. */
export async function startAlone(keys: Keys): Promise<{ pid: number; ssh: string[] }> {
  const program = join(root, "bench/alone.ts");
  const child = start(process.execPath, ["--import", "tsx", program, `${keys.file}.pub`], root);
  const { port } = await jsonLine(child, "stdout", (line) => "port" in line);
  return { pid: child.pid ?? 0, ssh: [...common(keys), "-p", String(port), "job@127.0.0.1"] };
}

/** Debian's sshd on a port of its own. */
export async function startSshd(keys: Keys): Promise<{ pid: number; port: number; ssh: string[] }> {
  const port = await freePort();
  const hostKey = join(folder, `sshd-key-${port}`);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", hostKey]);
  const config = join(folder, "sshd_config");
  mkdirSync("/run/sshd", { recursive: true });
  writeFileSync(
    config,
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${keys.file}.pub`,
      "StrictModes no",
      "PermitRootLogin yes",
      "UsePAM no",
      "Subsystem sftp /usr/lib/openssh/sftp-server",
      "SetEnv SHLVL=3", // or bash reads the person's own start-up files for each command
      "PidFile none",
      "",
    ].join("\n"),
  );
  const child = start("/usr/sbin/sshd", ["-D", "-e", "-f", config]);
  await listening(port);
  return { pid: child.pid ?? 0, port, ssh: [...common(keys), "-p", String(port), "127.0.0.1"] };
}

/** A plain TCP relay to `target`. */
export async function startSocat(target: number): Promise<{ pid: number; port: number }> {
  const port = await freePort();
  const child = start("socat", [
    "-b65536",
    `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,nodelay`,
    `TCP:127.0.0.1:${target},nodelay`,
  ]);
  await listening(port);
  return { pid: child.pid ?? 0, port };
}

/** Builds the peers that are written in Go, with Debian's packages for them. */
export function buildGo(): string {
  const file = join(folder, "peers");
  execFileSync("go", ["build", "-o", file, join(root, "bench/go/peers.go")], {
    env: {
      ...process.env,
      GO111MODULE: "off",
      GOPATH: "/usr/share/gocode",
      GOFLAGS: "",
      GOCACHE: join(folder, "go-cache"),
    },
  });
  return file;
}

let goFile: string | null = null;

/**
 * A relay in Go: `pairs` copies messages, `mux` speaks yamux with its agent; or an `uplink`, a port
 * that leads to another at so many bytes a second.
 */
export async function startGo(
  role: "pairs" | "mux" | "uplink",
  ...args: string[]
): Promise<{ pid: number; port: number; end: () => void }> {
  goFile ??= buildGo();
  const child = start(goFile, [role, ...args]);
  const { port } = await jsonLine(child, "stdout", (line) => "port" in line);
  return { pid: child.pid ?? 0, port: Number(port), end: () => child.kill("SIGKILL") };
}

/**
 * ssh's options through all of it: the Go relay, its agent in front of sshd, and its wsproxy. The agent
 * may come by an uplink of so many bytes a second.
 */
export async function startGoStack(
  keys: Keys,
  sshdPort: number,
  bytesPerSecond: number | null = null,
): Promise<{ ssh: string[] }> {
  const { port } = await startGo("mux");
  const uplink =
    bytesPerSecond && (await startGo("uplink", `127.0.0.1:${port}`, String(bytesPerSecond)));
  const agent = start(goFile ?? "", [
    "agent",
    `ws://127.0.0.1:${uplink ? uplink.port : port}/agent/x`,
    `127.0.0.1:${sshdPort}`,
  ]);
  await jsonLine(agent, "stdout", (line) => "ready" in line);
  const proxy = `${goFile} wsproxy ws://127.0.0.1:${port}/client/x`;
  return { ssh: [...common(keys), `-oProxyCommand=${proxy}`, "agent"] };
}

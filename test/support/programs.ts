/**
 * Programs: the real relay, agent, wsproxy and ssh, as a user starts them, with what they say. A
 * story that starts some calls `endPrograms` when it is over.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ed25519Pair } from "./ed25519-pair.ts";
import { built } from "./shipped.ts";
import { until } from "./until.ts";

const clean = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", LANG: "C.UTF-8" };

/** No program of a story runs for longer; one that hangs fails its story, not the whole file. */
const longestMs = process.env["CONVERGE_TEST_LONG"] ? 20 * 60_000 : 90_000;

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running program and what it has said so far. */
export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  out(): string;
  err(): string;
  /** Waits until it has said this on either stream; fails with all it said. */
  see(what: string | RegExp): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Null while it runs. */
  ended(): Ended | null;
  readonly exited: Promise<Ended>;
}

export interface How {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly input?: string | Buffer | "open" | "inherit";
}

const running = new Set<Program>();
const folders: string[] = [];

/** Starts any program. Its standard input is closed, unless something else is asked for. */
export function program(file: string, args: readonly string[], how: How = {}): Program {
  const child = spawn(file, args, {
    cwd: how.cwd,
    env: { ...clean, ...how.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  let ended: Ended | null = null;
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString("latin1");
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString();
  });
  child.stdin.on("error", () => {});
  if (how.input !== "open") child.stdin.end(how.input ?? "");
  const limit = setTimeout(() => child.kill("SIGKILL"), longestMs);
  const exited = new Promise<Ended>((done, fail) => {
    child.on("error", fail);
    child.on("close", (status, signal) => {
      clearTimeout(limit);
      ended = { status, signal };
      running.delete(made);
      done(ended);
    });
  });
  const made: Program = {
    pid: child.pid ?? 0,
    child,
    out: () => out,
    err: () => err,
    see: async (what) => {
      const isThere = (text: string): boolean =>
        typeof what === "string" ? text.includes(what) : what.test(text);
      await until(
        `${what} said by ${file} ${args[0]}`,
        () => isThere(out) || isThere(err) || (ended && !isThere(out) && !isThere(err)),
      ).catch((error: Error) => {
        throw new Error(`${error.message}; it said: ${out.slice(-2_000)}\n${err.slice(-2_000)}`);
      });
      if (!isThere(out) && !isThere(err))
        assert.fail(`it ended without saying ${what}; it said: ${out}\n${err}`);
    },
    kill: (signal) => child.kill(signal),
    ended: () => ended,
    exited,
  };
  running.add(made);
  return made;
}

/** One of ours, from dist/. */
export const ours = (
  name: "converge" | "agent" | "wsproxy",
  args: readonly string[],
  how: How = {},
): Program => program(process.execPath, [built(name), ...args], how);

/** Runs a program to its end. */
export async function finished(run: Program): Promise<Ended & { out: string; err: string }> {
  const ended = await run.exited;
  return { ...ended, out: run.out(), err: run.err() };
}

export interface RelayProgram extends Program {
  readonly url: string;
  readonly port: number;
  /** Its log so far. */
  lines(): Record<string, unknown>[];
}

/** Starts the relay and waits until it listens. */
export async function relayProgram(
  args: readonly string[] = [],
  how: How & { port?: number; scheme?: string } = {},
): Promise<RelayProgram> {
  const { port = 0, scheme = "http", ...rest } = how;
  const run = ours("converge", ["--listen", `127.0.0.1:${port}`, ...args], rest);
  const lines = (): Record<string, unknown>[] =>
    run
      .err()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  await run.see("relay listening");
  const line = await until("the port", () =>
    lines().find((entry) => entry["msg"] === "relay listening"),
  );
  const used = Number(line["port"]);
  return Object.assign(run, { url: `${scheme}://127.0.0.1:${used}`, port: used, lines });
}

export interface Ready {
  readonly id: string;
  readonly asked: string;
  readonly clientUrl: string;
  readonly fingerprint: string;
}

export interface AgentProgram extends Program {
  readonly dir: string;
  readonly keyFile: string;
  readonly ready: Ready;
  /** What it announced, in order. */
  news(): Record<string, unknown>[];
}

/** A folder that goes with `endPrograms`. */
export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "converge-test-"));
  folders.push(dir);
  return dir;
}

/** A job's folder with a keys file, and the private key for it. */
export function jobFolder(comment = "dev@laptop"): { dir: string; keyFile: string } {
  const dir = folder();
  const pair = ed25519Pair(comment);
  const keyFile = join(dir, "id");
  writeFileSync(keyFile, pair.private, { mode: 0o600 });
  writeFileSync(join(dir, ".authorized_keys"), `${pair.public}\n`);
  writeFileSync(join(dir, ".bashrc"), "PS1='$ '\n");
  return { dir, keyFile };
}

/** Starts an agent in a folder of its own and waits until it is registered. */
export async function agentProgram(
  relayUrl: string,
  args: readonly string[] = [],
  how: How = {},
  [file, ...before]: readonly [string, ...string[]] = [process.execPath, built("agent")],
): Promise<AgentProgram> {
  const { dir, keyFile } = jobFolder();
  const run = program(file, [...before, "--json", ...args, relayUrl], {
    cwd: dir,
    ...how,
    env: { HOME: dir, SHELL: "/bin/bash", ...how.env },
  });
  const news = (): Record<string, unknown>[] =>
    run
      .out()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  await run.see('"event":"ready"');
  const ready = news()[0] as unknown as Ready;
  return Object.assign(run, { dir, keyFile, ready, news });
}

/** ssh's arguments to reach an agent; `wsproxy` are flags of the proxy command. */
export function sshArgs(agent: AgentProgram, wsproxy = "", clientUrl = agent.ready.clientUrl) {
  return [
    "-F/dev/null",
    `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${wsproxy} --fingerprint ${agent.ready.fingerprint} ${clientUrl}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-oBatchMode=yes",
    "-i",
    agent.keyFile,
    "job@agent",
  ];
}

export const ssh = (agent: AgentProgram, args: readonly string[], how: How = {}): Program =>
  program("ssh", [...sshArgs(agent), ...args], how);

/** Kills what a story has started and is still there, each by its own pid. */
export async function endPrograms(): Promise<void> {
  for (const run of [...running].reverse()) {
    run.kill("SIGCONT");
    run.kill("SIGKILL");
    await run.exited;
  }
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true });
}

/** A certificate authority, and certificates from it, in a folder. */
export function certificates(dir: string): {
  ca: string;
  issue(name: string, san: string): { certFile: string; keyFile: string };
} {
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(
    ...["req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"],
    ...["-subj", "/CN=Test Authority"],
  );
  return {
    ca: join(dir, "ca.pem"),
    issue: (name, san) => {
      openssl(
        ...["req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`],
        ...["-subj", `/CN=${name}`],
      );
      writeFileSync(join(dir, `${name}.ext`), `subjectAltName=${san}\n`);
      openssl(
        ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key"],
        ...["-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`],
      );
      return { certFile: join(dir, `${name}.pem`), keyFile: join(dir, `${name}.key`) };
    },
  };
}

/** Whether a process is there and not a zombie. */
export { runs } from "./processes.ts";
export { shippedFile } from "./shipped.ts";

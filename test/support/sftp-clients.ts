import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import ssh2 from "ssh2";
import { serveSftp } from "../../src/io/agent/sftp/server.ts";
import { ed25519Pair } from "./ed25519-pair.ts";

export const { Server } = ssh2;

export interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export interface World {
  /** Where the server is at home, and where the client is. */
  readonly far: string;
  readonly near: string;
  /** Resolves when the sessions so far have ended, to how many there were. */
  ended(): Promise<number>;
  replied(): number;
  /** Starts a program with the options to reach the server, then `args`. */
  start(program: "sftp" | "scp" | "ssh", ...args: string[]): ChildProcess;
  /** A batch of sftp commands, run in `near`. */
  sftp(...commands: string[]): Promise<Run>;
  scp(...args: string[]): Promise<Run>;
}

export async function outcome(child: ChildProcess): Promise<Run> {
  const texts = { out: "", err: "" };
  child.stdout?.on("data", (chunk: Buffer) => {
    texts.out += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    texts.err += chunk.toString();
  });
  const [status] = await once(child, "close");
  return { status, ...texts };
}

export async function meet(t: TestContext, { readOnly = false } = {}): Promise<World> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "converge-sftp-")));
  const far = join(root, "far");
  const near = join(root, "near");
  await mkdir(far);
  await mkdir(near);
  const identity = ed25519Pair();
  await writeFile(join(root, "id"), identity.private, { mode: 0o600 });
  await writeFile(join(root, "id.pub"), identity.public);
  let replied = 0;
  const sessions: Promise<void>[] = [];
  const onReply = (bytes: number): void => {
    replied += bytes;
  };
  const hostKeys = [ed25519Pair().private];
  const server = new Server({ hostKeys }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (auth) =>
      auth.method === "publickey" ? auth.accept() : auth.reject(["publickey"]),
    );
    client.on("session", (accept) => {
      accept().on("subsystem", (acceptSubsystem) => {
        sessions.push(
          serveSftp(acceptSubsystem(), { home: far, readOnly, software: "OpenSSH_9.2p1", onReply }),
        );
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(sessions);
    server.close();
    await rm(root, { recursive: true, force: true });
  });
  const settings = [
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "LogLevel=ERROR",
    `IdentityFile=${join(root, "id")}`,
    `Port=${port}`,
  ];
  const start: World["start"] = (program, ...args) => {
    const options = ["-F", "/dev/null", ...settings.map((setting) => `-o${setting}`)];
    const child = spawn(program, [...options, ...args], { cwd: near });
    children.push(child);
    return child;
  };
  return {
    ...{ far, near, start, replied: () => replied },
    ended: async () => (await Promise.all(sessions)).length,
    sftp: async (...commands) => {
      await writeFile(join(root, "batch"), commands.map((command) => `${command}\n`).join(""));
      return outcome(start("sftp", "-b", join(root, "batch"), "me@127.0.0.1"));
    },
    scp: (...args) => outcome(start("scp", ...args)),
  };
}

export const fine = { status: 0, err: "" };
export function went({ status, err }: Run): { status: number | null; err: string } {
  return { status, err };
}

export async function digest(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

export async function openFiles(): Promise<number> {
  return (await readdir("/proc/self/fd")).length;
}

/** Until no more are open than before: sockets and pipes are closed a moment after the session. */
export async function untilOpen(count: number): Promise<void> {
  while ((await openFiles()) > count);
}

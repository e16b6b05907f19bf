import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import ssh2 from "ssh2";
import { serveSftp } from "../../src/io/agent/sftp/server.ts";
import { endPrograms, finished, program } from "./child.ts";
import { ed25519Pair } from "./ed25519-pair.ts";

export const { Server } = ssh2;

type Run = Awaited<ReturnType<typeof finished>>;

export interface World {
  /** Where the server is at home, and where the client is. */
  readonly far: string;
  readonly near: string;
  /** Resolves when the sessions so far have ended, to how many there were. */
  ended(): Promise<number>;
  replied(): number;
  /** Starts ssh with the options to reach the server, then `args`, for who reads and writes himself. */
  start(...args: string[]): ChildProcess;
  /** Runs a program in `near`, with the same options. */
  run(file: "sftp" | "scp", ...args: string[]): Promise<Run>;
  /** A batch of sftp commands, run in `near`. */
  sftp(...commands: string[]): Promise<Run>;
  scp(...args: string[]): Promise<Run>;
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
  t.after(async () => {
    await endPrograms();
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
  const options = ["-F", "/dev/null", ...settings.map((setting) => `-o${setting}`)];
  const run: World["run"] = (file, ...args) =>
    finished(program(file, [...options, ...args], { cwd: near }));
  return {
    ...{ far, near, run, replied: () => replied },
    start: (...args) =>
      program("ssh", [...options, ...args], { cwd: near, input: "open", streams: true }).child,
    ended: async () => (await Promise.all(sessions)).length,
    sftp: async (...commands) => {
      await writeFile(join(root, "batch"), commands.map((command) => `${command}\n`).join(""));
      return run("sftp", "-b", join(root, "batch"), "me@127.0.0.1");
    },
    scp: (...args) => run("scp", ...args),
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

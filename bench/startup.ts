/**
 * Start-up: what every ssh waits for, from the start of its proxy command to its first byte on the
 * wire; and size, start and memory of each form in which agent and wsproxy come.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Contender, Figures } from "./measure.ts";
import { root } from "./peers.ts";

const download = (name: string): string => join(root, "dist/downloads", name);
const standalone = download("agent-linux-x64");

/** Milliseconds from the start of a process to the first byte that it sends to a local port. */
async function firstByte(command: (port: number) => [string, string[]]): Promise<Figures> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const [file, args] = command(typeof address === "object" && address ? address.port : 0);
  const began = performance.now();
  const child = spawn(file, args, {
    stdio: ["pipe", "ignore", "ignore"],
    env: { ...process.env, CONVERGE_PROGRAM: "wsproxy" },
  });
  child.stdin.write("x"); // what ssh would say; socat sends nothing else
  const [socket] = await once(server, "connection");
  await once(socket, "data");
  const time = performance.now() - began;
  child.kill("SIGKILL");
  socket.destroy();
  server.close();
  await once(child, "exit");
  return { time };
}

async function whole(file: string, args: string[]): Promise<Figures> {
  const began = performance.now();
  await once(spawn(file, args, { stdio: "ignore" }), "exit");
  return { time: performance.now() - began };
}

/** wsproxy in each form beside socat; the last one is what Node itself takes to start and end. */
export const startUps = (): Contender[] => {
  const url = (port: number): string => `ws://127.0.0.1:${port}/client/x`;
  return [
    {
      name: "wsproxy.cjs",
      run: () => firstByte((port) => [process.execPath, [download("wsproxy.cjs"), url(port)]]),
    },
    ...(existsSync(standalone)
      ? [{ name: "standalone", run: () => firstByte((port) => [standalone, [url(port)]]) }]
      : []),
    {
      name: "dist/cli/wsproxy.js",
      run: () =>
        firstByte((port) => [process.execPath, [join(root, "dist/cli/wsproxy.js"), url(port)]]),
    },
    { name: "socat", run: () => firstByte((port) => ["socat", ["-", `TCP:127.0.0.1:${port}`]]) },
    { name: "node -e 0", run: () => whole(process.execPath, ["-e", "0"]) },
  ];
};

const residentMiB = (pid: number): number => {
  const [, kib = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1_024;
};

/** The agent's forms: megabytes as they are and packed, start to registration, memory at rest. */
export const forms = (relayUrl: string, cwd: string): Contender[] =>
  [
    ["agent.cjs", process.execPath, [download("agent.cjs")], download("agent.cjs")],
    ["standalone", standalone, [], standalone],
  ].flatMap(([name, file, args, path]) =>
    existsSync(String(path))
      ? [
          {
            name: String(name),
            run: async (): Promise<Figures> => {
              const began = performance.now();
              const agent: ChildProcess = spawn(
                String(file),
                [...(args as string[]), "--json", relayUrl],
                {
                  cwd,
                  stdio: ["ignore", "pipe", "ignore"],
                  env: { ...process.env, CONVERGE_PROGRAM: "agent" },
                },
              );
              if (agent.stdout) await once(agent.stdout, "data");
              const ready = performance.now() - began;
              const memory = residentMiB(agent.pid ?? 0);
              agent.kill("SIGTERM");
              await once(agent, "exit");
              const size = (what: string): number => statSync(what).size / 1e6;
              return { ready, memory, size: size(String(path)), packed: size(`${path}.gz`) };
            },
          },
        ]
      : [],
  );

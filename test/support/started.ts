/** Started: a client program under way, on pipes, whose output can be looked at while it runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { until } from "./until.ts";
import type { Agent, Result, World } from "./world.ts";

/** A program under way. */
export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): Buffer;
  stderr(): string;
  /** Waits until stdout, or stderr, holds this. */
  see(what: string | RegExp): Promise<string>;
  type(text: string | Buffer): void;
  /** Ends stdin. */
  end(): void;
  readonly exited: Promise<Result>;
}

const alive = new Set<ChildProcess>();

/** Ends what a test has left running; call it in `after`. */
export function endAll(): void {
  for (const child of alive) {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
  }
}

/** Starts a program, for a minute at most; with `paused` nobody reads its outputs until somebody resumes them. */
export function start(
  file: string,
  args: readonly string[],
  how: {
    env?: Record<string, string>;
    cwd?: string;
    paused?: boolean;
    streams?: boolean;
    limitMs?: number;
  } = {},
): Started {
  const child = spawn(file, args, {
    cwd: how.cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", LANG: "C.UTF-8", ...how.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  alive.add(child);
  const limit = setTimeout(() => child.kill("SIGKILL"), how.limitMs ?? 60_000);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  if (!how.streams) child.stdout.on("data", (data: Buffer) => out.push(data));
  child.stderr.on("data", (data: Buffer) => err.push(data));
  if (how.paused) {
    child.stdout.pause();
    child.stderr.pause();
  }
  child.stdin.on("error", () => {});
  const stdout = (): Buffer => Buffer.concat(out);
  const stderr = (): string => Buffer.concat(err).toString();
  const exited = new Promise<Result>((done, fail) => {
    child.on("error", fail);
    child.on("exit", () => {
      clearTimeout(limit);
      alive.delete(child);
    });
    child.on("close", (status) => done({ status, stdout: stdout(), stderr: stderr() }));
  });
  return {
    child,
    pid: child.pid ?? 0,
    stdout,
    stderr,
    see: (what) =>
      until(`${what} from ${file}`, () => {
        const text = stdout().toString() + stderr();
        if (typeof what === "string") return text.includes(what) ? what : null;
        return what.exec(text)?.[0] ?? null;
      }).catch((error: Error) => {
        throw new Error(`${error.message}; there was: ${stdout().subarray(-500)} ${stderr()}`);
      }),
    type: (text) => void child.stdin.write(text),
    end: () => void child.stdin.end(),
    exited,
  };
}

/** An ssh to an agent of a world, with pipes instead of a terminal. */
export function startSsh(
  world: World,
  args: readonly string[],
  how: {
    agent?: Agent;
    key?: string;
    env?: Record<string, string>;
    paused?: boolean;
    streams?: boolean;
    limitMs?: number;
  } = {},
): Started {
  const identity = how.key === "" ? [] : ["-i", how.key ?? world.keyFile];
  return start("ssh", [...world.options(how.agent), ...identity, "job@agent", ...args], how);
}

/** Makes an agent outlive its clients, for tests with many of them. */
export function hold(agent: Agent): void {
  writeFileSync(join(agent.dir, ".hold"), "");
}

/** The options that lead an ssh to a running master, and the master itself. */
export async function startMaster(
  world: World,
  args: readonly string[] = [],
): Promise<{ master: Started; options: string[] }> {
  masters += 1;
  const path = join(world.dir, `master-${masters}`);
  const options = ["-F/dev/null", `-oControlPath=${path}`, "-oBatchMode=yes"];
  const master = startSsh(world, ["-oControlMaster=yes", `-oControlPath=${path}`, "-N", ...args]);
  await until("the master listens", async () => {
    const check = start("ssh", [...options, "-O", "check", "job@agent"]);
    return (await check.exited).status === 0;
  });
  return { master, options };
}
let masters = 0;

/** A tcp server of a test, on a free port or a unix path; closes with all its connections. */
export async function listen(
  serve: (socket: Socket) => void,
  path?: string,
): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((done) => {
    if (path) server.listen(path, done);
    else server.listen(0, "127.0.0.1", done);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A port that nobody listens on, until somebody does. */
export async function freePort(): Promise<number> {
  const server = await listen(() => {});
  await server.close();
  return server.port;
}

/** Sends all of `bytes`, half-closes, and resolves with what comes back until the other side ends. */
export function exchange(to: number | string, bytes: Buffer | string): Promise<Buffer> {
  return new Promise((done, fail) => {
    const where = typeof to === "number" ? { port: to, host: "127.0.0.1" } : { path: to };
    const socket = connect({ ...where, allowHalfOpen: true });
    const back: Buffer[] = [];
    socket.on("error", fail);
    socket.on("data", (data: Buffer) => back.push(data));
    socket.once("end", () => {
      done(Buffer.concat(back));
      socket.destroy();
    });
    socket.once("connect", () => socket.end(bytes));
  });
}

/** Whether something takes connections there. */
export function isListening(to: number | string): Promise<boolean> {
  return new Promise((done) => {
    const where = typeof to === "number" ? { port: to, host: "127.0.0.1" } : { path: to };
    const socket = connect(where);
    const say = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket.once("connect", () => say(true));
    socket.once("error", () => say(false));
  });
}

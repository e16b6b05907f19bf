/**
 * Lines that cannot be written: a full disk, a device that takes nothing, a pipe that nobody reads, one
 * that breaks. They are lost and counted; the programs go on, and end as they are told.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { endPrograms, folder, run } from "../support/child.ts";
import { faultOf } from "../support/log-schema.ts";
import { freePort } from "../support/ports.ts";
import { runs } from "../support/processes.ts";
import { jobFolder, relayProgram, sshArgs } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { register } from "../support/stranger.ts";
import { until } from "../support/until.ts";

const started: ChildProcess[] = [];
const mounts: string[] = [];
after(async () => {
  for (const child of started) child.kill("SIGKILL");
  for (const dir of mounts) execFileSync("umount", [dir]);
  await endPrograms();
});

type Output = number | "pipe";

/** One of ours, whose outputs go where the test says. */
function start(
  name: "converge" | "agent" | "wsproxy",
  args: readonly string[],
  outputs: readonly [out: Output, err: Output],
  cwd?: string,
): ChildProcess {
  const child = spawn(process.execPath, [built(name), ...args], {
    stdio: ["ignore", ...outputs],
    cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: cwd ?? "/nonexistent", SHELL: "/bin/bash" },
  });
  started.push(child);
  return child;
}

/** Tells it to end; its status, within bounded time. */
async function terminated(child: ChildProcess): Promise<number | null> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const limit = setTimeout(() => child.kill("SIGKILL"), 15_000);
  const [status] = await ended;
  clearTimeout(limit);
  return status;
}

async function relayTo(
  outputs: readonly [Output, Output],
): Promise<{ child: ChildProcess; url: string }> {
  const port = await freePort();
  const args = ["--listen", `127.0.0.1:${port}`, "--drain-timeout", "1s"];
  const child = start("converge", [...args, "--log-level", "debug"], outputs);
  const url = `http://127.0.0.1:${port}`;
  await until("the relay answers", () => isWell(url));
  return { child, url };
}

const isWell = (url: string): Promise<boolean> =>
  fetch(`${url}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );

let agents = 0;
/** Messages of an agent, of which each is a line in the relay's log at this level. */
async function provoke(url: string): Promise<void> {
  agents += 1;
  const agent = await register(new URL(url), `talker-${agents}`);
  const status = { state: "waiting", held: false, clients: [] };
  for (let n = 0; n < 900; n += 1) agent.say({ type: "status", status: { ...status, leftMs: n } });
  const pong = once(agent.socket, "pong");
  agent.socket.ping();
  await pong;
  agent.socket.terminate();
}

/** A pipe, by both its ends, of which nobody reads anything until the test does. */
function fifo(): { read: number; write: number } {
  const path = join(folder(), "pipe");
  execFileSync("mkfifo", [path]);
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { read, write: openSync(path, constants.O_WRONLY) };
}

/** What can be read of a pipe now. */
function taken(read: number): string {
  const room = Buffer.alloc(64 * 1024);
  let text = "";
  try {
    for (;;) {
      const bytes = readSync(read, room);
      if (bytes === 0) return text;
      text += room.toString("utf8", 0, bytes);
    }
  } catch {
    return text;
  }
}

describe("the relay", () => {
  test("its log on a full disk: it serves, and counts the lines that are lost", async () => {
    const dir = join(folder(), "small");
    mkdirSync(dir);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", dir]);
    mounts.push(dir);
    const log = join(dir, "log");
    const filler = join(dir, "filler");
    writeFileSync(filler, Buffer.alloc(48 * 1024));
    const fd = openSync(log, "a");
    const { child, url } = await relayTo([fd, fd]);
    closeSync(fd);
    await provoke(url);
    assert.ok(await isWell(url));
    rmSync(filler);
    await provoke(url);
    assert.match(readFileSync(log, "utf8"), /^\{[^\n]*"lost":\d+,"msg":"log lines lost"\}$/m);
    assert.equal(await terminated(child), 143);
  });

  test("its log on /dev/full: it serves, and SIGTERM ends it", async () => {
    const full = openSync("/dev/full", "w");
    const { child, url } = await relayTo([full, full]);
    await provoke(url);
    assert.ok(await isWell(url));
    assert.equal(await terminated(child), 143);
  });

  test("its log in a pipe that nobody reads: it serves, and tells the count once somebody does", async () => {
    const { read, write } = fifo();
    const { child, url } = await relayTo([write, write]);
    closeSync(write);
    for (let n = 0; n < 3; n += 1) await provoke(url);
    assert.ok(await isWell(url));
    let text = "";
    await until("the count", () => {
      text += taken(read);
      return text.includes("log lines lost");
    });
    const lost = text.split("\n").find((line) => line.includes("log lines lost")) ?? "";
    assert.equal(faultOf(JSON.parse(lost)), null);
    assert.equal(await terminated(child), 143);
    closeSync(read);
  });

  test("its log in a pipe that nobody ever reads, or that breaks: SIGTERM ends it", async () => {
    for (const isBroken of [false, true]) {
      const { read, write } = fifo();
      const { child, url } = await relayTo([write, write]);
      closeSync(write);
      if (isBroken) closeSync(read);
      for (let n = 0; n < 3; n += 1) await provoke(url);
      assert.ok(await isWell(url));
      assert.equal(await terminated(child), 143);
      if (!isBroken) closeSync(read);
    }
  });
});

describe("the agent", () => {
  test("the flags of a standard output that others write to as well stay as they are", async () => {
    const relay = await relayProgram();
    const { read, write } = fifo();
    const flags = (): string =>
      /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${write}`, "utf8"))?.[1] ?? "";
    const before = flags();
    const agent = start("agent", [relay.url], [write, openSync("/dev/null", "w")], jobFolder().dir);
    let text = "";
    await until("the box", () => {
      text += taken(read);
      return text.includes("rendez-vous id");
    });
    assert.equal(flags(), before);
    assert.equal(await terminated(agent), 143);
    closeSync(read);
    closeSync(write);
    relay.kill("SIGKILL");
  });

  for (const [name, open] of [
    ["/dev/full", () => ({ write: openSync("/dev/full", "w"), close: () => {} })],
    [
      "a pipe that nobody reads",
      () => {
        const { read, write } = fifo();
        // So full that not even the first line has room.
        const other = openSync(`/proc/self/fd/${write}`, constants.O_WRONLY | constants.O_NONBLOCK);
        execFileSync("head", ["-c", "65536", "/dev/zero"], { stdio: ["ignore", other, "ignore"] });
        return { write, close: () => closeSync(read) };
      },
    ],
    [
      "a pipe that is broken",
      () => {
        const { read, write } = fifo();
        closeSync(read);
        return { write, close: () => {} };
      },
    ],
  ] as const)
    for (const isJson of [true, false])
      test(`its outputs on ${name}, ${isJson ? "as JSON" : "as text"}: people come in, and SIGTERM ends it`, async () => {
        const relay = await relayProgram();
        const { dir, keyFile } = jobFolder();
        writeFileSync(join(dir, ".hold"), "");
        const { write, close } = open();
        const args = [
          ...(isJson ? ["--json"] : []),
          "--id",
          "unheard",
          "--linger",
          "1m",
          relay.url,
        ];
        const agent = start("agent", args, [write, write], dir);
        await until("it is registered", () =>
          relay.lines().some(({ msg }) => msg === "agent session started"),
        );
        const clientUrl = `${relay.url}/client/unheard`;
        for (let n = 0; n < 3; n += 1) {
          const said = await run("ssh", [
            ...sshArgs({ keyFile, ready: { fingerprint: "", clientUrl } } as never).map((arg) =>
              arg.replace("--fingerprint ", ""),
            ),
            "echo in",
          ]);
          assert.equal(said.stdout.toString(), "in\n", said.stderr);
        }
        assert.equal(await terminated(agent), 143);
        assert.ok(!runs(agent.pid ?? 0));
        close();
        closeSync(write);
        relay.kill("SIGKILL");
      });
});

describe("wsproxy", () => {
  test("its sentences on /dev/full, in a pipe that nobody reads, or that is broken: the same status", async () => {
    const relay = await relayProgram();
    const pipe = fifo();
    const broken = fifo();
    closeSync(broken.read);
    for (const err of [openSync("/dev/full", "w"), pipe.write, broken.write]) {
      const child = start("wsproxy", [`${relay.url}/client/nobody`], ["pipe", err]);
      const [status] = await once(child, "exit");
      assert.equal(status, 7);
      closeSync(err);
    }
    assert.match(taken(pipe.read), /^converge: No agent is registered as nobody\./);
    closeSync(pipe.read);
  });
});

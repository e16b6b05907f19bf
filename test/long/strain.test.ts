/**
 * Strain: attacks that take a minute each: peers that vanish by the thousand, and requests that come
 * a byte at a time from Debian's slowhttptest. `npm run test:long` runs them; the figures are printed.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { after, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { pingMs, silentMs } from "../../src/io/protocol/wire.ts";
import { endPrograms, finished, type Program, program } from "../support/child.ts";
import { relayProgram } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";

after(endPrograms);

test("1 500 slow requests of three kinds are cut, and who works meanwhile notices nothing", async (t) => {
  const relay = await relayProgram();
  const attacks = ["-H", "-B", "-X"].map((kind) =>
    program("slowhttptest", [kind, "-c500", "-r250", "-i5", "-l30", "-p3", `-u${relay.url}/`]),
  );
  const files = (): number => readdirSync(`/proc/${relay.pid}/fd`).length;
  const atFirst = files();
  let slowest = 0;
  let meetings = 0;
  while (attacks.some((attack) => !attack.ended())) {
    const began = performance.now();
    const agent = await register(new URL(relay.url), `at-work-${meetings}`);
    const client = stranger(`${relay.url}/client/at-work-${meetings}`, "converge.client.v1");
    await until("a summons", () => agent.heard.some((part) => String(part).includes("summon")));
    slowest = Math.max(slowest, performance.now() - began);
    meetings += 1;
    client.socket.terminate();
    agent.socket.close(1000);
    await once(agent.socket, "close");
  }
  for (const attack of attacks) {
    const out = stripVTControlCharacters((await finished(attack)).out);
    const [, seconds] = /Test ended on (\d+)\w\w second/.exec(out) ?? [];
    const kind = /test type: +(\w+ \w+)/.exec(out)?.[1];
    t.diagnostic(`${kind}: over after ${seconds} s`);
    // Who reads slowly has the answer in the system's buffers, and is let go without knowing it.
    if (kind !== "SLOW READ") assert.match(out, /Exit status: No open connections left/);
    assert.doesNotMatch(out, /service available: +NO/);
  }
  assert.ok(files() <= atFirst, "the relay has no connection left");
  t.diagnostic(`${meetings} meetings meanwhile, the slowest took ${Math.round(slowest)} ms`);
  assert.ok(slowest < 1_000, `${slowest} ms`);
});

/** Opens clients that wait, a hundred from each address, and says when all are there. */
const crowd = (url: string, addresses: readonly string[]): string => `
  import { once } from "node:events";
  import { WebSocket } from "ws";
  let open = 0;
  const addresses = ${JSON.stringify(addresses)};
  const count = 100 * addresses.length;
  for (let n = 0; n < count; n += 1) {
    const localAddress = addresses[n % addresses.length];
    const socket = new WebSocket("${url}/client/awaited-" + (n % 20) + "?wait=3600000", { localAddress });
    socket.on("open", () => { open += 1; if (open === count) console.log("all are there"); });
    socket.on("error", () => {});
    if (n % 20 === 19) await once(socket, "open"); // the system keeps few that knock at once
  }
`;

test("2 000 peers whose network is gone are counted out within two pings and a half", async (t) => {
  const [here, there] = ["converge-here", "converge-there"];
  const ip = (...args: string[]): void => void execFileSync("ip", args);
  const inside = (name: string, file: string, args: string[]): Program =>
    program("ip", ["netns", "exec", name, file, ...args], { cwd: process.cwd() });
  try {
    for (const name of [here, there]) ip("netns", "add", name);
    ip("-n", here, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", there);
    for (const [name, link, address] of [
      [here, "v0", "10.0.0.1/24"],
      [there, "v1", "10.0.0.2/24"],
    ] as const) {
      ip("-n", name, "addr", "add", address, "dev", link);
      ip("-n", name, "link", "set", link, "up");
      ip("-n", name, "link", "set", "lo", "up");
    }
    const addresses = Array.from({ length: 20 }, (_, n) => `10.0.0.${100 + n}`);
    for (const address of addresses) ip("-n", there, "addr", "add", `${address}/24`, "dev", "v1");
    const relay = inside(here, process.execPath, [built("converge"), "--listen", "10.0.0.1:8000"]);
    await relay.see("relay listening");
    const peers = inside(there, process.execPath, [
      "--input-type=module",
      "-e",
      crowd("ws://10.0.0.1:8000", addresses),
    ]);
    await peers.see("all are there");
    const sockets = (): number =>
      execFileSync("ip", ["netns", "exec", here, "ss", "-Htn", "state", "established"])
        .toString()
        .split("\n")
        .filter((line) => line.includes("10.0.0.1:8000")).length;
    const before = sockets();
    assert.equal(before, 2_000);
    ip("-n", there, "link", "set", "v1", "down");
    const began = performance.now();
    await until("none is left", () => sockets() === 0, silentMs + 2 * pingMs);
    const seconds = Math.round((performance.now() - began) / 1_000);
    t.diagnostic(`${before} sockets were there, none after ${seconds} s`);
    assert.equal(relay.ended(), null);
  } finally {
    await endPrograms();
    for (const name of [here, there]) ip("netns", "del", name);
  }
});

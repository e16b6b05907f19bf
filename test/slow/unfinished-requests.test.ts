/** Requests that never get finished: what becomes of them, in real seconds, since Node itself cuts them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { handClock } from "../support/clock.ts";
import { meet, type World } from "../support/world.ts";

async function inWorld(
  options: Parameters<typeof meet>[1],
  act: (world: World, base: string) => Promise<void>,
): Promise<void> {
  const world = await meet(null, options, handClock({ pings: false }));
  try {
    await act(world, world.relay.url.href.replace(/\/$/, ""));
  } finally {
    await world.close();
  }
}

test("a request that is never finished is cut after 15 s at most, and others are served", () =>
  inWorld({}, async (_world, base) => {
    const began = performance.now();
    const parts = [
      "",
      "GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
      "POST /usage HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
    ];
    const ends = parts.map(async (part) => {
      const socket = connect(Number(new URL(base).port), "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.write(part);
      const drip = setInterval(() => part && socket.write("x"), 3_000);
      await once(socket, "close");
      clearInterval(drip);
      return performance.now() - began;
    });
    assert.equal((await fetch(`${base}/healthz`)).status, 200);
    for (const ms of await Promise.all(ends)) assert.ok(ms < 18_500, `${ms} ms`);
  }));

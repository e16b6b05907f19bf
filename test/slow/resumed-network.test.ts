/**
 * Resumed over a network: a counter that has no gap while the network is silent, while the client gets
 * another address, and while the agent does. Real interfaces, real seconds.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { endPrograms, type Program } from "../support/child.ts";
import { type Network, network } from "../support/network.ts";
import { times } from "../support/outage.ts";
import { type AgentProgram, agentProgram, sshArgs } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { until } from "../support/until.ts";

const limitMs = 240_000;
let net: Network;
let agent: AgentProgram;
let counter: Program;

before(async () => {
  net = network();
  const listen = `${net.relayAddress}:8000`;
  const relay = net.run("relay", process.execPath, [built("converge"), "--listen", listen], {
    limitMs,
  });
  await relay.see("relay listening");
  agent = await agentProgram(`http://${listen}`, ["--log-level", "debug"], { limitMs }, [
    ...net.at("agent"),
    process.execPath,
    built("agent"),
  ]);
  const stop = join(agent.dir, "stop");
  const count = `n=0; until test -e ${stop}; do echo $n; n=$((n + 1)); sleep 0.05; done; exit 5`;
  counter = net.run("client", "ssh", [...sshArgs(agent, "--log-level debug"), count], { limitMs });
  await counter.see("10\n");
});
after(async () => {
  await endPrograms();
  net.close();
});

/** Fails at the first number that is not the next; gives how many there are. */
function counted(): number {
  const numbers = counter.out().split("\n").slice(0, -1);
  const odd = numbers.findIndex((text, n) => text !== String(n));
  assert.equal(odd, -1, `after ${odd - 1} came ${numbers[odd]}`);
  return numbers.length;
}

/** Waits until all that was counted meanwhile is here, and gives how long that took. */
async function goesOn(): Promise<number> {
  const began = performance.now();
  const had = counted();
  await until(
    "it goes on",
    () => {
      if (counter.ended()) throw new Error(`it has ended: ${counter.err()}`);
      return counted() > had + 20;
    },
    100_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; ${counter.err()}\n${agent.err()}`);
  });
  return Math.round((performance.now() - began) / 1_000);
}

test("20 s of silence both ways", async (t) => {
  for (const place of ["client", "agent"] as const) net.silence(place);
  await delay(20_000); // there is nothing to be seen: that is what it is
  for (const place of ["client", "agent"] as const) net.restore(place);
  t.diagnostic(`back after ${await goesOn()} s`);
});

test("another address of the client's", async (t) => {
  const resumed = times(agent, "client resumed");
  net.move("client");
  t.diagnostic(`back after ${await goesOn()} s`);
  await until("the agent tells of it", () => times(agent, "client resumed") > resumed);
});

test("another address of the agent's", async (t) => {
  const resumed = times(agent, "client resumed");
  net.move("agent");
  t.diagnostic(`back after ${await goesOn()} s`);
  await until("the agent tells of it", () => times(agent, "client resumed") > resumed);
});

test("and it ends as it should", async () => {
  writeFileSync(join(agent.dir, "stop"), "");
  assert.deepEqual(await counter.exited, { status: 5, signal: null });
  assert.ok(counted() > 400);
  assert.equal(times(agent, "client joined"), 1);
});

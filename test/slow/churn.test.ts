/** Many agents, many sessions, coming and going; and nothing of it stays behind. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { RendezvousId } from "../../src/machines/vocabulary.ts";
import type { Agent } from "../support/agent.ts";
import { finished, program } from "../support/child.ts";
import { openFiles } from "../support/processes.ts";
import { seeded } from "../support/random.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const isLong = Boolean(process.env["CONVERGE_TEST_LONG"]);
const churnMs = isLong ? 60_000 : 12_000;
const agentsCount = 20;
/** ssh and wsproxy are two processes each, on as few as two cores. */
const mostAtOnce = isLong ? 40 : 16;
const sessionsAtOnce = 50;

let world: World;
let agents: Agent[];
const warnings: string[] = [];
const noteWarning = (warning: Error): void => {
  warnings.push(String(warning));
};
const noteRejection = (reason: unknown): void => {
  warnings.push(`unhandled: ${reason}`);
};

before(async () => {
  process.on("warning", noteWarning);
  process.on("unhandledRejection", noteRejection);
  world = await meet(null);
  agents = await Promise.all(Array.from({ length: agentsCount }, () => world.startAgent()));
  // They stay when the last client leaves.
  for (const { dir } of agents) writeFileSync(join(dir, ".hold"), "");
  await until("all are held", () => agents.every(({ running }) => running.isHeld()));
});
after(async () => {
  await world.close();
  process.off("warning", noteWarning);
  process.off("unhandledRejection", noteRejection);
});

const idle = (): Promise<unknown> =>
  until(
    "nobody is in",
    () =>
      world.relay.actor.getSnapshot().context.pairings.size === 0 &&
      world.relay.rows().every(({ clients }) => clients.length === 0) &&
      agents.every(({ running }) => running.leftMs() > 0),
    30_000,
  );

const listenersOf = (): number =>
  (["warning", "unhandledRejection", "exit", "SIGTERM", "uncaughtException"] as const).reduce(
    (sum, name) => sum + process.listenerCount(name),
    0,
  );

test("sessions on twenty agents come and go at random, some are killed, and nothing is left", async () => {
  const random = seeded(20);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  await Promise.all(agents.map((agent) => world.ssh(["true"], { agent })));
  await idle();
  const before = { files: openFiles(), listeners: listenersOf() };
  const end = performance.now() + churnMs;
  let served = 0;
  let killed = 0;
  const visit = async (): Promise<void> => {
    const agent = pick(agents);
    const word = String(Math.floor(random() * 1e9));
    if (random() < 0.25) {
      // Killed at any moment: while it dials, logs in or runs.
      const victim = program(
        "ssh",
        [...world.options(agent), "-i", world.keyFile, "job@agent", "yes"],
        { input: "open" },
      );
      const bytes = Math.floor(random() * 3) * 50_000;
      await until("its moment", () => victim.out().length >= bytes);
      victim.kill("SIGKILL");
      await finished(victim);
      killed += 1;
      return;
    }
    const size = Math.floor(random() * 200_000);
    const said = await world.ssh([`head -c ${size} /dev/zero; cat; exit 7`], {
      agent,
      input: word,
    });
    assert.equal(said.status, 7, said.stderr);
    assert.equal(said.stdout.length, size + word.length);
    assert.equal(said.stdout.subarray(size).toString(), word);
    served += 1;
  };
  const visitor = async (): Promise<void> => {
    // On a busy machine fewer come in the time; go on until enough of each kind did.
    while (performance.now() < end || served <= 20 || killed <= 5) await visit();
  };
  await Promise.all(Array.from({ length: mostAtOnce }, visitor));
  await idle();
  await until("no file is left open", () => openFiles() <= before.files);
  assert.equal(listenersOf(), before.listeners);
  assert.deepEqual(warnings, []);
  assert.equal(world.relay.rows().length, agentsCount);
  assert.ok(agents.every((agent) => agent.ending() === null));
  const outcomes = new Set(
    world.relay.log.lines
      .filter(({ message }) => message === "client session ended")
      .map(({ fields }) => fields["outcome"]),
  );
  for (const outcome of outcomes)
    assert.ok(["served", "client gave up", "broken"].includes(String(outcome)), String(outcome));
});

test("fifty sessions at once on one agent, and each has its own words", async () => {
  const agent = agents[0] as Agent;
  const files = openFiles();
  const everybody = Array.from({ length: sessionsAtOnce }, (_, n) =>
    program(
      "ssh",
      [
        ...world.options(agent),
        ...["-i", world.keyFile, "job@agent"],
        `echo in; read line; echo ${n} $line`,
      ],
      { input: "open" },
    ),
  );
  await until(
    "all are in",
    () => everybody.every((one) => one.out() === "in\n" || one.ended()),
    60_000,
  );
  assert.equal(
    world.relay.actor.getSnapshot().context.pairings.countOf(agent.rendezvous() as RendezvousId),
    sessionsAtOnce,
  );
  for (const one of everybody) one.child.stdin?.end("said\n");
  const said = await Promise.all(everybody.map(finished));
  assert.deepEqual(
    said.map(({ status, out }) => [status, out]),
    everybody.map((_, n) => [0, `in\n${n} said\n`]),
  );
  await idle();
  await until("no file is left open", () => openFiles() <= files);
  assert.deepEqual(warnings, []);
});

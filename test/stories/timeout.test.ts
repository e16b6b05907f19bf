/** When a session ends, who is told before, and what puts it off. Time is moved by hand. */
import assert from "node:assert/strict";
import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import type { AgentOptions } from "../support/agent.ts";
import { handClock } from "../support/clock.ts";
import { openRelay } from "../support/relay.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const minute = 60_000;
let world: World;
afterEach(() => world.close());

const begin = async (options: AgentOptions): Promise<void> => {
  world = await meet(options, {}, handClock({ pings: false }));
};

test("silence: every mark is told in the terminal, then the end, and ssh sees a status", async () => {
  await begin({ timeoutMs: 10 * minute });
  const screen = world.terminal();
  await screen.see("$ ");
  await world.clock.advance(2_000); // what was typed and counted until now is noticed
  await world.clock.advance(5 * minute);
  await screen.see(
    "[converge] The session ends in 5m without activity. Press any key to extend it.",
  );
  await world.clock.advance(4 * minute);
  await screen.see("[converge] The session ends in 1m without activity.");
  await world.clock.advance(50_000);
  await screen.see("[converge] The session ends in 10s without activity.");
  // To the end and no further: from there on ssh needs real time to take its leave.
  while (world.agent.running.leftMs() > 0) await world.clock.advance(50);
  await screen.see("[converge] Nobody was active: the session ends now.");
  assert.equal(await screen.exited, 129);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "inactivity" });
});

test("a key pressed after a warning puts the end off, and everybody is told", async () => {
  await begin({ timeoutMs: 10 * minute });
  const one = world.terminal();
  await one.see("$ ");
  const two = world.terminal();
  await two.see("$ ");
  await one.see("dev@laptop from 127.0.0.1 joined.");
  await world.clock.advance(2_000);
  await world.clock.advance(9 * minute);
  await one.see("ends in 1m");
  await two.see("ends in 1m");
  one.type("x");
  await one.see("x");
  await world.clock.advance(1_000);
  await one.see("[converge] Extended: the session now ends in 10m without activity.");
  await two.see("[converge] Extended: the session now ends in 10m without activity.");
  await world.clock.advance(4 * minute);
  assert.equal(world.agent.ending(), null);
});

test("a notice does not count as activity", async () => {
  await begin({ timeoutMs: minute, warnAtMs: [30_000, 20_000, 10_000] });
  const screen = world.terminal();
  await screen.see("$ ");
  await world.clock.advance(2_000);
  const left = world.agent.running.leftMs();
  await world.clock.advance(45_000);
  await screen.see("ends in 20s");
  await world.clock.advance(1_000);
  assert.ok(world.agent.running.leftMs() <= left - 46_000 + 100);
});

test("output of a shell is not activity, so that tail -f ends", async () => {
  await begin({ timeoutMs: minute, warnAtMs: [] });
  const screen = world.terminal();
  await screen.see("$ ");
  screen.type("yes | while read x; do echo tick; sleep 0.01; done\r");
  await screen.see("tick\r\ntick");
  await world.clock.advance(2_000);
  for (let s = 0; s < 55; s += 1) {
    await screen.see("tick");
    await world.clock.advance(1_000);
  }
  assert.equal(world.agent.ending(), null);
  await world.clock.advance(8_000);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "inactivity" });
});

test("output of a command without a terminal is activity", async () => {
  await begin({ timeoutMs: minute, warnAtMs: [] });
  const running = world.ssh(["while sleep 0.02; do echo tick; done"]);
  await until("a client", () => world.relay.rows()[0]?.clients.length);
  let before = -1;
  for (let s = 0; s < 120; s += 1) {
    const seen = () => world.relay.rows()[0]?.clients[0]?.agentBytes ?? 0;
    before = await until("more output", () => (seen() > before ? seen() : 0));
    await world.clock.advance(1_000);
  }
  assert.equal(world.agent.ending(), null);
  world.agent.stop();
  await running;
});

test("a future mtime of .hold puts the end off, and removing it takes that back", async () => {
  await begin({ timeoutMs: 10 * minute });
  const hold = join(world.agent.dir, ".hold");
  writeFileSync(hold, "");
  const inTwoHours = (world.clock.wall() + 120 * minute) / 1_000;
  utimesSync(hold, inTwoHours, inTwoHours);
  const screen = world.terminal();
  await screen.see("$ ");
  await world.clock.advance(1_000);
  await screen.see(/\[converge\] \.hold is set: when all left the job waits, 2h (9|10)m/);
  await world.clock.advance(125 * minute);
  await screen.see("ends in 5m");
  assert.equal(world.agent.ending(), null);
  screen.type("rm $agentdir/.hold\r");
  await until("the file is gone", () => !existsSync(hold));
  await world.clock.advance(2_000);
  await screen.see("[converge] .hold is gone: the job ends when the last client leaves.");
  assert.ok(world.agent.running.leftMs() <= 10 * minute);
});

test("nobody ever logs in: the join timeout ends it, with warnings for nobody", async () => {
  await begin({ timeoutMs: 10 * minute, joinTimeoutMs: 3 * minute });
  await world.clock.advance(3 * minute + 1_000);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "inactivity" });
  assert.deepEqual(
    world.agent.news.map(({ event }) => event),
    ["ready", "warning", "warning", "ended"],
  );
});

test("a relay that has died keeps no job: the timeout fires, and a shell that was cut has gone", async () => {
  await begin({ timeoutMs: 10 * minute, resumeTimeoutMs: 0 });
  const screen = world.terminal();
  await screen.see("$ ");
  screen.type("trap '' HUP; echo pid $$.\r");
  const pid = Number(/\d+/.exec(await screen.see(/pid \d+\./))?.[0]);
  await world.relay.close();
  assert.equal(await screen.exited, 255);
  await world.clock.advance(10 * minute + 6_000);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "inactivity" });
  await until("its shell is gone", () => !existsSync(`/proc/${pid}`));
  world.relay = await openRelay(world.clock); // for the end of this world
});

test("nor does a client that is away: it makes no activity, and its shell goes with the job", async () => {
  await begin({ timeoutMs: 8 * minute });
  const screen = world.terminal();
  await screen.see("$ ");
  screen.type("while :; do echo; sleep 0.1; done & echo pid $$.\r");
  const pid = Number(/\d+/.exec(await screen.see(/pid \d+\./))?.[0]);
  await world.relay.close();
  await until("it is away", () =>
    world.agent.news.some(({ event }) => event === "client detached"),
  );
  await world.clock.advance(8 * minute + 6_000);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "inactivity" });
  await until("its shell is gone", () => !existsSync(`/proc/${pid}`));
  process.kill(screen.pid, "SIGKILL");
  world.relay = await openRelay(world.clock); // for the end of this world
});

test("the hard cap ends a busy session, and says that nothing extends it", async () => {
  await begin({ timeoutMs: 10 * minute, maxDurationMs: 15 * minute });
  const screen = world.terminal();
  await screen.see("$ ");
  for (let m = 0; m < 10; m += 1) {
    screen.type("#");
    await screen.see("#");
    await world.clock.advance(minute);
  }
  await screen.see("[converge] The job ends in 5m, and nothing extends it: save your work.");
  screen.type("#");
  await screen.see("#");
  await world.clock.advance(4 * minute);
  while (world.agent.running.leftMs() > 0) await world.clock.advance(250); // as above
  await screen.see("[converge] The longest duration is reached: the session ends.");
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "hard cap" });
});

test("linger waits for another client, so that scp and then ssh work", async () => {
  await begin({ lingerMs: minute });
  assert.equal((await world.ssh(["true"])).status, 0);
  await until("nobody is in", () => world.relay.rows()[0]?.state === "lingering" || null).catch(
    () => {},
  );
  await world.clock.advance(50_000);
  assert.equal((await world.ssh(["true"])).status, 0);
  await world.clock.advance(50_000);
  assert.equal(world.agent.ending(), null);
  await world.clock.advance(11_000);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "last client left" });
});

test("a hold left by an earlier job is ignored until it is touched", async () => {
  await begin({});
  const hold = join(world.agent.dir, ".hold");
  assert.equal(world.agent.running.isHeld(), false);
  writeFileSync(hold, "");
  await world.clock.advance(1_000);
  assert.equal(world.agent.running.isHeld(), true);
});

test("a client that was killed is waited for; one that leaves in order ends the agent", async () => {
  await begin({});
  const screen = world.terminal();
  await screen.see("$ ");
  process.kill(screen.pid, "SIGKILL");
  await until("the agent noticed", () =>
    world.agent.news.some(({ event }) => event === "client lost"),
  );
  await world.clock.advance(5 * minute);
  assert.equal(world.agent.ending(), null);
  const back = await world.ssh(["true"]);
  assert.equal(back.status, 0, back.stderr);
  await until("the end", () => world.agent.ending());
  assert.deepEqual(world.agent.ending(), { kind: "last client left" });
});

/** The live list: a late comer gets a page as it is, and after it only what became different. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActor } from "xstate";
import { liveRoster, type RosterChanges } from "../../../src/actors/observe/live-roster.ts";
import { rosterPage } from "../../../src/actors/observe/roster.ts";
import { pairingMachine } from "../../../src/machines/pairing.ts";
import { relayMachine } from "../../../src/machines/relay.ts";
import type { RelayEvent } from "../../../src/machines/relay-events.ts";
import { HandClock } from "../../support/processes.ts";

const view = { search: "", order: "id" as const, page: 1 };
const noBytes = () => ({ clientBytes: 0, agentBytes: 0 });

function open(count: number) {
  const clock = new HandClock();
  const input = { summonMs: 10_000, rememberMs: 1_000, agentsPerHolder: 99, lostMost: 99 };
  const actor = createActor(relayMachine, { input: { ...input, pairing: pairingMachine } });
  actor.start();
  const send = (event: object): void => actor.send(event as RelayEvent);
  for (let n = 0; n < count; n += 1)
    send({
      type: "AGENT.REGISTERED",
      control: `link-${n}`,
      ids: [`job-${n}`],
      key: `key-${n}`,
      holder: "here",
      facts: {},
      atMs: clock.wall(),
    });
  const report = (n: number, leftMs: number): void =>
    send({
      type: "AGENT.REPORTED",
      id: `job-${n}`,
      control: `link-${n}`,
      status: { state: "occupied", leftMs, held: false, clients: [] },
      atMs: clock.wall(),
    });
  return { clock, actor, report, live: liveRoster(actor, clock, noBytes) };
}

test("a row is the same object until its agent says something else", () => {
  const { actor, report, clock } = open(2);
  const rows = () => rosterPage(actor.getSnapshot().context, view, clock.wall(), noBytes).rows;
  const before = rows();
  report(1, 5_000);
  const after = rows();
  assert.equal(after[0], before[0]);
  assert.notEqual(after[1], before[1]);
  assert.equal(after[1]?.state, "occupied");
});

test("who watches hears of what changed, once a second however much it was", () => {
  const { clock, report, live } = open(3);
  const heard: RosterChanges[] = [];
  const early = live.changes(view).subscribe((changes) => heard.push(changes));
  for (let times = 0; times < 100; times += 1) report(1, 60_000 + times * 1_000);
  clock.increment(1_000);
  clock.increment(1_000);
  assert.deepEqual(
    heard.map(({ rows, isWhole }) => [isWhole, rows.map(({ id }) => id)]),
    [[false, ["job-1"]]],
  );
  const late: RosterChanges[] = [];
  const another = live.changes(view).subscribe((changes) => late.push(changes));
  assert.deepEqual(
    live.now(view).rows.map(({ id }) => id),
    ["job-0", "job-1", "job-2"],
  );
  report(2, 9_000);
  clock.increment(1_000);
  assert.equal(late[0], heard[1], "the same for everybody who watches the same");
  assert.deepEqual(
    late[0]?.rows.map(({ id }) => id),
    ["job-2"],
  );
  early.unsubscribe();
  another.unsubscribe();
});

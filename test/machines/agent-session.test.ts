import assert from "node:assert/strict";
import { test } from "node:test";
import { createActor, SimulatedClock } from "xstate";
import { type AgentSessionEvent, agentSessionMachine } from "../../src/machines/agent-session.ts";
import type { Audience, ClientId, Notice } from "../../src/machines/vocabulary.ts";
import { walk } from "../support/walk.ts";

const minute = 60_000;

function start(limits: { lingerMs?: number; maxDurationMs?: number; joinTimeoutMs?: number } = {}) {
  const clock = new SimulatedClock();
  const actor = createActor(agentSessionMachine, {
    clock,
    input: {
      atMs: 0,
      timeoutMs: 10 * minute,
      joinTimeoutMs: 10 * minute,
      warnAtMs: [5 * minute, minute],
      lingerMs: 0,
      maxDurationMs: null,
      resumeTimeoutMs: 10 * minute,
      ...limits,
    },
  });
  const notices: { notice: Notice; audience: Audience }[] = [];
  actor.on("notice", ({ notice, audience }) => notices.push({ notice, audience }));
  actor.start();
  return { clock, actor, notices };
}

const client = "client-1" as ClientId;
const who = "ann";
const joined: AgentSessionEvent = { type: "CLIENT.JOINED", client, who, atMs: 0 };
const left: AgentSessionEvent = { type: "CLIENT.LEFT", client, who, atMs: 0 };
const lost: AgentSessionEvent = { type: "CLIENT.LOST", client, who, atMs: 0 };
const seen: AgentSessionEvent = { type: "FILE.SEEN", aheadMs: 0, atMs: 0 };
const gone: AgentSessionEvent = { type: "FILE.GONE", atMs: 0 };

for (const [name, events, want] of [
  ["nobody came yet", [], { open: "waiting" }],
  ["one is in", [joined], { open: "occupied" }],
  ["the last one leaves", [joined, left], "ended"],
  ["one of two leaves", [joined, joined, left], { open: "occupied" }],
  ["the last one leaves, held", [seen, joined, left], { open: "held" }],
  ["the hold comes while somebody is in", [joined, seen, left], { open: "held" }],
  ["held, then released", [seen, joined, left, gone], "ended"],
  ["held, released while somebody is in", [seen, joined, gone], { open: "occupied" }],
  ["released while somebody is in, who leaves", [seen, joined, gone, "wait", left], "ended"],
  ["held, an editor saves by rename", [seen, joined, left, gone, seen], { open: "held" }],
  ["held, somebody returns", [seen, joined, left, joined], { open: "occupied" }],
  ["a hold removed before anybody came", [seen, gone, "wait"], { open: "waiting" }],
  ["the last one's link breaks", [joined, lost], { open: "lost" }],
  ["one of two is lost, the other leaves", [joined, joined, lost, left], "ended"],
  ["lost, comes back and leaves", [joined, lost, joined, left], "ended"],
  ["lost with a hold, which is removed", [seen, joined, lost, gone], "ended"],
  ["told to stop", [joined, { type: "INTERRUPTED" }], "ended"],
] as const) {
  test(`agent session: ${name}`, () => {
    const { actor, clock } = start();
    for (const event of events) {
      if (event === "wait") walk(clock, 1_000, 100);
      else actor.send(event);
    }
    walk(clock, 1_000, 100);
    assert.deepEqual(actor.getSnapshot().value, want);
  });
}

test("linger: somebody else may still come", () => {
  const { actor, clock } = start({ lingerMs: minute });
  actor.send(joined);
  actor.send(left);
  walk(clock, minute - 1);
  assert.deepEqual(actor.getSnapshot().value, { open: "lingering" });
  actor.send(joined);
  walk(clock, minute);
  assert.deepEqual(actor.getSnapshot().value, { open: "occupied" });
});

test("linger: a hold that comes meanwhile keeps the agent", () => {
  const { actor, clock } = start({ lingerMs: minute });
  for (const event of [joined, left, seen]) actor.send(event);
  walk(clock, 2 * minute);
  assert.deepEqual(actor.getSnapshot().value, { open: "held" });
});

test("silence ends a held session all the same", () => {
  const { actor, clock } = start();
  for (const event of [seen, joined, left]) actor.send(event);
  walk(clock, 10 * minute);
  assert.deepEqual(actor.getSnapshot().output, { kind: "inactivity" });
});

test("who is told what, and who is spared", () => {
  const { actor, clock, notices } = start();
  actor.send(joined);
  actor.send({ ...joined, client: "client-2" as ClientId, who: "bob" });
  actor.send({ type: "RELAY.LOST" });
  actor.send({ type: "KEYS.CHANGED", what: "keys file changed" });
  walk(clock, 5 * minute);
  actor.send({ type: "ACTIVITY", atMs: 5 * minute });
  assert.deepEqual(notices, [
    { notice: { about: "client joined", who: "ann" }, audience: { to: "all but", client } },
    {
      notice: { about: "client joined", who: "bob" },
      audience: { to: "all but", client: "client-2" },
    },
    { notice: { about: "relay lost" }, audience: { to: "all" } },
    {
      notice: { about: "keys changed", what: "keys file changed" },
      audience: { to: "all" },
    },
    {
      notice: { about: "expiry near", leftMs: 5 * minute, cause: "inactivity" },
      audience: { to: "all" },
    },
    { notice: { about: "expiry extended", leftMs: 10 * minute }, audience: { to: "all" } },
  ]);
});

test("a newcomer is told of the hard cap, which its login does not put off", () => {
  const { actor, clock, notices } = start({ maxDurationMs: 5 * minute });
  walk(clock, 4.5 * minute);
  actor.send({ ...joined, atMs: 4.5 * minute });
  assert.deepEqual(notices.at(-1), {
    notice: { about: "expiry near", leftMs: 0.5 * minute, cause: "hard cap" },
    audience: { to: "only", client },
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { createActor, SimulatedClock } from "xstate";
import { pairingMachine } from "../../src/machines/pairing.ts";
import { relayMachine } from "../../src/machines/relay.ts";
import type {
  AgentFacts,
  Holder,
  IdentityKey,
  LinkId,
  PairingOutcome,
  RendezvousId,
  SpliceReport,
  Ticket,
} from "../../src/machines/vocabulary.ts";

const id = (text: string) => text as RendezvousId;
const link = (text: string) => text as LinkId;
const ticket = (text: string) => text as Ticket;
const key = (text: string) => text as IdentityKey;
const facts = {} as AgentFacts;
const day = 24 * 60 * 60_000;

function start() {
  const clock = new SimulatedClock();
  const done: string[] = [];
  let hangUp: (report: SpliceReport) => void = () => {};
  const pairing = pairingMachine.provide({
    actions: {
      splice: (_, { pairing: { ticket } }) => {
        hangUp = (report) => actor.send({ type: "SPLICE.ENDED", ticket, report });
      },
      tellWaiting: (_, { client, waitMs }) => void done.push(`${client} waits ${waitMs}`),
      summonAgent: (_, { pairing }) =>
        void done.push(`${pairing.agent?.control} summoned with ${pairing.ticket}`),
      hangUp: (_, { pairing }) => void done.push(`${pairing.client}: ${pairing.outcome.kind}`),
    },
  });
  const actor = createActor(
    relayMachine.provide({
      actions: {
        welcomeAgent: (_, { control, id }) => void done.push(`${control} is ${id}`),
        turnAway: (_, { control }) => void done.push(`${control} turned away`),
        dismissFormer: (_, { control }) => void (control && done.push(`${control} dismissed`)),
      },
    }),
    {
      clock,
      input: { summonMs: 10_000, rememberMs: day, agentsPerHolder: 9, lostMost: 9, pairing },
    },
  ).start();
  const register = (control: string, ids: string[], by: string, atMs = 0): void =>
    actor.send({
      type: "AGENT.REGISTERED",
      control: link(control),
      address: "192.0.2.7",
      holder: "192.0.2.7" as Holder,
      can: [],
      voucher: null,
      asked: id(ids[0] ?? ""),
      ids: ids.map(id),
      key: key(by),
      facts,
      atMs,
    });
  const knock = (client: string, at: string, waitMs = 0): void =>
    actor.send({
      type: "CLIENT.KNOCKED",
      id: id(at),
      ticket: ticket(`t-${client}`),
      client: link(client),
      facts: { address: "192.0.2.1", can: [] },
      isAgain: false,
      waitMs,
      atMs: 0,
    });
  const told = (): string[] => done.splice(0);
  return { actor, clock, register, knock, told, hangUp: (r: SpliceReport) => hangUp(r) };
}

test("an id is its first owner's; a stranger gets another", () => {
  const { register, told } = start();
  register("c1", ["job", "job-x"], "ann");
  register("c2", ["job", "job-y"], "bob");
  assert.deepEqual(told(), ["c1 is job", "c2 is job-y"]);
});

test("the same key wins at once over its old link", () => {
  const { actor, register, told } = start();
  register("c1", ["job"], "ann");
  register("c2", ["job"], "ann");
  assert.deepEqual(told(), ["c1 is job", "c1 dismissed", "c2 is job"]);
  actor.send({ type: "AGENT.LOST", id: id("job"), control: link("c1"), atMs: 1, byRelay: false });
  assert.equal(actor.getSnapshot().context.agents.get(id("job"))?.control, "c2");
});

test("a lost agent keeps its id for a day, and no longer", () => {
  const { actor, register, told } = start();
  register("c1", ["job"], "ann");
  actor.send({ type: "AGENT.LOST", id: id("job"), control: link("c1"), atMs: 0, byRelay: false });
  register("c2", ["job", "job-y"], "bob", day - 1);
  register("c3", ["other"], "eve", day + 1);
  register("c4", ["job", "job-z"], "bob", day + 1);
  assert.deepEqual(told(), ["c1 is job", "c2 is job-y", "c3 is other", "c4 is job"]);
});

test("an id that is no longer remembered goes whole to who asks for it first", () => {
  const { actor, register, knock, told } = start();
  register("c1", ["job"], "ann");
  actor.send({ type: "AGENT.LOST", id: id("job"), control: link("c1"), atMs: 0, byRelay: false });
  register("c2", ["job", "job-y"], "bob", day);
  knock("alice", "job");
  assert.deepEqual(told(), ["c1 is job", "c2 is job", "c2 summoned with t-alice"]);
});

test("an agent that closed its link in order leaves its id free", () => {
  const { actor, register, told } = start();
  register("c1", ["job"], "ann");
  actor.send({ type: "AGENT.LEFT", id: id("job"), control: link("c1"), atMs: 0 });
  register("c2", ["job", "job-y"], "bob");
  assert.deepEqual(told(), ["c1 is job", "c2 is job"]);
});

test("nothing free: turned away", () => {
  const { register, told } = start();
  register("c1", ["job"], "ann");
  register("c2", ["job"], "bob");
  assert.deepEqual(told(), ["c1 is job", "c2 turned away"]);
});

test("a knock on an agent that is there is summoned and spliced, and leaves nothing behind", async () => {
  const { actor, register, knock, told, hangUp } = start();
  register("c1", ["job"], "ann");
  knock("alice", "job");
  actor.send({ type: "AGENT.DIALLED", ticket: ticket("t-alice"), link: link("d1"), atMs: 5 });
  actor.send({ type: "CLIENT.GONE", ticket: ticket("t-alice") });
  assert.equal(actor.getSnapshot().context.pairings.size, 1, "the splice says when it is over");
  hangUp({ clientBytes: 1, pauses: 0, agentBytes: 2, endedBy: "client" });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told(), ["c1 is job", "c1 summoned with t-alice", "alice: served"]);
  assert.equal(actor.getSnapshot().context.pairings.size, 0);
  assert.deepEqual(Object.keys(actor.getSnapshot().children), []);
});

test("a spliced pairing keeps its place and what it knows, hears reports, and ends with the relay", () => {
  const { actor, register, knock, told } = start();
  register("c1", ["job"], "ann");
  for (const client of ["alice", "bob"]) knock(client, "job");
  const dialled = { ticket: ticket("t-alice"), link: link("d1"), atMs: 5 };
  actor.send({ type: "AGENT.DIALLED", ...dialled });
  const { pairings } = actor.getSnapshot().context;
  const states = () => pairings.all().map(({ context, state }) => `${context.client} ${state}`);
  assert.deepEqual(states(), ["alice asleep", "bob summoning"]);
  const report = { ticket: ticket("t-alice"), kinds: ["shell"], login: null } as const;
  actor.send({ type: "CLIENT.REPORTED", id: id("job"), control: link("c1"), report });
  const of = { id: id("job"), control: link("somebody else's") };
  actor.send({ type: "CLIENT.REPORTED", ...of, report: { ...report, kinds: [] } });
  const alice = pairings.of(ticket("t-alice"))?.context;
  assert.deepEqual(alice?.report, report);
  assert.deepEqual([alice?.dialled, alice?.splicedAtMs], ["d1", 5]);
  actor.send({ type: "CLIENT.GONE", ticket: ticket("t-alice") }); // what means nothing to it
  register("c2", ["job"], "ann");
  assert.deepEqual(states(), ["alice asleep", "bob summoning"]);
  told();
  pairings.sendAll({ type: "RELAY.ENDED" });
  assert.deepEqual(told(), ["alice: broken", "bob: broken"]);
  assert.deepEqual(pairings.all(), []);
});

test("links that were gone before they could be joined end their pairing", () => {
  const { actor, register, knock, told } = start();
  register("c1", ["job"], "ann");
  knock("alice", "job");
  actor.send({ type: "AGENT.DIALLED", ticket: ticket("t-alice"), link: link("d1"), atMs: 5 });
  actor.send({ type: "SPLICE.FAILED", ticket: ticket("t-alice") });
  assert.equal(told().at(-1), "alice: broken");
  assert.equal(actor.getSnapshot().context.pairings.size, 0);
});

const outcomes: [string, (w: ReturnType<typeof start>) => void, PairingOutcome["kind"]][] = [
  ["no agent, no patience", ({ knock }) => knock("alice", "job"), "no such rendezvous"],
  [
    "no agent within the wait",
    ({ knock, clock }) => {
      knock("alice", "job", 5_000);
      clock.increment(5_000);
    },
    "no such rendezvous",
  ],
  [
    "the agent does not dial back",
    ({ register, knock, clock }) => {
      register("c1", ["job"], "ann");
      knock("alice", "job");
      clock.increment(10_000);
    },
    "agent silent",
  ],
  [
    "the client gives up while it waits",
    ({ knock, actor }) => {
      knock("alice", "job", 5_000);
      actor.send({ type: "CLIENT.GONE", ticket: ticket("t-alice") });
    },
    "client gave up",
  ],
];
for (const [name, act, kind] of outcomes) {
  test(`a pairing where ${name}`, () => {
    const world = start();
    act(world);
    assert.equal(world.told().at(-1), `alice: ${kind}`);
    assert.equal(world.actor.getSnapshot().context.pairings.size, 0);
  });
}

test("a parked client is summoned when the agent comes, and again when it comes back", () => {
  const { register, knock, told } = start();
  knock("alice", "job", 60_000);
  register("c1", ["job"], "ann");
  register("c2", ["job"], "ann");
  assert.deepEqual(told(), [
    "alice waits 60000",
    "c1 is job",
    "c1 summoned with t-alice",
    "c1 dismissed",
    "c2 is job",
    "c2 summoned with t-alice",
  ]);
});

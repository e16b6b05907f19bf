/**
 * The machine of an agent's session, with those that it owns, against a plain model: whoever comes and
 * goes, and whatever becomes of the hold file, both end at the same moment and warn of it alike.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createActor, SimulatedClock } from "xstate";
import { type AgentSessionInput, agentSessionMachine } from "../../src/machines/agent-session.ts";
import type { ClientId, Ending } from "../../src/machines/vocabulary.ts";
import { walk } from "../support/walk.ts";
import { AgentSessionModel, tickMs } from "./agent-session-model.ts";

const second = 1_000;

/**
 * Each with a part of a second of its own, and all events at whole seconds: so no two timers are due at
 * one moment, where either could be first. A file that is gone is believed to be so after half a second.
 */
const limits: fc.Arbitrary<AgentSessionInput> = fc.record({
  atMs: fc.constant(0),
  joinTimeoutMs: fc.constantFrom(15, 40, 70).map((n) => n * second + 400),
  timeoutMs: fc.constantFrom(15, 60).map((n) => n * second + 100),
  warnAtMs: fc.constantFrom([], [10 * second], [50 * second, 30 * second, 10 * second]),
  lingerMs: fc.constantFrom(200, 20 * second + 200),
  resumeTimeoutMs: fc.constant(10 * 60 * second),
  maxDurationMs: fc.option(fc.constantFrom(25, 45, 150).map((n) => n * second + 300)),
});

/** The machine itself, with its warnings and ends written down. */
class Real {
  readonly clock = new SimulatedClock();
  said: string[] = [];
  readonly endings: Ending["kind"][] = [];
  readonly actor;

  constructor(input: AgentSessionInput) {
    this.actor = createActor(agentSessionMachine, { clock: this.clock, input });
    this.actor.on("notice", ({ notice, audience }) => {
      if (audience.to !== "all") return; // a newcomer is told what others were told before
      if (notice.about === "expiry near")
        this.said.push(`warned ${notice.leftMs}, ${notice.cause}`);
      if (notice.about === "expiry extended") this.said.push(`extended ${notice.leftMs}`);
    });
    this.actor.subscribe({
      complete: () => this.endings.push(this.actor.getSnapshot().output?.kind ?? "interrupted"),
    });
    this.actor.start();
  }
}

/** What holds after each step, whatever it was. */
function compare(model: AgentSessionModel, real: Real): void {
  const { value, context } = real.actor.getSnapshot();
  assert.deepEqual(real.said.splice(0), model.said.splice(0), "warnings, each once in a silence");
  assert.deepEqual(real.endings, model.ending ? [model.ending] : [], "it ends once, and for that");
  if (model.ending) return;
  assert.deepEqual(value, { open: model.state });
  assert.equal(context.deadlineMs, model.deadlineMs, "the deadline");
  assert.equal(context.clients, model.clients.size, "clients");
  assert.equal(context.held, model.held, "held");
}

type Command = fc.Command<AgentSessionModel, Real>;
const step = <Args>(
  name: string,
  args: fc.Arbitrary<Args>,
  act: (args: Args, model: AgentSessionModel, real: Real) => void,
  may: (model: Readonly<AgentSessionModel>) => boolean = () => true,
): fc.Arbitrary<Command> =>
  args.map((values) => ({
    toString: () => `${name} ${JSON.stringify(values)}`,
    check: (model) => !model.ending && may(model),
    run: (model, real) => {
      act(values, model, real);
      compare(model, real);
    },
  }));

const isOccupied = ({ clients }: Readonly<AgentSessionModel>): boolean => clients.size > 0;
const who = "ann";
/** The nth of those who are in. */
const clientOf = ({ clients }: AgentSessionModel, n: number): ClientId =>
  [...clients][n % clients.size] ?? ("nobody" as ClientId);
const none = fc.constant("");

const pass = step(
  "pass",
  fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 })),
  (seconds, model, { clock }) => {
    for (let gone = 0; gone < seconds * second; gone += tickMs) model.tick();
    walk(clock, seconds * second, tickMs);
  },
);
const steps = [
  pass,
  step("join", none, (_, model, { actor }) => {
    const client = `client-${model.joined}` as ClientId;
    model.join(client);
    actor.send({ type: "CLIENT.JOINED", client, who, atMs: model.nowMs });
  }),
  step(
    "part",
    fc.record({ n: fc.nat(3), isLost: fc.boolean() }),
    ({ n, isLost }, model, { actor }) => {
      const client = clientOf(model, n);
      model.part(client, isLost);
      const type = isLost ? "CLIENT.LOST" : "CLIENT.LEFT";
      actor.send({ type, client, who, atMs: model.nowMs });
    },
    isOccupied,
  ),
  step("be active", none, (_, model, { actor }) => {
    model.activity();
    actor.send({ type: "ACTIVITY", atMs: model.nowMs });
  }),
  step(
    "see the hold file",
    fc.constantFrom(-100, 0, 20, 90).map((n) => n * second),
    (aheadMs, model, { actor }) => {
      model.seeFile(aheadMs);
      actor.send({ type: "FILE.SEEN", aheadMs, atMs: model.nowMs });
    },
  ),
  step(
    "miss the hold file",
    none,
    (_, model, { actor }) => {
      model.missFile();
      actor.send({ type: "FILE.GONE", atMs: model.nowMs });
    },
    ({ isFile }) => isFile,
  ),
  // What is told to people, and is no activity.
  step("news of the relay", none, (_, _model, { actor }) => {
    actor.send({ type: "RELAY.LOST" });
    actor.send({ type: "RELAY.FOUND" });
    actor.send({ type: "KEYS.CHANGED", what: "keys file changed" });
  }),
];
const interrupt = step("interrupt", none, (_, model, { actor }) => {
  model.ending = "interrupted";
  actor.send({ type: "INTERRUPTED" });
});
/** Few are ended by a signal, which can come at any time. */
const story = [...steps, ...steps, ...steps, interrupt];

test("agent session: whatever happens, it ends when the model does, and warns when it does", () => {
  fc.assert(
    fc.property(limits, fc.commands(story, { maxCommands: 40, size: "max" }), (input, commands) => {
      const model = new AgentSessionModel(input);
      const real = new Real(input);
      fc.modelRun(() => ({ model, real }), commands);
      // Left alone, it ends; and it has ended for good.
      for (let minutes = 0; minutes < 4; minutes += 1) {
        for (let gone = 0; gone < 60 * second; gone += tickMs) model.tick();
        walk(real.clock, 60 * second, tickMs);
        compare(model, real);
      }
      assert.ok(model.ending);
    }),
    { numRuns: 1_000, includeErrorInReport: true },
  );
});

/**
 * The relay's machine against a plain model of maps and sets: whatever agents and clients do, and in
 * whatever order, both know the same agents and the same pairings. It knows no socket; time is walked.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createActor, SimulatedClock } from "xstate";
import { pairingMachine } from "../../src/machines/pairing.ts";
import { relayMachine } from "../../src/machines/relay.ts";
import type {
  AgentFacts,
  AgentStatus,
  ChannelKind,
  ClientReport,
  Holder,
  IdentityKey,
  LinkId,
  RendezvousId,
  Ticket,
} from "../../src/machines/vocabulary.ts";
import { walk } from "../support/walk.ts";
import { type Agent, bounds, RelayModel } from "./relay-model.ts";

/** All times are whole seconds, so that no timer is passed over. */
const second = 1_000;

/** The machine itself, with what it says written down. */
class Real {
  readonly clock = new SimulatedClock();
  said: string[] = [];
  readonly actor;
  /** A link of which the other end has gone, which shows only when it is joined. */
  readonly dead = new Set<LinkId>();

  constructor() {
    const say = (text: string): void => void this.said.push(text);
    const pairing = pairingMachine.provide({
      actions: {
        tellWaiting: (_, { client }) => say(`${client} waits`),
        summonAgent: (_, { pairing }) =>
          say(`${pairing.agent?.control} summoned for ${pairing.ticket}`),
        hangUp: (_, { pairing }) => say(`${pairing.ticket} ended: ${pairing.outcome.kind}`),
        splice: (_, { pairing: { ticket, dialled } }) => {
          if (dialled && this.dead.has(dialled)) this.actor.send({ type: "SPLICE.FAILED", ticket });
        },
      },
    });
    const machine = relayMachine.provide({
      actions: {
        welcomeAgent: (_, { control, id }) => say(`${control} is ${id}`),
        turnAway: (_, { control }) => say(`${control} turned away`),
        dismissFormer: (_, { control }) => void (control && say(`${control} dismissed`)),
      },
    });
    this.actor = createActor(machine, { clock: this.clock, input: { ...bounds, pairing } });
    this.actor.start();
  }

  get context() {
    return this.actor.getSnapshot().context;
  }

  /** Who is remembered, as the sessions page would show it. */
  roster(): [RendezvousId, Agent][] {
    const { agents } = this.context;
    return agents.all
      .filter((agent) => agents.isRemembered(agent, this.clock.now()))
      .map(({ id, key, holder, control, sinceMs, lostAtMs, status }) => [
        id,
        { key, holder, control, sinceMs, lostAtMs, state: status?.state ?? null },
      ]);
  }
}

/** What holds after each step, whatever it was. */
function compare(model: RelayModel, real: Real, before: readonly [RendezvousId, Agent][]): void {
  const roster = real.roster();
  const remembered = [...model.agents].filter(([, agent]) => model.isRemembered(agent));
  const byId = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
  assert.deepEqual(roster, remembered.sort(byId), "the roster is the model's");
  const links = roster.flatMap(([, { control }]) => control ?? []);
  assert.equal(new Set(links).size, links.length, "a control link is of one id");
  for (const [id, agent] of before) {
    const now = real.context.agents.get(id);
    if (model.isRemembered(agent))
      assert.ok(!now || now.key === agent.key, `${id} changed its key while it was remembered`);
  }
  const { pairings } = real.context;
  assert.deepEqual(
    pairings.all().map(({ context: { ticket, id, report }, state }) => {
      const { kinds = [], login = null } = report ?? {};
      return [ticket, id, state, [...kinds], login?.fingerprint ?? null];
    }),
    [...model.pairs].map(([ticket, { id, state, kinds, login }]) => {
      return [ticket, id, state, [...kinds], login];
    }),
    "the pairings are the model's",
  );
  assert.equal(pairings.size, model.tickets.length - model.outcomes.size, "started − ended = size");
  assert.deepEqual(real.said.splice(0).sort(), model.said.splice(0).sort(), "what was said");
}

const step = <Args>(
  name: string,
  args: fc.Arbitrary<Args>,
  act: (args: Args, model: RelayModel, real: Real) => void,
): fc.Arbitrary<fc.Command<RelayModel, Real>> =>
  args.map((values) => ({
    toString: () => `${name} ${JSON.stringify(values)}`,
    check: () => true,
    run: (model, real) => {
      const before = real.roster();
      act(values, model, real);
      compare(model, real, before);
    },
  }));

const oneOf = <Brand>(...texts: string[]) => fc.constantFrom(...texts) as fc.Arbitrary<Brand>;
const id = oneOf<RendezvousId>("a", "b", "c", "d", "e");
const key = oneOf<IdentityKey>("ann's", "bob's", "eve's");
const holder = oneOf<Holder>("here", "there");
const kinds = fc.subarray<ChannelKind>(["shell", "exec", "sftp"]);
const state = oneOf<AgentStatus["state"]>("waiting", "occupied", "held");
/** The current link of an id most often, or any other that was there: late news of a former one. */
const speaker = fc.record({ id, isLate: fc.boolean(), ago: fc.nat(3) });
const linkOf = (
  model: RelayModel,
  { id, isLate, ago }: { id: RendezvousId; isLate: boolean; ago: number },
) => (isLate ? model.links.at(-1 - ago) : model.agents.get(id)?.control) ?? ("none" as LinkId);
/** One of the latest tickets, over or not; one that there never was, before there is any. */
const ago = fc.nat(5);
const ticketOf = (model: RelayModel, ago: number): Ticket =>
  model.tickets.at(-1 - ago) ?? ("none" as Ticket);
const reportOf = (ticket: Ticket, kinds: ChannelKind[], by: string | null): ClientReport => ({
  ticket,
  kinds,
  login: by === null ? null : { fingerprint: by, comment: "" },
});
const login = fc.option(oneOf<string>("SHA256:1", "SHA256:2"));

const steps = [
  step(
    "register",
    fc.record({ ids: fc.uniqueArray(id, { minLength: 1, maxLength: 2 }), key, holder }),
    ({ ids, key, holder }, model, { actor }) => {
      const control = `link-${model.links.length}` as LinkId;
      const atMs = model.nowMs;
      model.register(control, ids, key, holder);
      const about = {
        asked: ids[0] ?? ("" as RendezvousId),
        address: holder,
        voucher: null,
        can: [],
      };
      const facts = {} as AgentFacts;
      actor.send({ type: "AGENT.REGISTERED", control, ids, key, holder, facts, atMs, ...about });
    },
  ),
  step("lose", speaker, (from, model, { actor }) => {
    const news = { id: from.id, control: linkOf(model, from) };
    model.lose(news.id, news.control);
    actor.send({ type: "AGENT.LOST", ...news, atMs: model.nowMs, byRelay: false });
  }),
  step("leave", speaker, (from, model, { actor }) => {
    const news = { id: from.id, control: linkOf(model, from) };
    model.leave(news.id, news.control);
    actor.send({ type: "AGENT.LEFT", ...news, atMs: model.nowMs });
  }),
  step(
    "report",
    fc.record({ from: speaker, state, of: fc.uniqueArray(ago, { maxLength: 2 }), kinds, login }),
    ({ from, state, of, kinds, login }, model, { actor }) => {
      const news = { id: from.id, control: linkOf(model, from) };
      const clients = of.map((ago) => reportOf(ticketOf(model, ago), kinds, login));
      model.report(news.id, news.control, state);
      for (const client of clients) model.reportClient(news.id, news.control, client);
      const status: AgentStatus = { state, leftMs: 0, held: false, clients };
      actor.send({ type: "AGENT.REPORTED", ...news, status, atMs: model.nowMs });
    },
  ),
  step(
    "report a client",
    fc.record({ from: speaker, ago, kinds, login }),
    ({ from, ago, kinds, login }, model, { actor }) => {
      const news = { id: from.id, control: linkOf(model, from) };
      const report = reportOf(ticketOf(model, ago), kinds, login);
      model.reportClient(news.id, news.control, report);
      actor.send({ type: "CLIENT.REPORTED", ...news, report });
    },
  ),
  step(
    "knock",
    fc.record({ id, waitMs: fc.constantFrom(0, 5 * second, 30 * second) }),
    ({ id, waitMs }, model, { actor }) => {
      const ticket = `t${model.tickets.length}` as Ticket;
      model.knock(id, ticket, waitMs);
      const client = String(ticket) as LinkId;
      const facts = { address: "192.0.2.1", can: [] };
      const isAgain = false;
      actor.send({
        type: "CLIENT.KNOCKED",
        id,
        ticket,
        client,
        facts,
        waitMs,
        isAgain,
        atMs: model.nowMs,
      });
    },
  ),
  step("dial back", fc.record({ ago, isDead: fc.boolean() }), ({ ago, isDead }, model, real) => {
    const ticket = ticketOf(model, ago);
    const link = `dialled-${ticket}` as LinkId;
    const pair = model.pairs.get(ticket);
    if (pair?.state === "summoning") {
      pair.state = "asleep";
      pair.endsAtMs = Number.POSITIVE_INFINITY;
      if (isDead) {
        real.dead.add(link);
        model.end(ticket, "broken");
      }
    }
    real.actor.send({ type: "AGENT.DIALLED", ticket, link, atMs: model.nowMs });
  }),
  step("hang up before it is joined", ago, (ago, model, { actor }) => {
    const ticket = ticketOf(model, ago);
    if (model.pairs.get(ticket)?.state !== "asleep") model.end(ticket, "client gave up");
    actor.send({ type: "CLIENT.GONE", ticket });
  }),
  step("end a splice", ago, (ago, model, { actor }) => {
    const ticket = ticketOf(model, ago);
    if (model.pairs.get(ticket)?.state === "asleep") model.end(ticket, "served");
    const report = { clientBytes: 1, agentBytes: 1, pauses: 0, endedBy: "client" } as const;
    actor.send({ type: "SPLICE.ENDED", ticket, report });
  }),
  step("pass", fc.integer({ min: 1, max: 25 }), (seconds, model, { clock }) => {
    model.pass(seconds * second);
    walk(clock, seconds * second, second);
  }),
];

test("relay: whatever happens, it knows whom the model knows, and each knock has one outcome", () => {
  fc.assert(
    fc.property(fc.commands(steps, { maxCommands: 80, size: "max" }), (commands) => {
      const model = new RelayModel();
      const real = new Real();
      fc.modelRun(() => ({ model, real }), commands);
      // As the relay ends: nobody is left without an outcome.
      const before = real.roster();
      for (const ticket of model.pairs.keys()) model.end(ticket, "broken");
      real.context.pairings.sendAll({ type: "RELAY.ENDED" });
      compare(model, real, before);
      assert.deepEqual([...model.outcomes.keys()].sort(), [...model.tickets].sort());
      real.actor.stop();
    }),
    { numRuns: 600, includeErrorInReport: true },
  );
});

/**
 * Every state of every machine can be reached, by the events that the machine itself names, delays and
 * the ends of its actors among them. A state that no way leads to is a mistake, or nobody's any more.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  type AnyStateMachine,
  type EventObject,
  getInitialMicrosteps,
  getMicrosteps,
} from "xstate";
import { adjacencyMapToArray, getAdjacencyMap, getStateNodes } from "xstate/graph";
import { absenceMachine } from "../../src/machines/absence.ts";
import { agentSessionMachine } from "../../src/machines/agent-session.ts";
import { holdMachine } from "../../src/machines/hold.ts";
import { inactivityMachine } from "../../src/machines/inactivity.ts";
import { noticesMachine } from "../../src/machines/notices.ts";
import { pairingMachine } from "../../src/machines/pairing.ts";
import { redialMachine } from "../../src/machines/redial.ts";
import { relayMachine } from "../../src/machines/relay.ts";
import { uplinkMachine } from "../../src/machines/uplink.ts";

const owner = { send: () => {}, _send: () => {}, sessionId: "owner" };
const atMs = 0;

type Sent = EventObject & Record<string, unknown>;

interface Way {
  readonly machine: AnyStateMachine;
  /** Each is a start of its own. */
  readonly inputs: readonly object[];
  /** What events carry, where something looks at it; one of a kind that is not here carries nothing. */
  readonly events?: readonly Sent[];
  /** What guards look at, so that the graph ends though counts and moments go on for ever. */
  readonly sees?: (context: Record<string, unknown>) => unknown;
}

const client = { client: "client-1", who: "ann", atMs };
const registered = "xstate.done.actor.register";
const pairing = { owner, id: "job", ticket: "t", client: "c", facts: {}, sinceMs: 0, summonMs: 1 };
const limits = { timeoutMs: 10, joinTimeoutMs: 10, warnAtMs: [5], lingerMs: 1, resumeTimeoutMs: 9 };

const ways: readonly Way[] = [
  {
    machine: agentSessionMachine,
    inputs: [{ atMs, ...limits, maxDurationMs: null }],
    events: [
      { type: "CLIENT.JOINED", ...client },
      { type: "CLIENT.LEFT", ...client },
      { type: "CLIENT.LOST", ...client },
      { type: "CLIENT.DETACHED", ...client },
      { type: "CLIENT.RESUMED", ...client, outageMs: 1 },
      { type: "HOLD.SET", aheadMs: 0, atMs },
      { type: "NOTICE.DUE", notice: { about: "relay lost" }, audience: { to: "all" } },
    ],
    sees: ({ clients, held }) => [Math.min(Number(clients), 2), held],
  },
  { machine: holdMachine, inputs: [{ owner }] },
  { machine: absenceMachine, inputs: [{ owner, ...client, graceMs: 9_000 }] },
  {
    machine: inactivityMachine,
    inputs: [{ owner, atMs, timeoutMs: 10, warnAtMs: [5], capAtMs: null }],
    events: [{ type: "ACTIVITY", atMs }],
    sees: ({ given, stands }) => [given, stands],
  },
  {
    machine: noticesMachine,
    inputs: [{ owner }],
    events: [{ type: "INACTIVITY.WARNED", leftMs: 1, cause: "hard cap", atMs }],
    sees: ({ cause }) => cause,
  },
  {
    machine: pairingMachine,
    inputs: [
      { ...pairing, agent: null, waitMs: 0 },
      { ...pairing, agent: null, waitMs: 1 },
      { ...pairing, agent: { control: "c", facts: {} }, waitMs: 0 },
    ],
  },
  {
    machine: relayMachine,
    inputs: [
      { summonMs: 1, rememberMs: 1, agentsPerHolder: 1, lostMost: 1, pairing: pairingMachine },
    ],
    events: [
      { type: "AGENT.REGISTERED", ids: [], control: "c" },
      { type: "AGENT.REPORTED", id: "job", status: { clients: [] } },
      { type: "CLIENT.REPORTED", report: { ticket: "t" } },
    ],
  },
  {
    machine: uplinkMachine,
    inputs: [{ id: "job", patienceMs: 1 }],
    events: [
      { type: registered, output: { kind: "registered", jitter: 0 } },
      { type: registered, output: { kind: "refused", jitter: 0, byRelay: true } },
      { type: registered, output: { kind: "unreachable", jitter: 0 } },
    ],
    sees: ({ wasOnline }) => wasOnline,
  },
  {
    machine: redialMachine,
    inputs: [{ graceMs: 9_000, jitter: 0 }],
    events: ["dial", "move", "part"].flatMap((id) =>
      ["attached", "failed", "refused", "ended"].map((kind) => ({
        type: `xstate.done.actor.${id}`,
        output: { kind, why: "", jitter: 0 },
      })),
    ),
    sees: ({ isTold }) => isTold,
  },
];

/** The states that are met from one start, those that are only passed through among them. */
function met({ machine, events = [], sees = () => null }: Way, input: object): Set<string> {
  const bare = machine.events
    .filter((type) => type !== "*" && !events.some((event) => event.type === type))
    .map((type): Sent => ({ type }));
  const map = getAdjacencyMap(machine, {
    input,
    events: [...events, ...bare],
    serializeState: ({ value, context }) => JSON.stringify([value, sees(context)]),
    limit: 10_000,
  });
  const ids = new Set<string>();
  const note = (steps: ReturnType<typeof getInitialMicrosteps>): void => {
    for (const [state] of steps) for (const { id } of state._nodes) ids.add(id);
  };
  note(getInitialMicrosteps(machine, input));
  for (const { state, event } of adjacencyMapToArray(map))
    note(getMicrosteps(machine, state, event));
  return ids;
}

/** The ids of the states that no event leads to. */
function unreachable(way: Way): string[] {
  const all = getStateNodes(way.machine).map(({ id }) => id);
  const found = way.inputs.map((input) => met(way, input));
  return all.filter((id) => !found.some((ids) => ids.has(id)));
}

for (const way of ways)
  test(`${way.machine.id}: every state can be reached`, () =>
    assert.deepEqual(unreachable(way), []));

test("no machine is left out", () => {
  const folder = join(import.meta.dirname, "../../src/machines");
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const ids = texts.flatMap((text) => /\.createMachine\(\{\s*id: "(\w+)"/.exec(text)?.[1] ?? []);
  assert.deepEqual(ids.sort(), ways.map(({ machine }) => machine.id).sort());
});

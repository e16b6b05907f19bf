import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "../../src/machines/registry.ts";
import type {
  AgentFacts,
  AgentStatus,
  ClientReport,
  Holder,
  IdentityKey,
  LinkId,
  RendezvousId,
  Ticket,
} from "../../src/machines/vocabulary.ts";

const id = (text: string) => text as RendezvousId;
const memory = { rememberMs: 1_000, agentsPerHolder: 3, lostMost: 4 };

/** Each agent's key, link and id are of one name; its holder is the first letter. */
const registration = (name: string, atMs: number) => ({
  control: `link-${name}` as LinkId,
  address: name.slice(0, 1),
  holder: name.slice(0, 1) as Holder,
  can: [],
  voucher: null,
  asked: id(name),
  ids: [id(name)],
  key: name as IdentityKey,
  facts: {} as AgentFacts,
  atMs,
});

/** `+a1` comes, `-a1` is lost, `xa1` left; each a millisecond after the one before. */
function after(steps: string, from: Partial<typeof memory> = {}): string {
  const registry = new Registry({ ...memory, ...from });
  for (const [n, step] of steps.split(" ").entries()) {
    const name = step.slice(1);
    if (step.startsWith("+")) registry.admit(registration(name, n));
    else if (step.startsWith("-")) registry.lose(id(name), n);
    else registry.forget(id(name));
  }
  assert.equal(registry.size, registry.all.length);
  return registry.all.map(({ id, control }) => (control === null ? `(${id})` : id)).join(" ");
}

for (const [name, steps, left, from] of [
  ["one that is lost is remembered", "+a1 -a1", "(a1)", {}],
  ["one that left is not", "+a1 xa1 +b1", "b1", {}],
  ["lost ones count: the holder's oldest goes", "+a1 +a2 +a3 -a2 -a1 +a4", "(a1) a3 a4", {}],
  ["who is there is never forgotten", "+a1 +a2 +a3 +a4", "a1 a2 a3 a4", {}],
  ["another holder's count is another", "+a1 +a2 -a1 -a2 +b1 +b2", "(a1) (a2) b1 b2", {}],
  ["who comes back counts once", "+a1 +a2 +a3 -a1 +a1 -a1 +a1", "a1 a2 a3", {}],
  [
    "all lost: its own go first",
    "+a1 -a1 +b1 +b2 +b3 -b1 -b2 -b3 +b4 -b4",
    "(a1) (b2) (b3) (b4)",
    {},
  ],
  ["all lost, at the bound", "+a1 -a1 +b1 +b2 -b1 -b2", "(a1) (b2)", { lostMost: 2 }],
  [
    "those of others only where it has none",
    "+a1 -a1 +b1 -b1 +c1 -c1",
    "(b1) (c1)",
    { lostMost: 2 },
  ],
  ["time goes by: the first that are too old", "+a1 -a1 +b1 -b1 +b2", "(b1) b2", { rememberMs: 2 }],
] as const)
  test(`registry: ${name}`, () => assert.equal(after(steps, from), left));

test("registry: an agent that comes from elsewhere counts there", () => {
  const registry = new Registry({ ...memory, agentsPerHolder: 1 });
  registry.admit(registration("a1", 0));
  registry.lose(id("a1"), 1);
  registry.admit({ ...registration("a1", 2), holder: "b" as Holder });
  registry.admit(registration("a2", 3));
  registry.lose(id("a2"), 4);
  registry.admit(registration("b2", 5));
  assert.deepEqual(
    registry.all.map(({ id }) => id),
    ["a1", "a2", "b2"],
  );
});

test("registry: of a status the clients are not kept, for pairings know them", () => {
  const registry = new Registry(memory);
  registry.admit(registration("a1", 0));
  const status: AgentStatus = { state: "held", leftMs: 7, held: true, clients: [] };
  registry.note(id("a1"), status, 3);
  const { clients: _, ...kept } = status;
  assert.deepEqual(registry.get(id("a1"))?.status, kept);
});

/** As many steps as it looks at agents: a registration must not look at those that are not its own. */
test("registry: what one registration costs does not grow with the number of agents", () => {
  const looks = (agents: number): number => {
    const registry = new Registry({ rememberMs: 1e9, agentsPerHolder: 1e9, lostMost: 1e9 });
    for (let n = 0; n < agents; n += 1) {
      registry.admit(registration(`a${n}`, n));
      if (n % 2 === 0) registry.lose(id(`a${n}`), n);
    }
    let count = 0;
    const isRemembered = registry.isRemembered.bind(registry);
    registry.isRemembered = (agent, atMs) => {
      count += 1;
      return isRemembered(agent, atMs);
    };
    registry.admit(registration("z", agents));
    return count;
  };
  assert.equal(looks(2_000), looks(20));
});

test("clients without a link are counted as they come, go on and are forgotten with their agent", () => {
  const registry = new Registry(memory);
  registry.admit(registration("a1", 0));
  const client = (stream: number, detachedMs?: number): ClientReport => ({
    ticket: `ticket-${stream}` as Ticket,
    kinds: [],
    login: null,
    stream,
    detachedMs,
  });
  const say = (...clients: ClientReport[]): void =>
    registry.note(id("a1"), { state: "occupied", leftMs: 0, held: false, clients }, 0);
  say(client(1, 5), client(2), client(3, 7));
  assert.equal(registry.detached, 2);
  registry.noteResumed(id("a1"), 3);
  registry.noteResumed(id("a1"), 9);
  assert.equal(registry.detached, 1);
  registry.lose(id("a1"), 0);
  assert.equal(registry.detached, 1, "they may still be there");
  registry.forget(id("a1"));
  assert.equal(registry.detached, 0);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { createActor, fromPromise, SimulatedClock } from "xstate";
import { backoffMs, type Registered, uplinkMachine } from "../../src/machines/uplink.ts";
import type { RendezvousId } from "../../src/machines/vocabulary.ts";

for (const [failures, jitter, want] of [
  [1, 0, 250],
  [1, 1, 500],
  [2, 1, 1_000],
  [7, 1, 30_000],
  [7, 0, 15_000],
  [1_000, 1, 30_000],
] as const) {
  test(`back-off after ${failures} failures with jitter ${jitter}`, () =>
    assert.equal(backoffMs(failures, jitter), want));
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const ok: Registered = {
  kind: "registered",
  id: "job" as RendezvousId,
  clientUrl: "u",
  spreadMs: 0,
  jitter: 1,
};
const away: Registered = { kind: "unreachable", why: "refused", jitter: 1 };
const tls: Registered = {
  kind: "refused",
  code: "CONVERGE_TLS",
  why: "expired",
  jitter: 1,
  byRelay: false,
};
const policy: Registered = {
  kind: "refused",
  code: "CONVERGE_REFUSED",
  why: "no",
  jitter: 1,
  byRelay: true,
};

function start(answers: Registered[]) {
  const clock = new SimulatedClock();
  let breakLink: () => void = () => {};
  const actor = createActor(
    uplinkMachine.provide({
      actors: {
        register: fromPromise(() => Promise.resolve(answers.shift() ?? away)),
        standing: fromPromise(
          () =>
            new Promise<void>((resolve) => {
              breakLink = resolve;
            }),
        ),
      },
    }),
    { clock, input: { id: "job" as RendezvousId, patienceMs: 60_000 } },
  );
  const said: string[] = [];
  for (const type of ["registered", "lost", "retrying"] as const)
    actor.on(type, () => said.push(type));
  actor.start();
  const pass = async (ms: number): Promise<void> => {
    for (let gone = 0; gone < ms; gone += 500) {
      clock.increment(500);
      await settled();
    }
  };
  return { actor, said, pass, breakLink: () => breakLink() };
}

test("registers, loses the link, comes back", async () => {
  const { actor, said, pass, breakLink } = start([ok, ok]);
  await settled();
  breakLink();
  await settled();
  assert.deepEqual(actor.getSnapshot().value, { open: "backingOff" });
  await pass(500);
  assert.deepEqual(actor.getSnapshot().value, { open: "online" });
  assert.deepEqual(said, ["registered", "lost", "registered"]);
});

test("a relay that takes it and drops it is dialled ever more seldom; one that kept it is not", async () => {
  const { said, pass, breakLink } = start(Array.from({ length: 100 }, () => ok));
  await settled();
  for (let n = 0; n < 120; n += 1) {
    breakLink();
    await pass(500);
  }
  const registered = (): number => said.filter((what) => what === "registered").length;
  assert.equal(registered(), 7); // at once, and after 0.5, 1, 2, 4, 8 and 16 s
  await pass(30_000 + 10_000);
  breakLink();
  await settled();
  await pass(500);
  assert.equal(registered(), 9);
});

test("a relay that was never there is given a minute", async () => {
  const { actor, pass } = start([]);
  await settled();
  await pass(59_500);
  assert.equal(actor.getSnapshot().status, "active");
  await pass(500);
  assert.deepEqual(actor.getSnapshot().output, { kind: "unreachable", why: "refused" });
});

test("a relay that was there is looked for without end", async () => {
  const { actor, pass, breakLink } = start([ok]);
  await settled();
  breakLink();
  await settled();
  await pass(3 * 60 * 60_000);
  assert.equal(actor.getSnapshot().status, "active");
});

for (const [name, answer] of [
  ["a refusal by policy", policy],
  ["a certificate that is not accepted", tls],
] as const) {
  test(`${name} ends it at once`, async () => {
    const { actor } = start([answer]);
    await settled();
    assert.deepEqual(actor.getSnapshot().output, answer);
  });
}

test("a relay that refuses later is obeyed", async () => {
  const { actor, pass, breakLink } = start([ok, policy]);
  await settled();
  breakLink();
  await settled();
  await pass(3_000);
  assert.deepEqual(actor.getSnapshot().output, policy);
});

test("what answers in the relay's place for a while is not", async () => {
  const { actor, pass, breakLink } = start([ok, { ...policy, byRelay: false }, ok]);
  await settled();
  breakLink();
  await settled();
  await pass(3_000);
  assert.deepEqual(actor.getSnapshot().value, { open: "online" });
});

test("a certificate that fails later is a fault that may heal", async () => {
  const { actor, pass, breakLink } = start([ok, tls, ok]);
  await settled();
  breakLink();
  await settled();
  await pass(3_000);
  assert.deepEqual(actor.getSnapshot().value, { open: "online" });
});

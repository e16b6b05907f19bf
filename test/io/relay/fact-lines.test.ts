import assert from "node:assert/strict";
import { test } from "node:test";
import type { RelayFact, refusalReasons } from "../../../src/actors/observe/facts.ts";
import { keysMost } from "../../../src/io/line-budget.ts";
import { openFactLines, refusalsMost, sessionsMost } from "../../../src/io/relay/fact-lines.ts";
import type { LinkId, RendezvousId } from "../../../src/machines/vocabulary.ts";
import { type Lines, lines } from "../../support/lines.ts";
import { faultOf } from "../../support/log-schema.ts";
import { HandClock } from "../../support/processes.ts";

const refused = (address: string, reason: (typeof refusalReasons)[number]): RelayFact => ({
  type: "connection refused",
  reason,
  address,
  path: "/",
  status: 403,
  said: "no",
});
const id = "job" as RendezvousId;
const of = { session: "data-1" as LinkId, id, client: "192.0.2.1" };
const ended = (comment: string | null): RelayFact => ({
  type: "client session ended",
  ...of,
  since: "2026-01-01T00:00:00.000Z",
  seconds: 1,
  outcome: "served",
  endedBy: "client",
  clientBytes: 0,
  agentBytes: 0,
  pauses: 0,
  kinds: [],
  login: comment === null ? null : { fingerprint: "SHA256:x", comment },
  agent: null,
});

function open() {
  const clock = new HandClock();
  const log = lines();
  const factLines = openFactLines(log, clock);
  const write = (fact: RelayFact, times: number): void => {
    for (let n = 0; n < times; n += 1) factLines.write(fact);
  };
  return { clock, log, write, close: factLines.close };
}
const countOf = ({ lines }: Lines, message: string): number =>
  lines.filter((line) => line.message === message).length;
const leftOut = ({ lines }: Lines): Record<string, unknown>[] =>
  lines.filter(({ message }) => message === "lines left out").map(({ fields }) => fields);

for (const [name, fact, most, from, reason] of [
  ["a refusal", refused("2001:db8::1", "origin"), refusalsMost, "2001:db8:0:0::/64", "origin"],
  [
    "a malformed message",
    { type: "control message malformed", id, address: "192.0.2.1", why: "not JSON" },
    refusalsMost,
    "192.0.2.1",
    null,
  ],
  [
    "a knock",
    { type: "client session started", ...of, waitSeconds: 0 },
    sessionsMost,
    "192.0.2.1",
    null,
  ],
  ["a session without a login", ended(null), sessionsMost, "192.0.2.1", "served"],
  ["a hold", { type: "agent held", id }, sessionsMost, "job", null],
] as const)
  test(`of ${name} the first ${most} in a minute are lines, and the others a count`, () => {
    const { clock, log, write } = open();
    for (let minute = 0; minute < 2; minute += 1) {
      write(fact, most + 7);
      clock.increment(60_000);
    }
    assert.equal(countOf(log, fact.type), 2 * most);
    const count = { line: fact.type, reason, from, times: 7 };
    assert.deepEqual(leftOut(log), [count, count]);
    for (const fields of leftOut(log)) {
      const said = { time: new Date(0).toISOString(), level: "info", program: "converge" };
      assert.equal(faultOf({ ...said, msg: "lines left out", ...fields }), null);
    }
  });

test("a session with a login is always told, and one address is not another", () => {
  const { log, write } = open();
  write(ended("dev@laptop"), 200);
  write(refused("192.0.2.1", "origin"), 200);
  write(refused("192.0.2.1", "token"), 1);
  write(refused("192.0.2.2", "origin"), 1);
  assert.equal(countOf(log, "client session ended"), 200);
  assert.equal(countOf(log, "connection refused"), refusalsMost + 2);
});

test("a quiet minute tells nothing, and the end tells what was counted", () => {
  const { clock, log, write, close } = open();
  write(refused("192.0.2.1", "origin"), 1);
  clock.increment(60_000);
  assert.deepEqual(leftOut(log), []);
  write(refused("192.0.2.1", "origin"), refusalsMost + 1);
  close();
  assert.deepEqual(
    leftOut(log).map(({ times }) => times),
    [1],
  );
  write(refused("192.0.2.1", "origin"), refusalsMost + 1);
  clock.increment(120_000);
  assert.equal(leftOut(log).length, 1, "nothing is counted any more");
});

test("however many addresses there are, the lines of a minute have a bound, and none is uncounted", () => {
  const { clock, log, write } = open();
  const addresses = 3 * keysMost;
  for (let n = 0; n < addresses; n += 1)
    write(refused(`2001:db8:0:${n.toString(16)}::1`, "origin"), 2);
  clock.increment(60_000);
  const written = countOf(log, "connection refused");
  assert.equal(written, 2 * keysMost);
  assert.deepEqual(leftOut(log), [
    {
      line: "connection refused",
      reason: "origin",
      from: "others",
      times: 2 * addresses - written,
    },
  ]);
});

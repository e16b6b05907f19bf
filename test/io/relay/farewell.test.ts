/** What a client's link is closed with, for each way in which a pairing can end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { closeCodes } from "../../../src/io/protocol/wire.ts";
import { farewell } from "../../../src/io/relay/ports.ts";
import type { PairingOutcome } from "../../../src/machines/vocabulary.ts";

const outcomes: [PairingOutcome, number][] = [
  [
    { kind: "served", report: { clientBytes: 0, pauses: 0, agentBytes: 0, endedBy: "client" } },
    closeCodes.done,
  ],
  [{ kind: "client gave up" }, closeCodes.done],
  [{ kind: "no such rendezvous" }, closeCodes.noSuchRendezvous],
  [{ kind: "agent silent" }, closeCodes.agentSilent],
  [{ kind: "broken" }, closeCodes.internal],
];
for (const [outcome, code] of outcomes)
  test(`a client hears of "${outcome.kind}" as ${code}`, () => {
    const said = farewell({ outcome, past: null, isAgain: false }, 0);
    assert.equal(said.code, code);
    assert.ok(Buffer.byteLength(said.reason) <= 123, "RFC 6455 5.5: a close frame holds no more");
  });

const day = 24 * 60 * 60_000;
for (const [kind, ago, want] of [
  ["inactivity", 20_000, "it ended 20s ago: nobody was active"],
  ["last client left", 61_000, "it ended 1m 1s ago: the last client left"],
  ["hard cap", day - 1, "it ended 1d ago: its longest duration was over"],
  ["interrupted", 0, "it ended 0s ago: it was told to stop"],
  [null, 3_599_000, "it ended 59m 59s ago"],
] as const)
  test(`who comes too late hears that ${want}`, () => {
    const past = { atMs: 1_000, kind };
    const outcome = { kind: "no such rendezvous" } as const;
    const { code, reason } = farewell({ outcome, past, isAgain: false }, 1_000 + ago);
    assert.equal(code, closeCodes.noSuchRendezvous);
    const again = farewell({ outcome, past, isAgain: true }, 1_000 + ago);
    assert.deepEqual(again, { code: closeCodes.agentEnded, reason }, "who was in is not to wait");
    assert.equal(reason, `no agent is registered under this id; ${want}`);
    assert.ok(Buffer.byteLength(reason) <= 123, "RFC 6455 5.5: a close frame holds no more");
  });

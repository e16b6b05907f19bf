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
    const said = farewell(outcome);
    assert.equal(said.code, code);
    assert.ok(Buffer.byteLength(said.reason) <= 123, "RFC 6455 5.5: a close frame holds no more");
  });

/**
 * Replay: beside a plain list of every byte that was ever sent, whatever is pushed, freed and asked for.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Replay, type Sent } from "../../../src/io/resume/replay.ts";

/** Of parts of those lengths; each byte says where in the stream it stands. */
function sentAt(place: number, lengths: readonly number[]): Sent {
  let at = place;
  const parts = lengths.map((length) => {
    const part = Uint8Array.from({ length }, (_, n) => (at + n) % 251);
    at += length;
    return part;
  });
  return { parts, length: at - place };
}

const bytesOf = (all: readonly Sent[]): Buffer => Buffer.concat(all.flatMap(({ parts }) => parts));

/** What keeping a part costs beside its bytes. */
const partBytes = 96;

type Act =
  | { readonly kind: "push"; readonly lengths: readonly number[] }
  /** Where, as a share of what is kept; below 0 and above 1 there is no such place. */
  | { readonly kind: "free"; readonly share: number; readonly beside: number }
  | { readonly kind: "clear" };

const push = fc
  .array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 4 })
  .map((lengths): Act => ({ kind: "push", lengths }));
const free = fc
  .tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: -3, max: 3 }))
  .map(([share, beside]): Act => ({ kind: "free", share, beside }));
const acts = fc.array(
  fc.oneof(
    { arbitrary: push, weight: 12 },
    { arbitrary: free, weight: 6 },
    { arbitrary: fc.constant<Act>({ kind: "clear" }), weight: 1 },
  ),
  { maxLength: 150 },
);

test("replay: whatever is done, it is what a plain list would be", () =>
  fc.assert(
    fc.property(acts, (all) => {
      const replay = new Replay();
      let kept: { readonly from: number; readonly sent: Sent }[] = [];
      let freed = 0;
      let sent = 0;
      for (const act of all) {
        if (act.kind === "push") {
          const record = sentAt(sent, act.lengths);
          replay.push(record);
          kept.push({ from: sent, sent: record });
          sent += record.length;
        } else if (act.kind === "free") {
          const place = freed + Math.round(act.share * (sent - freed)) + act.beside;
          const isPlace = place >= freed && place <= sent;
          assert.equal(replay.free(place), isPlace);
          if (isPlace) {
            freed = place;
            kept = kept.filter((one) => one.from + one.sent.length > place);
          }
        } else {
          replay.clear();
          freed = sent;
          kept = [];
        }
        assert.deepEqual([replay.sent, replay.freed], [sent, freed]);
        const left = replay.left();
        const want = Uint8Array.from({ length: sent - freed }, (_, n) => (freed + n) % 251);
        assert.deepEqual(bytesOf(left), Buffer.from(want));
        for (const one of left)
          assert.equal(
            one.length,
            one.parts.reduce((sum, part) => sum + part.length, 0),
          );
        const cost = kept.reduce(
          (sum, one) => sum + one.sent.length + partBytes * one.sent.parts.length,
          0,
        );
        assert.equal(replay.cost, cost);
      }
    }),
    { numRuns: 500 },
  ));

for (const [name, place] of [
  ["behind what was freed", 9],
  ["of nothing at all", 0],
  ["below nothing", -1],
  ["ahead of what was sent", 31],
  ["farther than any stream", 2 ** 48 - 1],
] as const)
  test(`replay: a place ${name} changes nothing`, () => {
    const replay = new Replay();
    for (const at of [0, 10, 20]) replay.push(sentAt(at, [10]));
    assert.equal(replay.free(10), true);
    const before = [replay.sent, replay.freed, replay.cost, replay.left()];
    assert.equal(replay.free(place), false);
    assert.deepEqual([replay.sent, replay.freed, replay.cost, replay.left()], before);
  });

test("replay: what is freed twice at the same place, and all of it", () => {
  const replay = new Replay();
  replay.push(sentAt(0, [10]));
  assert.deepEqual([replay.free(10), replay.free(10)], [true, true]);
  assert.deepEqual([replay.left(), replay.cost], [[], 0]);
});

test("replay: what is kept is what was pushed, and not a copy; a cut one shows the same bytes", () => {
  const replay = new Replay();
  const record = sentAt(0, [4, 0, 4, 4]);
  replay.push(record);
  assert.equal(replay.left()[0], record);
  replay.free(6);
  const [rest] = replay.left();
  assert.deepEqual(
    rest?.parts.map(({ length }) => length),
    [2, 4],
  );
  assert.equal(rest?.parts[1], record.parts[3]);
  assert.equal(rest?.parts[0]?.buffer, record.parts[2]?.buffer);
  // Some of a record costs what all of it does: it is in memory as long.
  assert.equal(replay.cost, 12 + 4 * partBytes);
});

test("replay: the ring grows wherever its first stands, and nothing is lost", () => {
  for (let first = 0; first <= 16; first += 1) {
    const replay = new Replay();
    for (let n = 0; n < first; n += 1) replay.push(sentAt(n, [1]));
    replay.free(first);
    for (let n = first; n < first + 100; n += 1) replay.push(sentAt(n, [1]));
    const want = Array.from({ length: 100 }, (_, n) => first + n);
    assert.deepEqual([...bytesOf(replay.left())], want, `from ${first}`);
    assert.equal(replay.cost, 100 * (1 + partBytes));
  }
});

test("replay: small parts cost more than their bytes", () => {
  const replay = new Replay();
  replay.push(
    sentAt(
      0,
      Array.from({ length: 1_000 }, () => 1),
    ),
  );
  assert.equal(replay.cost, 1_000 * (1 + partBytes));
  replay.clear();
  assert.deepEqual([replay.cost, replay.sent, replay.freed], [0, 1_000, 1_000]);
});

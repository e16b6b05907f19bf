/**
 * Any order: whatever is written, lost and resumed between two ends of a stream, what arrives is what was
 * written, once.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { closings } from "../../../src/io/resume/records.ts";
import { otherOf, pair, type Side, sides } from "../../support/resumable-pair.ts";

type Act =
  | { readonly kind: "write"; readonly side: Side; readonly length: number }
  | { readonly kind: "deliver"; readonly nth: number; readonly side: Side; readonly bytes: number }
  | { readonly kind: "lose"; readonly nth: number }
  | { readonly kind: "dial" }
  | { readonly kind: "wait"; readonly ms: number };

const side = fc.constantFrom<Side>(...sides);
/** Mostly the newest link, and at times one before it. */
const nth = fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, fc.nat({ max: 3 }));
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("write"), side, length: fc.nat({ max: 300 }) }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant("deliver"),
      nth,
      side,
      bytes: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 600 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("lose"), nth }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("dial") }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.integer({ min: 1, max: 1_500 }) }),
  },
);

function isExactSoFar({ ends, written }: ReturnType<typeof pair>): void {
  for (const to of sides) {
    const came = ends[to].heard();
    assert.deepEqual(came, written[otherOf[to]].subarray(0, came.length));
    assert.equal(ends[to].stream.place, came.length);
  }
}

function perform(both: ReturnType<typeof pair>, one: Act): void {
  if (one.kind === "write") both.write(one.side, one.length);
  else if (one.kind === "deliver") both.deliver(one.nth, one.side, one.bytes);
  else if (one.kind === "lose") both.lose(one.nth);
  else if (one.kind === "dial") both.dial();
  else both.clock.increment(one.ms);
}

test("any order: what arrives is what was written, once and in order, both ways", () =>
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
      const both = pair();
      for (const one of acts) {
        perform(both, one);
        isExactSoFar(both);
      }
      both.settle();
      for (const to of sides)
        assert.deepEqual(both.ends[to].heard(), both.written[otherOf[to]], `to the ${to}`);
      // All is acked in the end, and then nothing is kept.
      assert.deepEqual(
        sides.map((of) => both.ends[of].keep.usedBytes),
        [0, 0],
      );
    }),
    { numRuns: 400 },
  ));

test("any order: a close comes after all that was written before it, however many links that takes", () =>
  fc.assert(
    fc.property(
      fc.array(act, { maxLength: 60 }),
      fc.array(act, { maxLength: 60 }),
      side,
      (before, after, closer) => {
        const both = pair();
        for (const one of before) perform(both, one);
        both.ends[closer].stream.close(closings.done);
        for (const one of after) {
          perform(both, one);
          isExactSoFar(both);
          if (both.ends[otherOf[closer]].told.length > 0) break;
        }
        both.settle();
        assert.deepEqual(both.ends[otherOf[closer]].told, ["closed 0"]);
        assert.deepEqual(both.ends[otherOf[closer]].heard(), both.written[closer]);
      },
    ),
    { numRuns: 200 },
  ));

import assert from "node:assert/strict";
import { test } from "node:test";
import { Bucket, Buckets } from "../../../../src/io/relay/admission/rates.ts";
import { HandClock } from "../../../support/processes.ts";

test("so many at once, then so many a second, and no more saved up than at the start", () => {
  const clock = new HandClock();
  const bucket = new Bucket(clock, { most: 3, perSecond: 2 });
  const tries = (n: number): number =>
    Array.from({ length: n }, () => bucket.take()).filter(Boolean).length;
  assert.equal(tries(5), 3);
  clock.increment(499);
  assert.equal(tries(1), 0);
  clock.increment(1);
  assert.equal(tries(2), 1);
  clock.increment(60_000);
  assert.equal(tries(9), 3);
});

test("what is paid and not there is owed, and is filled up first", () => {
  const clock = new HandClock();
  const bucket = new Bucket(clock, { most: 10, perSecond: 10 });
  assert.equal(bucket.pay(25), -15);
  assert.equal(bucket.take(), false);
  clock.increment(1_500);
  assert.equal(bucket.left, 0);
  clock.increment(100);
  assert.equal(bucket.take(), true);
});

test("of many keys the one that was quiet longest is forgotten; to look is to be quiet", () => {
  const buckets = new Buckets<number>(new HandClock(), { most: 2, perSecond: 0 });
  for (let key = 0; key < 10_000; key += 1) buckets.of(key).take();
  buckets.of(0).take();
  assert.deepEqual([buckets.leftOf(0), buckets.leftOf(1), buckets.leftOf(2)], [0, 1, 1]);
  buckets.of(10_000).take();
  assert.deepEqual([buckets.leftOf(0), buckets.leftOf(1), buckets.leftOf(2)], [0, 2, 1]);
});

/** Order: where rows stand, the same at the relay and in a browser. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inOrder, type Order, orders, type Standing } from "../../../src/actors/observe/order.ts";

const at = Date.UTC(2026, 10, 28);
const rows: readonly (Standing & { id: string })[] = [
  { id: "a", isOccupied: false, sinceMs: at, expiresMs: at + 9_000 },
  { id: "b", isOccupied: true, sinceMs: at - 60_000, expiresMs: at + 5_000 },
  { id: "c", isOccupied: true, sinceMs: null, expiresMs: null }, // somebody waits for it
  { id: "d", isOccupied: false, sinceMs: at + 3_000, expiresMs: null },
  { id: "e", isOccupied: false, sinceMs: at, expiresMs: at + 9_000 },
];
const ids = (order: Order, from?: number, to?: number): string =>
  inOrder(rows, order, (row) => row, from, to)
    .map(({ id }) => id)
    .join("");

for (const [order, want] of [
  ["active", "cbdae"],
  ["newest", "cdaeb"],
  ["ending", "baecd"],
  ["id", "abcde"],
] as const)
  test(`${order}: ${want}, and pages of it are its parts`, () => {
    assert.equal(ids(order), want);
    assert.deepEqual([ids(order, 0, 2), ids(order, 2, 4), ids(order, 4, 6)].join(""), want);
  });

test("as many as there can be keep their places, in every order", () => {
  const most = 2_000_000;
  const all = Array.from({ length: most }, (_, i) => i);
  const standing = (i: number): Standing => ({
    isOccupied: i % 2 === 0,
    sinceMs: Date.UTC(2053) - i * 1_000,
    expiresMs: Date.UTC(2053) + i * 1_000,
  });
  for (const order of orders) {
    const want = order === "active" ? [2, 4, 6] : [1, 2, 3];
    assert.deepEqual(inOrder(all, order, standing, 1, 4), want, order);
  }
});

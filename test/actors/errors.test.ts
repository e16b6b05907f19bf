/** Errors: a full sentence each, whatever is put in. Certificates are in test/io/dial/failures.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvergeError, reasonOf } from "../../src/actors/errors.ts";

test("a sentence takes in the particular as it is", () => {
  const cause = new Error("why");
  const error = new ConvergeError("CONVERGE_REFUSED", "it costs $& and $1, %s", cause);
  assert.equal(error.message, "The relay refused: it costs $& and $1, %s");
  assert.deepEqual(
    [error.name, error.code, error.particular, error.cause],
    ["ConvergeError", "CONVERGE_REFUSED", "it costs $& and $1, %s", cause],
  );
});

const inner = [new Error("refused by ::1"), new Error("refused by 127.0.0.1")];
for (const [name, thrown, want] of [
  ["an error", new Error("no such file"), "no such file"],
  ["an error of ours", new ConvergeError("CONVERGE_REFUSED", "no"), "The relay refused: no"],
  ["what is no error", "no error at all", "no error at all"],
  ["nothing", undefined, "undefined"],
  ["one error for each address", new AggregateError(inner), "refused by ::1; refused by 127.0.0.1"],
  [
    "several errors with a word of their own",
    new AggregateError(inner, "all failed"),
    "all failed",
  ],
  ["a name that every object has", Object.assign(new Error("x"), { code: "toString" }), "x"],
] as const)
  test(`the reason of ${name}: ${want}`, () => assert.equal(reasonOf(thrown), want));

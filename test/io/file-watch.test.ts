/** File watch: each change is told once, and nothing else is. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { markOf, watchFiles } from "../../src/io/file-watch.ts";
import { handClock } from "../support/clock.ts";
import { until } from "../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "converge-watch-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a save, a rename over it, its end and its return are told once each, of every file", async () => {
  const clock = handClock();
  const [first, second] = [join(folder, "first"), join(folder, "second")] as const;
  writeFileSync(first, "one");
  let told = 0;
  let looks = 0;
  const watch = watchFiles(
    [first, second],
    clock,
    () => {
      told += 1;
    },
    (path) => {
      looks += 1;
      return markOf(path);
    },
  );
  await watch.ready;
  const steps: [string, () => void][] = [
    ["a save", () => writeFileSync(first, "another")],
    [
      "a rename over it",
      () => {
        writeFileSync(join(folder, "new"), "another");
        renameSync(join(folder, "new"), first);
      },
    ],
    ["one that is made", () => writeFileSync(second, "two")],
    ["one that goes", () => rmSync(first)],
    ["its return", () => writeFileSync(first, "one")],
  ];
  for (const [n, [what, act]] of steps.entries()) {
    act();
    await clock.advance(1_000);
    await until(what, () => told === n + 1);
    await clock.advance(3_000); // nothing more of it
  }
  watch.close();
  const looked = looks;
  rmSync(first);
  await clock.advance(3_000);
  assert.deepEqual([told, looks], [steps.length, looked], "a watch that is closed looks no more");
  clock.stop();
});

/** Fresh: no test is handed a file of dist that is older than the sources. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, test } from "node:test";
import { fresh, root } from "./support/shipped.ts";

const dir = mkdtempSync(join(tmpdir(), "converge-test-"));
after(() => rmSync(dir, { recursive: true }));

test("what is not there is refused in a sentence, and what is older than the sources", () => {
  const file = join(dir, "made");
  const made = relative(root, file);
  assert.throws(() => fresh(made), { message: `${file} is missing: run npm run build first` });
  writeFileSync(file, "");
  assert.equal(fresh(made), file);
  utimesSync(file, 0, 0);
  assert.throws(() => fresh(made), {
    message: `${made} is older than the sources: run node scripts/build.mjs`,
  });
});

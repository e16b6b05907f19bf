/** Downloads: a folder's files with their hashes, each read once however many ask at a time. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { downloadsIn } from "../../../../src/io/relay/http/downloads.ts";

const folder = mkdtempSync(join(tmpdir(), "converge-downloads-"));
after(() => rmSync(folder, { recursive: true }));
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const filesOpen = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`);
    } catch {
      return false; // closed meanwhile
    }
  }).length;

test("a file is read once for all who ask at the same time, and again when it has changed", async () => {
  const first = "x".repeat(20_000_000);
  writeFileSync(join(folder, "agent.cjs"), first);
  const list = downloadsIn(folder);
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, filesOpen());
  });
  const all = await Promise.all(Array.from({ length: 100 }, list));
  clearInterval(watching);
  const sizes = { bytes: first.length, wireBytes: first.length };
  const want = [{ name: "agent.cjs", ...sizes, sha256: sha256(first) }];
  for (const files of all) assert.deepEqual(files, want);
  assert.equal(most, 1);
  writeFileSync(join(folder, "agent.cjs"), "another");
  assert.deepEqual(await list(), [
    { name: "agent.cjs", bytes: 7, wireBytes: 7, sha256: sha256("another") },
  ]);
});

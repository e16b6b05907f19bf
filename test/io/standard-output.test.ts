/** Lines to a place that does not take them: none is torn, and those that are lost are counted. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lineOutput } from "../../src/io/standard-output.ts";
import { until } from "../support/until.ts";

const dir = mkdtempSync(join(tmpdir(), "converge-test-"));
const mounts: string[] = [];
after(() => {
  for (const mount of mounts) execFileSync("umount", [mount]);
  rmSync(dir, { recursive: true, force: true });
});

const line = (n: number): string => `line ${String(n).padStart(6, "0")} ${"x".repeat(50)}\n`;
const isWhole = (text: string): boolean => /^line \d{6} x{50}$/.test(text);

/** How many lines are there, and how many they say are missing. */
function count(text: string): { whole: number; lost: number; odd: string[] } {
  const lines = text.trimEnd().split("\n");
  const told = lines.map((each) =>
    Number(/^converge: (\d+) lines were lost here$/.exec(each)?.[1]),
  );
  return {
    whole: lines.filter(isWhole).length,
    lost: told.reduce((sum, n) => sum + (n || 0), 0),
    odd: lines.filter((each, n) => !isWhole(each) && !told[n]),
  };
}

test("a pipe that nobody reads for a while: each line arrives whole or is counted", async () => {
  const path = join(dir, "pipe");
  execFileSync("mkfifo", [path]);
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const write = openSync(path, constants.O_WRONLY);
  const output = lineOutput(write);
  for (let n = 0; n < 20_000; n += 1) output.write(line(n));
  const room = Buffer.alloc(64 * 1024);
  let text = "";
  const take = (): void => {
    try {
      for (let bytes = -1; bytes !== 0; ) {
        bytes = readSync(read, room);
        text += room.toString("utf8", 0, bytes);
      }
    } catch {
      // EAGAIN: no more for now
    }
  };
  await until("the count", () => {
    take();
    return text.includes("lost");
  });
  await output.drained(1_000);
  take();
  const { whole, lost, odd } = count(text);
  assert.deepEqual(odd, []);
  assert.equal(whole + lost, 20_000);
  // What the pipe holds, and 256 KiB.
  assert.ok(whole >= 4_500 && whole <= 5_500, `${whole} lines were kept`);
  for (const fd of [read, write]) closeSync(fd);
});

test("a disk that is full for a while: one line is torn, and each is there or counted", () => {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", dir]);
  mounts.push(dir);
  const filler = join(dir, "filler");
  writeFileSync(filler, Buffer.alloc(32 * 1024));
  const fd = openSync(join(dir, "log"), "a");
  const output = lineOutput(fd);
  for (let n = 0; n < 2_000; n += 1) output.write(line(n));
  rmSync(filler);
  for (let n = 0; n < 10; n += 1) output.write(line(n));
  const { whole, lost, odd } = count(readFileSync(join(dir, "log"), "utf8"));
  assert.ok(odd.length <= 1, odd.join("\n"));
  assert.equal(whole + lost, 2_010);
  closeSync(fd);
});

for (const [name, open] of [
  ["takes nothing (ENOSPC)", () => openSync("/dev/full", "w")],
  ["is closed (EBADF)", () => 999],
  ["may only be read (EBADF)", () => openSync("/dev/null", "r")],
  ["is a folder (EISDIR)", () => openSync("/", "r")],
] as const)
  test(`a descriptor that ${name}: nothing is thrown, and nothing is waited for`, async () => {
    const output = lineOutput(open());
    for (let n = 0; n < 1_000; n += 1) output.write(line(n));
    await output.drained(10);
  });

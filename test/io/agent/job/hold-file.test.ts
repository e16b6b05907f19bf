import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SimulatedClock } from "xstate";
import { openHoldFile } from "../../../../src/io/agent/job/hold-file.ts";
import type { HoldEvent } from "../../../../src/machines/hold.ts";

const folder = mkdtempSync(join(tmpdir(), "converge-hold-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const startMs = 1_700_000_000_000;

function open(name: string) {
  const clock = new SimulatedClock();
  const timed = Object.assign(clock, { wall: () => startMs + clock.now() });
  const file = join(folder, name);
  const hold = openHoldFile(file, startMs, timed);
  const events: HoldEvent[] = [];
  const subscription = hold.changes.subscribe((event) => events.push(event));
  return {
    file,
    hold,
    look: () => {
      clock.increment(1_000);
      return events.splice(0);
    },
    close: () => subscription.unsubscribe(),
  };
}
const touch = (file: string, ms: number): void => {
  writeFileSync(file, "");
  utimesSync(file, ms / 1_000, ms / 1_000);
};

test("made, touched ahead, removed", () => {
  const { file, look, close } = open("a");
  assert.deepEqual(look(), []);
  touch(file, startMs + 2_000);
  assert.deepEqual(look(), [{ type: "FILE.SEEN", aheadMs: 0, atMs: 2_000 }]);
  assert.deepEqual(look(), []);
  touch(file, startMs + 7_204_000);
  assert.deepEqual(look(), [{ type: "FILE.SEEN", aheadMs: 7_200_000, atMs: 4_000 }]);
  rmSync(file);
  assert.deepEqual(look(), [{ type: "FILE.GONE", atMs: 5_000 }]);
  close();
});

test("a file from before the start is a leftover until it is touched", () => {
  touch(join(folder, "b"), startMs - 1);
  const { file, hold, look, close } = open("b");
  assert.equal(hold.isLeftover, true);
  assert.deepEqual(look(), []);
  touch(file, startMs + 2_000);
  assert.deepEqual(look(), [{ type: "FILE.SEEN", aheadMs: 0, atMs: 2_000 }]);
  close();
});

test("a leftover that is removed was never there", () => {
  touch(join(folder, "c"), startMs - 1);
  const { file, look, close } = open("c");
  rmSync(file);
  assert.deepEqual(look(), []);
  close();
});

test("a folder counts, a link to nothing does not, and asking looks at once", () => {
  const made = open("d");
  mkdirSync(made.file);
  utimesSync(made.file, startMs / 1_000, startMs / 1_000);
  made.hold.look();
  assert.equal(made.look().length, 1);
  made.close();
  symlinkSync(join(folder, "nothing"), join(folder, "e"));
  const linked = open("e");
  assert.deepEqual(linked.look(), []);
  linked.close();
});

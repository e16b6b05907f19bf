/**
 * Kept: how much one end keeps of what the other has not taken, and how what is written goes out.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ackOf, closings, dataMostBytes } from "../../../src/io/resume/records.ts";
import { keptMostBytes, type Resumable } from "../../../src/io/resume/resumable.ts";
import { attached, kiB, recordedLeg, write } from "../../support/recorded-leg.ts";
import { keepOf } from "../../support/resumable-end.ts";

describe("resumable: how much is kept", () => {
  const piece = new Uint8Array(16 * kiB);
  const cost = piece.length + 96;
  const fill = (end: { stream: Resumable }): number => {
    let pieces = 0;
    while (!end.stream.isFull) {
      write(end, piece);
      pieces += 1;
      assert.ok(pieces < 1_000);
    }
    return pieces;
  };

  for (const [name, isOnLink] of [
    ["on a link that takes all", true],
    ["without a link", false],
  ] as const)
    test(`4 MiB ${name}, and there is room again at three quarters`, () => {
      const end = attached();
      if (!isOnLink) end.stream.detach(end.leg);
      const pieces = fill(end);
      assert.equal(pieces, Math.ceil(keptMostBytes / cost));
      const next = isOnLink ? end : recordedLeg();
      if (!isOnLink) assert.ok(end.stream.attach(next.leg, next.reader, 0));
      const enough = Math.ceil((pieces * cost - keptMostBytes * 0.75) / cost);
      next.say(ackOf((enough - 1) * piece.length));
      assert.deepEqual([end.stream.isFull, end.told], [true, []]);
      next.say(ackOf(enough * piece.length));
      assert.deepEqual([end.stream.isFull, end.told], [false, ["drained"]]);
      next.say(ackOf(pieces * piece.length));
      assert.deepEqual([end.told, end.keep.usedBytes], [["drained"], 0]);
    });

  test("256 KiB while all streams keep too much, and 4 MiB again after that", () => {
    const keep = keepOf(8 * kiB * kiB);
    const others = [attached(keep), attached(keep), attached(keep)];
    for (const other of others) fill(other);
    const few = 256 * kiB;
    const end = attached(keep);
    const pieces = fill(end);
    assert.equal(pieces, Math.ceil(few / cost));
    const enough = Math.ceil((pieces * cost - few * 0.75) / cost);
    end.say(ackOf((enough - 1) * piece.length));
    assert.deepEqual(end.told, []);
    end.say(ackOf(enough * piece.length));
    assert.deepEqual(end.told, ["drained"]);
    for (const other of others) other.stream.finish();
    assert.equal(keep.usedBytes, (pieces - enough) * cost);
    fill(end);
    assert.ok(keep.usedBytes >= keptMostBytes);
    end.stream.finish();
    assert.equal(keep.usedBytes, 0);
  });

  test("a resume that frees enough makes room too", () => {
    const end = attached();
    const pieces = fill(end);
    end.stream.detach(end.leg);
    const next = recordedLeg();
    assert.ok(end.stream.attach(next.leg, next.reader, pieces * piece.length));
    assert.deepEqual([end.told, next.written()], [["drained"], ""]);
  });

  test("small parts count for more than their bytes", () => {
    const end = attached();
    let writes = 0;
    for (; !end.stream.isFull; writes += 1) write(end, Uint8Array.of(1));
    assert.equal(writes, Math.ceil(keptMostBytes / 97));
  });
});

describe("resumable: writing", () => {
  test("more than a record takes goes in pieces, and is sent once", () => {
    const end = attached();
    const parts = [Buffer.alloc(2.5 * dataMostBytes, 1), Buffer.alloc(0), Buffer.alloc(10, 2)];
    let sent = 0;
    end.stream.write(parts, 2.5 * dataMostBytes + 10, () => {
      sent += 1;
    });
    const other = attached();
    other.say(Buffer.from(end.written(), "hex"));
    assert.deepEqual(other.heard(), Buffer.concat(parts));
    assert.deepEqual([sent, other.done], [1, []]);
  });

  test("is done at once where there is no link, for nothing, after a close and when it is over", () => {
    const end = attached();
    let sent = 0;
    const count = (): void => {
      sent += 1;
    };
    end.stream.write([], 0, count);
    end.stream.detach(end.leg);
    end.stream.write([Uint8Array.of(1)], 1, count);
    end.stream.close(closings.done);
    const kept = end.keep.usedBytes;
    end.stream.write([Uint8Array.of(2)], 1, count);
    assert.equal(end.keep.usedBytes, kept);
    end.stream.finish();
    end.stream.write([Uint8Array.of(3)], 1, count);
    assert.deepEqual([sent, end.keep.usedBytes, end.written()], [4, 0, ""]);
  });
});

/**
 * Resumable: the rules of one end, on a link of which the other end is the test: acks, the next link,
 * and the end.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ackOf, closings, recordOf, recordTypes } from "../../../src/io/resume/records.ts";
import { attached, data, hexOf, kiB, recordedLeg, write } from "../../support/recorded-leg.ts";

describe("resumable: acks", () => {
  test("are said before data that leaves anyway, and only when there is something new", () => {
    const end = attached();
    end.say(data(1, 2, 3));
    assert.equal(end.written(), "");
    write(end, Uint8Array.of(9));
    write(end, Uint8Array.of(8));
    assert.equal(end.written(), hexOf(ackOf(3), data(9), data(8)));
  });

  test("are said a second after the first byte that was not, where nothing leaves", () => {
    const end = attached();
    end.say(data(1));
    end.clock.increment(999);
    end.say(data(2));
    assert.equal(end.written(), "");
    end.clock.increment(1);
    assert.equal(end.written(), hexOf(ackOf(2)));
    end.clock.increment(10_000);
    assert.equal(end.written(), hexOf(ackOf(2)));
    end.say(data(3));
    end.clock.increment(1_000);
    assert.equal(end.written(), hexOf(ackOf(2), ackOf(3)));
  });

  test("are said at once after 128 KiB, and bound what the other end keeps", () => {
    const end = attached();
    const half = new Uint8Array(64 * kiB);
    end.say(recordOf(recordTypes.data, half));
    assert.equal(end.written(), "");
    end.say(recordOf(recordTypes.data, half));
    assert.equal(end.written(), hexOf(ackOf(128 * kiB)));
    const sender = attached();
    for (let n = 1; n <= 64; n += 1) {
      write(sender, half);
      write(sender, half);
      sender.say(ackOf(n * 128 * kiB));
      assert.equal(sender.keep.usedBytes, 0);
    }
    assert.equal(sender.stream.isFull, false);
  });

  test("are not said where there is no link; the next link has said it", () => {
    const end = attached();
    end.say(data(1, 2));
    end.stream.detach(end.leg);
    end.clock.increment(5_000);
    assert.equal(end.written(), "");
    const next = recordedLeg();
    assert.ok(end.stream.attach(next.leg, next.reader, 0));
    end.clock.increment(5_000);
    write(end, Uint8Array.of(9));
    assert.equal(next.written(), hexOf(data(9)));
  });

  for (const [name, place] of [
    ["ahead", 11],
    ["behind", 3],
    ["farther than any stream", 2 ** 48 - 1],
  ] as const)
    test(`of a place ${name} cut the link and not the stream`, () => {
      const end = attached();
      write(end, new Uint8Array(10));
      end.say(ackOf(4));
      const kept = end.keep.usedBytes;
      end.say(ackOf(place), data(1, 2, 3));
      assert.deepEqual(end.done, ["cut"]);
      assert.deepEqual([end.keep.usedBytes, end.heard().length], [kept, 0]);
      end.stream.detach(end.leg);
      const next = recordedLeg();
      assert.ok(end.stream.attach(next.leg, next.reader, 4));
      assert.equal(next.written(), hexOf(data(0, 0, 0, 0, 0, 0)));
    });
});

describe("resumable: the next link", () => {
  for (const [name, place] of [
    ["ahead", 11],
    ["behind", 3],
    ["farther than any stream", 2 ** 48 - 1],
  ] as const)
    test(`is refused at a place ${name}, and nothing changes`, () => {
      const end = attached();
      write(end, new Uint8Array(10));
      end.say(ackOf(4));
      const next = recordedLeg();
      assert.equal(end.stream.attach(next.leg, next.reader, place, Uint8Array.of(1)), false);
      assert.deepEqual([next.written(), next.done, end.done], ["", [], []]);
      assert.ok(end.stream.isOn(end.leg));
      end.say(data(7));
      next.say(data(8));
      assert.deepEqual([end.heard().toString("hex"), next.done], ["07", ["data"]]);
    });

  test("cuts the former, of which nothing is heard any more, though it was half read", () => {
    const end = attached();
    const half = data(1, 2, 3, 4).subarray(0, 6);
    end.say(half);
    const next = recordedLeg();
    write(end, Uint8Array.of(9));
    const first = recordOf(recordTypes.resumed);
    assert.ok(end.stream.attach(next.leg, next.reader, 0, first));
    assert.deepEqual(end.done, ["cut"]);
    end.say(Uint8Array.of(3, 4), ackOf(1), recordOf(recordTypes.close, Uint8Array.of(0)));
    assert.deepEqual([end.heard().toString("hex"), end.told], ["0102", []]);
    assert.equal(end.stream.detach(end.leg), false);
    assert.ok(end.stream.isOn(next.leg));
    // What was said first comes first, then what may be missing.
    assert.equal(next.written(), hexOf(first, data(9)));
    next.say(data(3, 4), ackOf(1));
    assert.equal(end.heard().toString("hex"), "01020304");
    assert.equal(end.keep.usedBytes, 0);
  });

  test("is none for a stream that is over", () => {
    const end = attached();
    end.stream.finish();
    const next = recordedLeg();
    assert.equal(end.stream.attach(next.leg, next.reader, 0), false);
  });
});

describe("resumable: the end", () => {
  const close = recordOf(recordTypes.close, Uint8Array.of(closings.agentEnds));

  test("is said after all that was written, and the link closed in order", () => {
    const end = attached();
    write(end, Uint8Array.of(1));
    end.stream.close(closings.agentEnds);
    end.stream.close(closings.done);
    assert.deepEqual([end.written(), end.done], [hexOf(data(1), close), ["end"]]);
    assert.ok(end.stream.isClosing);
  });

  test("is said on the next link where it came during an outage, and again where that was lost", () => {
    const end = attached();
    write(end, Uint8Array.of(1));
    end.stream.detach(end.leg);
    end.stream.close(closings.agentEnds);
    for (let n = 0; n < 2; n += 1) {
      const next = recordedLeg();
      assert.ok(end.stream.attach(next.leg, next.reader, 0));
      assert.deepEqual([next.written(), next.done], [hexOf(data(1), close), ["end"]]);
      end.stream.detach(next.leg);
    }
  });

  test("of the other side is the last that is heard, and nothing is kept after it", () => {
    const end = attached();
    write(end, Uint8Array.of(1));
    end.say(data(5), close, data(6), close, recordOf(recordTypes.ping, new Uint8Array(4)));
    assert.deepEqual([end.heard().toString("hex"), end.told], ["05", ["closed 1"]]);
    assert.deepEqual([end.keep.usedBytes, end.written()], [0, hexOf(data(1))]);
    end.clock.increment(5_000);
    assert.equal(end.written(), hexOf(data(1)), "and no ack");
    end.stream.finish();
    assert.equal(end.keep.usedBytes, 0);
  });

  test("of a close with no body is one in order", () => {
    const end = attached();
    end.say(recordOf(recordTypes.close));
    assert.deepEqual(end.told, ["closed 0"]);
  });
});

describe("resumable: beside the stream", () => {
  test("a ping is answered with its own body, and the rest is somebody else's", () => {
    const end = attached();
    const body = Uint8Array.of(1, 2, 3, 4);
    end.say(recordOf(recordTypes.ping, body), recordOf(recordTypes.move, body));
    end.say(recordOf(recordTypes.pong, body));
    assert.equal(end.written(), hexOf(recordOf(recordTypes.pong, body)));
    assert.deepEqual(end.told, [`other ${recordTypes.move}`, `other ${recordTypes.pong}`]);
    assert.equal(end.stream.heard, 2);
  });

  test("a fault cuts the link and not the stream", () => {
    const end = attached();
    end.say(data(1), Uint8Array.of(0x7f, 0, 0, 0), data(2));
    assert.deepEqual([end.done, end.heard().toString("hex")], [["cut"], "01"]);
    end.stream.detach(end.leg);
    const next = recordedLeg();
    assert.ok(end.stream.attach(next.leg, next.reader, 0));
    next.say(data(2));
    assert.equal(end.heard().toString("hex"), "0102");
  });

  test("what is said without a link is not said later", () => {
    const end = attached();
    end.stream.detach(end.leg);
    end.stream.say(recordOf(recordTypes.move));
    end.stream.pause();
    end.stream.resume();
    const next = recordedLeg();
    assert.ok(end.stream.attach(next.leg, next.reader, 0));
    assert.deepEqual([next.written(), next.done], ["", []]);
  });
});

/**
 * Records: known answers for each type's bytes; however they are cut, the same is told; what should not
 * be is a fault, and nothing is told after one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ackOf,
  dataMostBytes,
  frontMostBytes,
  placeAt,
  placeBytes,
  putFront,
  putPlace,
  RecordReader,
  type RecordType,
  recordOf,
  recordTypes,
} from "../../../src/io/resume/records.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const farthest = 2 ** 48 - 1;

type Told =
  | { readonly kind: "data"; readonly hex: string }
  | { readonly kind: "ack"; readonly place: number }
  | { readonly kind: "record"; readonly type: number; readonly hex: string }
  | { readonly kind: "fault"; readonly why: string };

/** Tells what is heard, data that follows data as one; `rests` counts the turns. */
function teller(onTold: (told: Told, reader: RecordReader) => void = () => {}) {
  const told: Told[] = [];
  const seen = { rests: 0 };
  const tell = (it: Told): void => {
    const last = told.at(-1);
    if (it.kind === "data" && last?.kind === "data")
      told[told.length - 1] = { kind: "data", hex: last.hex + it.hex };
    else told.push(it);
    onTold(it, reader);
  };
  const reader = new RecordReader({
    data: (room, from, to) => tell({ kind: "data", hex: hex(room.subarray(from, to)) }),
    ack: (place) => tell({ kind: "ack", place }),
    record: (type, body) => tell({ kind: "record", type, hex: hex(body) }),
    rest: () => {
      seen.rests += 1;
    },
    fault: (why) => tell({ kind: "fault", why }),
  });
  return { reader, told, seen };
}

/** Reads `bytes` in pieces of those lengths, again and again; each in a room that is overwritten after. */
function toldOf(bytes: Uint8Array, lengths: readonly number[] = [bytes.length || 1]): Told[] {
  const { reader, told } = teller();
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const length = Math.min(lengths[n % lengths.length] ?? 1, bytes.length - at);
    const room = new Uint8Array(length + 5).fill(0xee);
    room.set(bytes.subarray(at, at + length), 3);
    reader.read(room, 3, 3 + length);
    room.fill(0xdd);
    at += length;
  }
  return told;
}

const u8 = (...numbers: number[]): Uint8Array => Uint8Array.of(...numbers);

for (const [name, record, want] of [
  ["data", recordOf(recordTypes.data, u8(1, 2), u8(), u8(3)), "00 000003 010203"],
  ["ack", ackOf(0x010203040506), "01 000006 010203040506"],
  ["ack of the farthest place", ackOf(farthest), "01 000006 ffffffffffff"],
  ["welcome", recordOf(recordTypes.welcome, u8(1), u8(0xaa)), "02 000002 01aa"],
  ["open", recordOf(recordTypes.open, u8(1)), "03 000001 01"],
  ["resume", recordOf(recordTypes.resume, new Uint8Array(58)), `04 00003a ${"00".repeat(58)}`],
  ["resumed", recordOf(recordTypes.resumed, new Uint8Array(38)), `05 000026 ${"00".repeat(38)}`],
  ["refused", recordOf(recordTypes.refused, u8(7)), "06 000001 07"],
  ["close", recordOf(recordTypes.close, u8(0)), "07 000001 00"],
  ["move", recordOf(recordTypes.move, u8(0, 0, 0x75, 0x30)), "08 000004 00007530"],
  ["ping", recordOf(recordTypes.ping, u8(0, 0, 0, 9)), "09 000004 00000009"],
  ["pong", recordOf(recordTypes.pong, u8(0, 0, 0, 9)), "0a 000004 00000009"],
  ["a body of nothing", recordOf(recordTypes.move), "08 000000"],
] as const)
  test(`records: ${name}`, () => assert.equal(hex(record), want.replaceAll(" ", "")));

test("records: what stands before data, with an ack and without", () => {
  const room = new Uint8Array(frontMostBytes);
  assert.equal(putFront(room, null, dataMostBytes), 4);
  assert.equal(hex(room.subarray(0, 4)), "00100000");
  assert.equal(putFront(room, 0x0100000000ff, 258), frontMostBytes);
  assert.equal(hex(room), "010000060100000000ff00000102");
});

test("records: a place is read as it was written", () =>
  fc.assert(
    fc.property(
      fc.maxSafeNat().map((n) => n % (farthest + 1)),
      (place) => {
        const room = new Uint8Array(2 + placeBytes).fill(0xee);
        putPlace(room, 1, place);
        assert.equal(placeAt(room, 1), place);
        assert.deepEqual([room[0], room.at(-1)], [0xee, 0xee]);
      },
    ),
    { examples: [[0], [farthest], [2 ** 32], [2 ** 31]] },
  ));

const others = Object.values(recordTypes).filter((type) => type > recordTypes.ack);
const body = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: 0, maxLength });

/** Any record, and what is to be told of it. */
const anyRecord: fc.Arbitrary<{ bytes: Uint8Array; told: Told | null }> = fc.oneof(
  body(600).map((data) => ({
    bytes: recordOf(recordTypes.data, data),
    told: data.length > 0 ? ({ kind: "data", hex: hex(data) } as const) : null,
  })),
  fc.nat({ max: farthest }).map((place) => ({
    bytes: ackOf(place),
    told: { kind: "ack", place } as const,
  })),
  fc.tuple(fc.constantFrom(...others), body(256)).map(([type, said]) => ({
    bytes: recordOf(type, said),
    told: { kind: "record", type, hex: hex(said) } as const,
  })),
  fc.tuple(fc.integer({ min: 0x80, max: 0xff }), body(256)).map(([type, said]) => ({
    bytes: recordOf(type as RecordType, said),
    told: null,
  })),
);

/** As a reader tells it that is given all at once. */
function wanted(records: readonly { told: Told | null }[]): Told[] {
  const all: Told[] = [];
  for (const { told } of records) {
    const last = all.at(-1);
    if (told?.kind === "data" && last?.kind === "data")
      all[all.length - 1] = { kind: "data", hex: last.hex + told.hex };
    else if (told) all.push(told);
  }
  return all;
}

const anyCuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 20 });
const fewCuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 });

test("records: however they are cut, the same is told", () =>
  fc.assert(
    fc.property(
      fc.array(anyRecord, { maxLength: 12 }),
      fc.oneof(anyCuts, fewCuts),
      (records, cuts) => {
        const bytes = Buffer.concat(records.map((record) => record.bytes));
        assert.deepEqual(toldOf(bytes, cuts), wanted(records));
        assert.deepEqual(toldOf(bytes, [1]), wanted(records));
      },
    ),
    { numRuns: 500 },
  ));

test("records: the longest of each kind", () => {
  const data = new Uint8Array(dataMostBytes).fill(7);
  const bytes = Buffer.concat([recordOf(recordTypes.data, data), ackOf(5)]);
  assert.deepEqual(toldOf(bytes, [65_521]), [
    { kind: "data", hex: hex(data) },
    { kind: "ack", place: 5 },
  ]);
  const long = recordOf(recordTypes.pong, new Uint8Array(256));
  assert.deepEqual(toldOf(long, [200]), [
    { kind: "record", type: recordTypes.pong, hex: "00".repeat(256) },
  ]);
});

test("records: a body is a copy, and data is not", () => {
  const room = recordOf(recordTypes.ping, u8(1, 2, 3, 4));
  const bodies: Uint8Array[] = [];
  const rooms: Uint8Array[] = [];
  const reader = new RecordReader({
    data: (there) => void rooms.push(there),
    ack: () => {},
    record: (_type, said) => void bodies.push(said),
    rest: () => {},
    fault: () => {},
  });
  reader.read(room, 0, room.length);
  room.fill(0);
  assert.equal(hex(bodies[0] ?? u8()), "01020304");
  const data = recordOf(recordTypes.data, u8(1));
  reader.read(data, 0, data.length);
  assert.equal(rooms[0], data);
});

const before = "09 000001 05"; // a ping
const faults: readonly (readonly [string, string, RegExp])[] = [
  ...[0x0b, 0x40, 0x7f].map(
    (type) => [`type ${type}`, `${hex(u8(type))} 000000`, /^a record \d+$/] as const,
  ),
  ["data over the bound", "00 100001", /^a record of 1048577 bytes$/],
  ["data of the greatest length", "00 ffffff", /^a record of 16777215 bytes$/],
  ["another over the bound", "08 000101", /^a record of 257 bytes$/],
  ["one that may be skipped, over the bound", "80 000101", /^a record of 257 bytes$/],
  ["a short ack", "01 000005 0000000000", /^an odd ack$/],
  ["a long ack", "01 000007 00000000000000", /^an odd ack$/],
  ["an ack of nothing", "01 000000", /^an odd ack$/],
];

for (const [name, bytes, why] of faults)
  test(`records: ${name} is a fault, and the last that is told`, () => {
    // What follows would be a ping.
    const all = Buffer.concat([bytesOf(before), bytesOf(bytes), bytesOf(before)]);
    for (let length = 1; length <= all.length; length += 1) {
      const told = toldOf(all, [length]);
      assert.equal(told.length, 2, `in pieces of ${length}`);
      assert.deepEqual(told[0], { kind: "record", type: recordTypes.ping, hex: "05" });
      assert.ok(told[1]?.kind === "fault" && why.test(told[1].why), JSON.stringify(told[1]));
    }
  });

test("records: what comes at once ends with a rest, unless it was a fault", () => {
  const { reader, seen } = teller();
  const bytes = Buffer.concat([ackOf(1), recordOf(recordTypes.data, u8(1, 2)), ackOf(2)]);
  reader.read(bytes, 0, bytes.length);
  assert.equal(seen.rests, 1);
  reader.read(bytes, 0, 3);
  assert.equal(seen.rests, 2);
  const odd = bytesOf("ff ff ff");
  reader.read(odd, 0, odd.length);
  assert.equal(seen.rests, 2);
});

test("records: after a halt nothing is told, even of what is being read", () => {
  const bytes = Buffer.concat([ackOf(1), recordOf(recordTypes.data, new Uint8Array(10)), ackOf(2)]);
  for (let length = 1; length <= bytes.length; length += 1) {
    for (const kind of ["ack", "data"] as const) {
      const { reader, told, seen } = teller((it, its) => {
        if (it.kind === kind) its.halt();
      });
      let rests = -1;
      for (let at = 0; at < bytes.length; at += length) {
        reader.read(bytes, at, Math.min(at + length, bytes.length));
        if (rests < 0 && told.some((it) => it.kind === kind)) rests = seen.rests;
      }
      assert.equal(told.length, kind === "ack" ? 1 : 2);
      assert.equal(told.at(-1)?.kind, kind);
      const run = kind === "data" ? told.at(-1) : null;
      if (run?.kind === "data") assert.ok(run.hex.length <= 2 * Math.min(length, 10));
      assert.equal(seen.rests, rests, "and no rest");
    }
  }
});

test("records: another hearer hears from the next record on, in the same read", () => {
  const first: string[] = [];
  const second: string[] = [];
  const hearer = (heard: string[], then: () => void) => ({
    data: () => void heard.push("data"),
    ack: () => void heard.push("ack"),
    record: () => {
      heard.push("record");
      then();
    },
    rest: () => void heard.push("rest"),
    fault: () => void heard.push("fault"),
  });
  const reader = new RecordReader(
    hearer(first, () => {
      reader.hearer = hearer(second, () => {});
    }),
  );
  const bytes = Buffer.concat([
    recordOf(recordTypes.open),
    recordOf(recordTypes.data, u8(1)),
    ackOf(1),
  ]);
  reader.read(bytes, 0, bytes.length);
  assert.deepEqual([first, second], [["record"], ["data", "ack", "rest"]]);
});

/**
 * Recorded leg: a link of which only one end is there; what that end wrote and did is for the test to
 * look at, and what it hears is the test's.
 */
import assert from "node:assert/strict";
import { RecordReader, recordOf, recordTypes } from "../../src/io/resume/records.ts";
import type { Keep, Leg, Resumable } from "../../src/io/resume/resumable.ts";
import { endOf } from "./resumable-end.ts";

export const kiB = 1024;

/** A link of which only this end is there: what was written, and what was done with it. */
export function recordedLeg() {
  const written: Buffer[] = [];
  const done: string[] = [];
  const leg: Leg = {
    write: (front, parts, sent) => {
      written.push(Buffer.concat([front, ...parts]));
      sent?.();
    },
    pause: () => void done.push("pause"),
    resume: () => void done.push("resume"),
    end: () => void done.push("end"),
    cut: () => void done.push("cut"),
  };
  const reader = new RecordReader({
    data: () => void done.push("data"),
    ack: () => void done.push("ack"),
    record: () => void done.push("record"),
    rest: () => {},
    fault: () => void done.push("fault"),
  });
  const say = (...records: readonly Uint8Array[]): void => {
    const all = Buffer.concat(records);
    reader.read(all, 0, all.length);
  };
  return { leg, reader, done, say, written: () => Buffer.concat(written).toString("hex") };
}

/** An end that is on a link. */
export function attached(keep?: Keep) {
  const end = endOf(keep);
  const link = recordedLeg();
  assert.equal(end.stream.attach(link.leg, link.reader, 0), true);
  return { ...end, ...link };
}

/** A record of data. */
export const data = (...bytes: readonly number[]): Uint8Array =>
  recordOf(recordTypes.data, Uint8Array.from(bytes));
export const write = ({ stream }: { stream: Resumable }, bytes: Uint8Array): void =>
  stream.write([bytes], bytes.length);
export const hexOf = (...records: readonly Uint8Array[]): string =>
  Buffer.concat(records).toString("hex");

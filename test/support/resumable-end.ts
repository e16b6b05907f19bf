/** Resumable end: one end of a stream that outlives its links, with a clock that stands, and what it told. */
import { SimulatedClock } from "xstate";
import { type Keep, Resumable } from "../../src/io/resume/resumable.ts";

/** One that stands until it is moved. */
export const standingClock = () => Object.assign(new SimulatedClock(), { wall: () => 0 });
export const keepOf = (mostBytes = 64 * 1024 * 1024): Keep => ({ usedBytes: 0, mostBytes });

/** An end, with all that it told. */
export function endOf(keep: Keep = keepOf(), clock = standingClock()) {
  const heard: Buffer[] = [];
  const told: string[] = [];
  const stream = new Resumable(
    {
      data: (room, from, to) => void heard.push(Buffer.from(room.subarray(from, to))),
      closed: (code) => void told.push(`closed ${code}`),
      drained: () => void told.push("drained"),
      other: (type) => void told.push(`other ${type}`),
    },
    keep,
    clock,
  );
  return { stream, keep, clock, told, heard: () => Buffer.concat(heard) };
}

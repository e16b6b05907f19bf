/**
 * Resumable pair: two ends of a stream with links between them that are in memory and the test's own, so
 * that they can be cut at any byte, lost, and be late.
 */
import assert from "node:assert/strict";
import {
  placeAt,
  placeBytes,
  putPlace,
  RecordReader,
  recordOf,
  recordTypes,
} from "../../src/io/resume/records.ts";
import type { Leg } from "../../src/io/resume/resumable.ts";
import { endOf, keepOf, standingClock } from "./resumable-end.ts";

export type Side = "client" | "agent";
export const sides = ["client", "agent"] as const;
export const otherOf = { client: "agent", agent: "client" } as const;

/** One end of a link: what is on its way to it, and whether it still listens. */
interface WireEnd {
  coming: Buffer;
  isOpen: boolean;
  isPaused: boolean;
  isEnding: boolean;
  isTold: boolean;
  reader: RecordReader;
  leg: Leg;
  closed: () => void;
}
type Wire = Readonly<Record<Side, WireEnd>>;

/**
 * Both ends, as the two programs have them: the client dials, says where it stands and reads no more of
 * its old link; the agent goes on there unless it has heard a later try; then the client does.
 */
export function pair() {
  const clock = standingClock();
  const ends = { client: endOf(keepOf(), clock), agent: endOf(keepOf(), clock) };
  const written = { client: Buffer.alloc(0), agent: Buffer.alloc(0) };
  const wires: Wire[] = [];
  let current: Wire | null = null;
  let trying: Wire | null = null;
  let tries = 0;
  let lastTry = 0;
  let seed = 0;

  function wire(): Wire {
    const endAt = (side: Side): WireEnd => {
      const noRecord = (): never => assert.fail("a record where none should be");
      const end: WireEnd = {
        coming: Buffer.alloc(0),
        isOpen: true,
        isPaused: false,
        isEnding: false,
        isTold: false,
        reader: new RecordReader({
          data: noRecord,
          ack: noRecord,
          record: noRecord,
          rest: () => {},
          fault: noRecord,
        }),
        leg: {
          write: (front, parts, sent) => {
            const peer = made[otherOf[side]];
            if (end.isOpen && peer.isOpen && !end.isEnding)
              peer.coming = Buffer.concat([peer.coming, front, ...parts]);
            sent?.();
          },
          pause: () => {
            end.isPaused = true;
          },
          resume: () => {
            end.isPaused = false;
          },
          end: () => {
            end.isEnding = true;
          },
          cut: () => {
            end.isOpen = false;
          },
        },
        closed: () => {
          ends[side].stream.detach(end.leg);
          if (side !== "client") return;
          if (trying === made) giveUp();
          if (current === made) current = null;
        },
      };
      return end;
    };
    const made: Wire = { client: endAt("client"), agent: endAt("agent") };
    wires.push(made);
    return made;
  }

  function giveUp(): void {
    const former = trying;
    trying = null;
    former?.client.leg.cut();
    current?.client.leg.resume();
  }

  /** A link that was refused there: that may be for the one reason. */
  function isOver(side: Side, it: Wire): void {
    assert.ok(ends[side].told.length > 0, `the ${side} refused a link`);
    it[side].leg.cut();
  }

  const quiet = { data: () => {}, ack: () => {}, rest: () => {}, fault: () => {} };

  function dial(): void {
    if (trying) giveUp();
    const it = wire();
    trying = it;
    tries += 1;
    const attempt = tries;
    current?.client.leg.pause();
    const place = new Uint8Array(placeBytes);
    putPlace(place, 0, ends.client.stream.place);
    it.client.leg.write(recordOf(recordTypes.resume, place), []);
    it.agent.reader.hearer = {
      ...quiet,
      record: (_type, body) => {
        if (attempt <= lastTry) return it.agent.leg.cut();
        lastTry = attempt;
        const { stream } = ends.agent;
        const own = new Uint8Array(placeBytes);
        putPlace(own, 0, stream.place);
        const resumed = recordOf(recordTypes.resumed, own);
        if (!stream.attach(it.agent.leg, it.agent.reader, placeAt(body, 0), resumed))
          isOver("agent", it);
      },
    };
    it.client.reader.hearer = {
      ...quiet,
      record: (_type, body) => {
        current = it;
        trying = null;
        if (!ends.client.stream.attach(it.client.leg, it.client.reader, placeAt(body, 0)))
          isOver("client", it);
      },
    };
  }

  /** So many bytes of what is on its way; the end of the link when there is no more. */
  function deliver(it: Wire, side: Side, bytes: number): boolean {
    const end = it[side];
    const peer = it[otherOf[side]];
    if (end.isOpen && !end.isPaused && end.coming.length > 0) {
      const room = Buffer.from(end.coming.subarray(0, bytes));
      end.coming = end.coming.subarray(room.length);
      end.reader.read(room, 0, room.length);
      room.fill(0xdd);
      return true;
    }
    if (end.isTold || (end.isOpen && (!(peer.isEnding || !peer.isOpen) || end.coming.length > 0)))
      return false;
    end.isOpen = false;
    end.isTold = true;
    end.closed();
    return true;
  }

  const first = wire();
  current = first;
  for (const side of sides)
    assert.ok(ends[side].stream.attach(first[side].leg, first[side].reader, 0));
  return {
    clock,
    ends,
    written,
    dial,
    deliver: (nth: number, side: Side, bytes: number) => {
      const it = wires[wires.length - 1 - (nth % wires.length)];
      return it ? deliver(it, side, bytes) : false;
    },
    /** What is on its way is lost; each end hears of it when its turn comes. */
    lose: (nth: number) => {
      const it = wires[wires.length - 1 - (nth % wires.length)];
      for (const side of sides)
        if (it) Object.assign(it[side], { isOpen: false, coming: Buffer.alloc(0) });
    },
    write: (side: Side, length: number) => {
      seed += 1;
      const bytes = Buffer.alloc(length, (seed * 37) % 256);
      bytes.forEach((byte, n) => {
        bytes[n] = byte ^ (n % 253);
      });
      if (ends[side].stream.isClosing) return;
      written[side] = Buffer.concat([written[side], bytes]);
      const half = length >> 1;
      ends[side].stream.write([bytes.subarray(0, half), bytes.subarray(half)], length);
    },
    /** Until nothing is on its way and both have a link. */
    settle: () => {
      for (let round = 0; round < 20; round += 1) {
        let isMoving = true;
        while (isMoving) {
          isMoving = false;
          for (const it of [...wires])
            for (const side of sides) if (deliver(it, side, 1_000)) isMoving = true;
        }
        const { client, agent } = ends;
        const isJoined = client.stream.isAttached && agent.stream.isAttached;
        if (!isJoined && client.told.length + agent.told.length === 0) dial();
        clock.increment(1_000);
      }
    },
  };
}

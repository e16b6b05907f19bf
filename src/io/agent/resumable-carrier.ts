/**
 * Resumable carrier: one ssh connection's byte stream that outlives its links once somebody has logged
 * in. It knows links and records; who may bring it a new link is decided at the door, and how long it
 * waits for one elsewhere.
 */
import { Duplex } from "node:stream";
import type { Clock } from "../../actors/clock.ts";
import type { Ticket } from "../../machines/vocabulary.ts";
import { closings, type RecordReader } from "../resume/records.ts";
import { type Keep, type Leg, Resumable } from "../resume/resumable.ts";
import { handOn, inTurns, writing } from "../websocket/link-stream.ts";
import type { Carrier } from "./ssh/carrier.ts";

/** A link that was dialled back, and the client that it brings. */
export interface Visit {
  readonly ticket: Ticket;
  readonly address: string;
}

/** A link as a stream has it. */
export interface VisitLeg extends Leg {
  /** Reads into the same memory from now on, for that stream. */
  readInPlace(stream: Duplex): void;
}

export interface ResumableCarrier extends Carrier {
  /** Whether it may go on over another link, from that address. */
  mayComeFrom(address: string): boolean;
  /** The first byte that it has not taken. */
  readonly place: number;
  /** Goes on over another link; false when what the other side misses is not there. */
  resume(leg: VisitLeg, reader: RecordReader, place: number, first: Uint8Array, by: Visit): boolean;
  /** That link is gone. */
  lose(leg: Leg): void;
  /** A record that is only said where there is a link. */
  say(record: Uint8Array): void;
}

/** Begins one over its first link, whose records `reader` reads from now on. */
export function resumableCarrier(
  number: number,
  first: { readonly leg: VisitLeg; readonly reader: RecordReader; readonly visit: Visit },
  keep: Keep,
  clock: Clock,
  hear: {
    /** Somebody has logged in on it; whether it can be asked for by its name from now on. */
    kept(): boolean;
    over(): void;
  },
): ResumableCarrier {
  let { visit } = first;
  let awayAtMs: number | null = null;
  let resumes = 0;
  let outageMs = 0;
  let mayComeFrom: ((address: string) => boolean) | null = null;
  let current: VisitLeg = first.leg;
  let isOver = false;
  /** Whoever writes waits until there is room again. */
  let waiting: (() => void) | null = null;
  const turns: (() => void)[] = [];
  const ends: (() => void)[] = [];

  const resumable = new Resumable(
    {
      data: (room, from, to) => {
        if (!handOn(stream, room, from, to)) resumable.pause();
      },
      closed: () => over("in order"),
      drained: () => {
        const go = waiting;
        waiting = null;
        go?.();
      },
      other: () => {}, // nothing that a client says beside
    },
    keep,
    clock,
  );
  const stream = inTurns(
    Object.assign(
      new Duplex({
        read: () => resumable.resume(),
        final: (done) => {
          resumable.close(closings.done);
          if (!resumable.isAttached) over("at once");
          done();
        },
        destroy: (error, done) => {
          over("at once");
          done(error);
        },
      }),
      writing((parts, written) => {
        let length = 0;
        for (const part of parts) length += part.length;
        resumable.write(parts, length, () => {
          if (resumable.isFull) waiting = written;
          else written();
        });
      }),
    ),
  );

  function over(how: "in order" | "at once"): void {
    if (isOver) return;
    isOver = true;
    awayAtMs = null;
    resumable.finish();
    if (how === "in order") {
      current.end();
      stream.push(null);
    } else {
      current.cut();
      stream.destroy();
    }
    waiting?.();
    hear.over();
    for (const act of ends) act();
  }

  resumable.attach(first.leg, first.reader, 0);
  return {
    stream,
    get isOver() {
      return isOver;
    },
    get ticket() {
      return visit.ticket;
    },
    get address() {
      return visit.address;
    },
    get standing() {
      return { stream: number, awayAtMs, resumes, outageMs };
    },
    get place() {
      return resumable.place;
    },
    mayComeFrom: (address) => mayComeFrom?.(address) ?? false,
    keep: (may) => {
      if (hear.kept()) mayComeFrom = may;
      current.readInPlace(stream);
    },
    resume: (leg, reader, place, said, by) => {
      if (!resumable.attach(leg, reader, place, said)) return false;
      current = leg;
      visit = by;
      outageMs = awayAtMs === null ? 0 : Math.round(clock.now() - awayAtMs);
      awayAtMs = null;
      resumes += 1;
      leg.readInPlace(stream);
      for (const act of turns) act();
      return true;
    },
    lose: (leg) => {
      if (!resumable.detach(leg)) return;
      if (!mayComeFrom || resumable.isClosing) return over("in order");
      awayAtMs = clock.now();
      for (const act of turns) act();
    },
    say: (record) => resumable.say(record),
    end: () => {
      resumable.close(closings.agentEnds);
      if (!resumable.isAttached) over("at once");
    },
    cut: () => over("at once"),
    onceOver: (act) => void ends.push(act),
    onTurn: (act) => void turns.push(act),
  };
}

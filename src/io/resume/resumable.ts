/**
 * Resumable: one end of a byte stream that outlives its links. It counts what it has taken, keeps what
 * the other side has not, and goes on over the next link where the last one broke. Both ends are the
 * same. It knows no websocket, no key and no reason to end; when there is a next link is decided elsewhere.
 */
import type { Clock } from "../../actors/clock.ts";
import {
  ackOf,
  closings,
  dataMostBytes,
  frontMostBytes,
  putFront,
  type RecordHearer,
  type RecordReader,
  recordOf,
  recordTypes,
} from "./records.ts";
import { Replay, type Sent } from "./replay.ts";

/** One link, as far as a stream needs it. */
export interface Leg {
  /** Sends both as one message; `sent` is called when it left this process, or never will. */
  write(front: Uint8Array, parts: readonly Uint8Array[], sent?: () => void): void;
  pause(): void;
  resume(): void;
  /** Closes it in order, after what was written. */
  end(): void;
  /** Drops it. */
  cut(): void;
}

/** Who has the stream. */
export interface StreamOwner {
  /** Bytes of the other side, which lie in `room` between the two; whoever keeps them copies them. */
  data(room: Uint8Array, from: number, to: number): void;
  /** The other side said that it was all; nothing follows. */
  closed(code: number): void;
  /** It is full no more. */
  drained(): void;
  /** Any other record: that the link will be cut, say. */
  other(type: number, body: Uint8Array): void;
}

/** Bytes that all streams of one process keep together. */
export interface Keep {
  usedBytes: number;
  readonly mostBytes: number;
}

/** What one stream keeps of its sending direction. */
export const keptMostBytes = 4 * 1024 * 1024;
/** The same while all together keep more than they should. */
const keptFewBytes = 256 * 1024;
/** Told at the latest after so many bytes; a half of what the fewest allows. */
const ackEveryBytes = 128 * 1024;
/** And after so long. */
const ackMs = 1_000;

export class Resumable {
  readonly #owner: StreamOwner;
  readonly #keep: Keep;
  readonly #clock: Clock;
  readonly #replay = new Replay();
  readonly #front = new Uint8Array(frontMostBytes);
  #leg: Leg | null = null;
  /** Bytes of the other side that were handed on, and what of them it was told. */
  #taken = 0;
  #told = 0;
  #ackTimer: unknown = null;
  #isFull = false;
  #isOver = false;
  #closing: number | null = null;
  /** The other side was told the place, and may send again from there over another link. */
  #isHeld = false;
  /** Of the other side's, so far: whoever watches for its silence compares two. */
  #heard = 0;

  constructor(owner: StreamOwner, keep: Keep, clock: Clock) {
    this.#owner = owner;
    this.#keep = keep;
    this.#clock = clock;
  }

  get isAttached(): boolean {
    return this.#leg !== null;
  }

  /** Nothing follows from here. */
  get isClosing(): boolean {
    return this.#closing !== null;
  }

  /** Too much waits for the other side: nothing more should be written until `drained`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The first byte that was not taken, from the start of the other side's stream. */
  get place(): number {
    return this.#taken;
  }

  get heard(): number {
    return this.#heard;
  }

  isOn(leg: Leg): boolean {
    return this.#leg === leg;
  }

  /**
   * Goes on over `leg`, whose records `reader` reads, from where the other side stands: `place`. What
   * it misses is sent again, after `first`. The former link is dropped. False, and nothing has changed,
   * when what it misses is not kept, or cannot be.
   */
  attach(leg: Leg, reader: RecordReader, place: number, first?: Uint8Array): boolean {
    if (this.#isOver || !this.#free(place)) return false;
    this.#isHeld = false;
    const former = this.#leg;
    this.#leg = leg;
    former?.cut();
    reader.hearer = this.#hearer(leg, reader);
    if (first) leg.write(first, []);
    this.#told = this.#taken; // which both have just said
    for (const sent of this.#replay.left()) this.#send(leg, sent);
    if (this.#closing !== null) this.#sayClose(leg, this.#closing);
    this.#wake();
    return true;
  }

  /** The link is gone; nothing happens when it is another's. */
  detach(leg: Leg): boolean {
    if (this.#leg !== leg) return false;
    this.#leg = null;
    return true;
  }

  /** Sends, or keeps for the next link; `sent` is called when there is room in the link for more. */
  write(parts: readonly Uint8Array[], length: number, sent?: () => void): void {
    if (this.#isOver || this.#closing !== null || length === 0) return sent?.();
    if (length > dataMostBytes) return this.#writeInPieces(parts, sent);
    const record = { parts, length };
    const before = this.#replay.cost;
    this.#replay.push(record);
    this.#keep.usedBytes += this.#replay.cost - before;
    this.#isFull ||= this.#replay.cost >= this.#mostBytes();
    if (this.#leg) this.#send(this.#leg, record, sent);
    else sent?.();
  }

  /** Nothing follows from here: it is said in order, over this link or, where there is none, the next. */
  close(code: number): void {
    if (this.#isOver || this.#closing !== null) return;
    this.#closing = code;
    if (this.#leg) this.#sayClose(this.#leg, code);
  }

  /** Over, at this end. */
  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leg = null; // its end is its owner's business
    this.#clock.clearTimeout(this.#ackTimer);
    this.#keep.usedBytes -= this.#replay.cost;
    this.#replay.clear();
  }

  pause(): void {
    this.#leg?.pause();
  }

  resume(): void {
    if (!this.#isHeld) this.#leg?.resume();
  }

  /**
   * The place from which another link shall go on. Nothing more is taken from the one that there is, for
   * it would come again; until the stream has that other link, or `release` says that it will not.
   */
  hold(): number {
    this.#isHeld = true;
    this.#leg?.pause();
    return this.#taken;
  }

  release(): void {
    this.#isHeld = false;
    this.#leg?.resume();
  }

  /** A record without consequence for the stream: a ping, or that the link will be cut. */
  say(record: Uint8Array): void {
    this.#leg?.write(record, []);
  }

  #hearer(leg: Leg, reader: RecordReader): RecordHearer {
    const isCurrent = (): boolean => {
      if (this.#leg === leg && !this.#isOver) return true;
      reader.halt();
      return false;
    };
    return {
      data: (room, from, to) => {
        if (!isCurrent()) return;
        // What was read before the pause: it comes again, unless the link stays the stream's.
        if (this.#isHeld) return this.#fault(leg, reader);
        this.#taken += to - from;
        this.#ackTimer ??= this.#clock.setTimeout(() => this.#ackLate(), ackMs);
        this.#owner.data(room, from, to);
      },
      ack: (place) => {
        if (!isCurrent()) return;
        if (this.#free(place)) this.#wake();
        else this.#fault(leg, reader);
      },
      record: (type, body) => {
        if (isCurrent()) this.#hear(leg, type, body);
      },
      rest: () => {
        if (!isCurrent()) return;
        this.#heard += 1;
        if (this.#taken - this.#told >= ackEveryBytes) this.#ack(leg);
      },
      fault: () => this.#fault(leg, reader),
    };
  }

  #hear(leg: Leg, type: number, body: Uint8Array): void {
    switch (type) {
      case recordTypes.close:
        this.finish();
        return this.#owner.closed(body[0] ?? closings.done);
      case recordTypes.ping:
        return leg.write(recordOf(recordTypes.pong, body), []);
      default:
        return this.#owner.other(type, body);
    }
  }

  /** What is wrong is wrong with the link, and the stream may go on over another. */
  #fault(leg: Leg, reader: RecordReader): void {
    reader.halt();
    leg.cut();
  }

  #free(place: number): boolean {
    const before = this.#replay.cost;
    const isPlace = this.#replay.free(place);
    this.#keep.usedBytes += this.#replay.cost - before;
    return isPlace;
  }

  #wake(): void {
    if (!this.#isFull || this.#replay.cost > this.#mostBytes() * 0.75) return;
    this.#isFull = false;
    this.#owner.drained();
  }

  #mostBytes(): number {
    return this.#keep.usedBytes > this.#keep.mostBytes ? keptFewBytes : keptMostBytes;
  }

  #send(leg: Leg, { parts, length }: Sent, sent?: () => void): void {
    const ack = this.#taken > this.#told ? this.#taken : null;
    this.#told = this.#taken;
    const bytes = putFront(this.#front, ack, length);
    leg.write(this.#front.subarray(0, bytes), parts, sent);
  }

  #ack(leg: Leg): void {
    this.#told = this.#taken;
    leg.write(ackOf(this.#taken), []);
  }

  #ackLate(): void {
    this.#ackTimer = null;
    if (this.#leg && this.#taken > this.#told) this.#ack(this.#leg);
  }

  #sayClose(leg: Leg, code: number): void {
    leg.write(recordOf(recordTypes.close, Uint8Array.of(code)), []);
    leg.end();
  }

  #writeInPieces(parts: readonly Uint8Array[], sent?: () => void): void {
    const pieces = parts.flatMap((part) => {
      const many: Uint8Array[] = [];
      for (let at = 0; at < part.length; at += dataMostBytes)
        many.push(part.subarray(at, at + dataMostBytes));
      return many;
    });
    const last = pieces.pop();
    for (const piece of pieces) this.write([piece], piece.length);
    if (last) this.write([last], last.length, sent);
  }
}

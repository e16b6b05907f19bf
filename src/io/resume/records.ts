/**
 * Records: what both ends of a resumable stream say to each other inside the payload of their data
 * links, so that no relay has to know. They mark their own ends: how a link cuts its payload into
 * frames, or joins them, changes nothing. docs/protocol.md, "Resumable streams", has them in words.
 *
 * It knows bytes, and not what follows from them.
 */

/** Of what is said here, in `welcome` and `open`. */
export const recordsVersion = 1;

export const recordTypes = {
  data: 0,
  ack: 1,
  welcome: 2,
  open: 3,
  resume: 4,
  resumed: 5,
  refused: 6,
  close: 7,
  move: 8,
  ping: 9,
  pong: 10,
} as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];

/** A type, one byte, and a length of three, both ends of a number biggest first. */
export const headBytes = 4;
/** In one record of data. */
export const dataMostBytes = 1024 * 1024;
/** The body of any other. */
const bodyMostBytes = 256;
/** From here on types may be skipped by who does not know them. */
const firstOptional = 0x80;
/** Of a place in the stream: 2^48 bytes are a month at 100 MB/s. */
export const placeBytes = 6;
const ackBytes = headBytes + placeBytes;
/** The most that stands before data: what was taken, and the data's own head. */
export const frontMostBytes = ackBytes + headBytes;

/** Why a stream cannot go on over a new link, in the body of `refused`. */
export const refusals = {
  /** No stream has that name: it is over, or was somebody else's. */
  unknown: 1,
  /** Who asks could not show that it is his. */
  proof: 2,
  /** What is missing is not kept any more. */
  gap: 3,
  /** A later try has been made. */
  stale: 4,
  /** The key may not be used from that address. */
  address: 5,
  /** The agent is ending. */
  ended: 6,
  /** Too many tries at once. */
  busy: 7,
} as const;

/** Why a stream is over, in the body of `close`. */
export const closings = {
  /** Who stands behind that end has ended. */
  done: 0,
  /** The agent ends. */
  agentEnds: 1,
} as const;

/** Who hears the records of one link, in their order. */
export interface RecordHearer {
  /** Some of the stream's bytes, which lie in `room` between the two; the next may follow at once. */
  data(room: Uint8Array, from: number, to: number): void;
  /** The other side has taken all bytes before that place. */
  ack(place: number): void;
  /** Any other record, with a body of its own. */
  record(type: number, body: Uint8Array): void;
  /** All that came at once was told. */
  rest(): void;
  /** What came is none of these; nothing more is read. */
  fault(why: string): void;
}

/** Reads one link's records, from however they were cut. */
export class RecordReader {
  /** May be changed at any time: the next record goes to the new one. */
  hearer: RecordHearer;
  /** Of the data that is being read. */
  #left = 0;
  /** A record other than data, or a head, of which the rest is to come. */
  readonly #begun = new Uint8Array(headBytes + bodyMostBytes);
  #begunBytes = 0;
  #isOver = false;

  constructor(hearer: RecordHearer) {
    this.hearer = hearer;
  }

  /** Nothing more is told, even of what is being read. */
  halt(): void {
    this.#isOver = true;
  }

  /** Reads what lies in `room` between the two. */
  read(room: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to && !this.#isOver) {
      if (this.#left > 0) {
        const end = Math.min(to, at + this.#left);
        this.#left -= end - at;
        this.hearer.data(room, at, end);
        at = end;
      } else if (this.#begunBytes > 0) at = this.#goOn(room, at, to);
      else at = this.#begin(room, at, to);
    }
    if (!this.#isOver) this.hearer.rest();
  }

  /** Reads a record that begins at `at`; where the next one does. */
  #begin(room: Uint8Array, at: number, to: number): number {
    const there = to - at;
    const length = there < headBytes ? 0 : this.#lengthAt(room, at);
    if (length < 0) return to;
    const isData = there >= headBytes && room[at] === recordTypes.data;
    if (isData) {
      this.#left = length;
      return at + headBytes;
    }
    if (there < headBytes + length || there < headBytes) {
      this.#begun.set(room.subarray(at, to));
      this.#begunBytes = there;
      return to;
    }
    this.#tell(room, at, length);
    return at + headBytes + length;
  }

  /** More of a record that is begun. */
  #goOn(room: Uint8Array, at: number, to: number): number {
    const begun = this.#begun;
    const isHead = this.#begunBytes < headBytes;
    const whole = isHead ? headBytes : headBytes + this.#lengthAt(begun, 0);
    const end = Math.min(to, at + whole - this.#begunBytes);
    begun.set(room.subarray(at, end), this.#begunBytes);
    this.#begunBytes += end - at;
    if (this.#begunBytes < whole) return end;
    const length = this.#lengthAt(begun, 0);
    if (length < 0) return to;
    if (isHead && begun[0] === recordTypes.data) {
      this.#begunBytes = 0;
      this.#left = length;
    } else if (!isHead || length === 0) {
      this.#begunBytes = 0;
      this.#tell(begun, 0, length);
    }
    return end;
  }

  /** What a head says; -1 for one that should not be. */
  #lengthAt(room: Uint8Array, at: number): number {
    const type = room[at] ?? 0;
    const length = ((room[at + 1] ?? 0) << 16) | ((room[at + 2] ?? 0) << 8) | (room[at + 3] ?? 0);
    if (type > recordTypes.pong && type < firstOptional) return this.#fault(`a record ${type}`);
    const most = type === recordTypes.data ? dataMostBytes : bodyMostBytes;
    if (length > most) return this.#fault(`a record of ${length} bytes`);
    if (type === recordTypes.ack && length !== placeBytes) return this.#fault("an odd ack");
    return length;
  }

  #tell(room: Uint8Array, at: number, length: number): void {
    const type = room[at] ?? 0;
    const from = at + headBytes;
    if (type === recordTypes.ack) this.hearer.ack(placeAt(room, from));
    else if (type < firstOptional) this.hearer.record(type, room.slice(from, from + length));
  }

  #fault(why: string): -1 {
    this.#isOver = true;
    this.hearer.fault(why);
    return -1;
  }
}

/** A place in the stream, as it stands in records. */
export function placeAt(room: Uint8Array, at: number): number {
  let place = 0;
  for (let n = 0; n < placeBytes; n += 1) place = place * 256 + (room[at + n] ?? 0);
  return place;
}

/** Writes a place where it shall stand. */
export function putPlace(room: Uint8Array, at: number, place: number): void {
  let rest = place;
  for (let n = placeBytes - 1; n >= 0; n -= 1) {
    room[at + n] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function putHead(room: Uint8Array, at: number, type: RecordType, length: number): void {
  room[at] = type;
  room[at + 1] = length >> 16;
  room[at + 2] = length >> 8;
  room[at + 3] = length;
}

/** A whole record. */
export function recordOf(type: RecordType, ...bodies: readonly Uint8Array[]): Uint8Array {
  const length = bodies.reduce((sum, body) => sum + body.length, 0);
  const record = new Uint8Array(headBytes + length);
  putHead(record, 0, type, length);
  let at = headBytes;
  for (const body of bodies) {
    record.set(body, at);
    at += body.length;
  }
  return record;
}

/** An ack as a whole record. */
export function ackOf(place: number): Uint8Array {
  const record = new Uint8Array(ackBytes);
  putHead(record, 0, recordTypes.ack, placeBytes);
  putPlace(record, headBytes, place);
  return record;
}

/**
 * Writes at the start of `room`, of `frontMostBytes`, what stands before data: an ack, unless `ack` is
 * null, and the data's head. How much it is.
 */
export function putFront(room: Uint8Array, ack: number | null, length: number): number {
  let at = 0;
  if (ack !== null) {
    putHead(room, 0, recordTypes.ack, placeBytes);
    putPlace(room, headBytes, ack);
    at = ackBytes;
  }
  putHead(room, at, recordTypes.data, length);
  return at + headBytes;
}

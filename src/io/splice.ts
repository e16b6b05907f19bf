/**
 * Splice: two websockets become one pipe. No actor, no machine and no rxjs touches a byte here. A
 * reader that is slow pauses the writer.
 *
 * It begins with `ws`'s messages. Between two of them it goes down to the sockets, where it can:
 * bytes are read into the same memory again and again, and go on from there. Pings, closes and
 * faults are still `ws`'s, which is shown the very frames.
 */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { Clock } from "../actors/clock.ts";
import type { SpliceReport } from "../machines/vocabulary.ts";
import { FrameReader, type Other, putHead } from "./frames.ts";
import { feed, isBetweenMessages, rawOf, readInto } from "./raw-socket.ts";
import { frontBytes, giveBack, type Room, sharedRoom, takeRoom } from "./read-room.ts";
import { shut } from "./socket.ts";
import { closeCodes, dataMaxBytes } from "./wire.ts";

/** Stop reading one side when so much waits for the other, and go on at the half. */
const highBytes = 1024 * 1024;
const lowBytes = highBytes / 2;
/** A read of so much gets a room of its own for the next one, and one of so little the shared one. */
const manyBytes = 32 * 1024;
const fewBytes = 4 * 1024;

/** Counted while bytes flow; anybody may read it. */
export interface Counts {
  clientBytes: number;
  agentBytes: number;
  pauses: number;
}

/** One side: its socket, and what came before the splice, in order. */
export interface SpliceEnd {
  readonly socket: WebSocket;
  early: Buffer[];
  /** Whether it was the relay that closed it. */
  readonly wasShut: boolean;
  /** Is called with its messages. */
  hear: (data: Buffer, isBinary: boolean) => void;
}

const binary = { binary: true, compress: false } as const;

/**
 * Joins both ends until one closes, then closes the other once everything was written to it.
 * Resolves with the counts; never rejects.
 */
export function splice(
  client: SpliceEnd,
  agent: SpliceEnd,
  counts: Counts,
  clock: Clock,
): Promise<SpliceReport> {
  return new Promise((resolve) => {
    let endedBy: SpliceReport["endedBy"] | null = null;
    const over = (by: SpliceReport["endedBy"]): void => {
      up.end();
      down.end();
      resolve({ ...counts, endedBy: by });
    };
    const closed = (by: "client" | "agent", other: WebSocket) => (code: number) => {
      if (endedBy !== null) return over(endedBy);
      endedBy = client.wasShut || agent.wasShut ? "relay" : by;
      const wasLost = code === 1006;
      const end = (): void => {
        if (other.bufferedAmount > 0 && other.readyState === other.OPEN) onDrained.set(other, end);
        else if (wasLost)
          shut(other, clock, closeCodes.peerLost, `the ${by}'s connection was lost`);
        else shut(other, clock, closeCodes.done);
      };
      if (other.readyState === other.CLOSED) over(endedBy);
      else end();
    };
    client.socket.on("close", closed("client", agent.socket));
    agent.socket.on("close", closed("agent", client.socket));
    const up = new Pump("clientBytes", client, agent.socket, counts, clock);
    const down = new Pump("agentBytes", agent, client.socket, counts, clock);
  });
}

/** One direction. There is one for each link: it is kept small. */
class Pump {
  readonly #what: "clientBytes" | "agentBytes";
  readonly #source: WebSocket;
  readonly #to: WebSocket;
  readonly #counts: Counts;
  readonly #clock: Clock;
  #isTrying = false;
  #isRefused = false;
  #room: Room = sharedRoom;
  /** Rooms out of which something is still being written. */
  #lent: Room[] | null = null;

  constructor(
    what: "clientBytes" | "agentBytes",
    end: SpliceEnd,
    to: WebSocket,
    counts: Counts,
    clock: Clock,
  ) {
    this.#what = what;
    this.#source = end.socket;
    this.#to = to;
    this.#counts = counts;
    this.#clock = clock;
    for (const data of end.early) this.#pass(data);
    end.early = []; // or it would be kept as long as the link
    end.hear = this.#hear;
    if (!end.socket.isPaused || to.bufferedAmount < lowBytes) end.socket.resume();
    this.#tryToGoDown();
  }

  readonly #hear = (data: Buffer, isBinary: boolean): void => {
    if (!isBinary) return this.#refuse("text");
    this.#pass(data);
    this.#tryToGoDown();
  };

  #pass(data: Buffer): void {
    this.#to.send(data, binary, this.#written);
    this.#passed(data.length);
  }

  #passed(bytes: number): void {
    this.#counts[this.#what] += bytes;
    if (this.#to.bufferedAmount <= highBytes || this.#source.isPaused) return;
    this.#counts.pauses += 1;
    this.#source.pause();
  }

  readonly #written = (): void => {
    if (this.#lent && rawOf(this.#to)?.writableLength === 0) this.#takeBack();
    if (this.#source.isPaused && this.#to.bufferedAmount < lowBytes) this.#source.resume();
    if (this.#to.bufferedAmount === 0) drained(this.#to);
  };

  #takeBack(): void {
    for (const used of this.#lent ?? []) giveBack(used);
    this.#lent = null;
  }

  /** To be called when both sockets have closed: nothing is read or written any more. */
  end(): void {
    this.#takeBack();
    giveBack(this.#room);
    this.#room = sharedRoom;
  }

  #refuse(kind: "text" | "nested"): void {
    if (kind === "text")
      shut(this.#source, this.#clock, closeCodes.binaryOnly, "binary frames only");
    else shut(this.#source, this.#clock, closeCodes.protocolError, "a message within a message");
  }

  #tryToGoDown(): void {
    if (this.#isTrying) return;
    this.#isTrying = true;
    setImmediate(() => {
      this.#isTrying = false;
      if (!this.#source.isPaused && isBetweenMessages(this.#source)) this.#goDown();
    });
  }

  /** Goes on below `ws`, if the sockets allow it. */
  #goDown(): void {
    const source = this.#source;
    const inlet = rawOf(source);
    const outlet = rawOf(this.#to);
    if (!inlet || !outlet || source.readyState !== source.OPEN) return;
    const reader = new FrameReader(dataMaxBytes, (kind, frame) => this.#other(kind, frame));
    const onRead = (bytes: number): void => {
      reader.read(this.#room, frontBytes, bytes);
      if (reader.end > reader.start) this.#write(outlet, reader.start, reader.end, bytes);
      const isShared = this.#room === sharedRoom;
      if (isShared ? bytes >= manyBytes : bytes < fewBytes) {
        giveBack(this.#room);
        this.#room = isShared ? takeRoom() : sharedRoom;
      }
    };
    readInto(inlet, () => this.#room.back, onRead);
  }

  #other(kind: Other, frame: Buffer): void {
    this.#isRefused ||= kind !== "control";
    if (kind === "text" || kind === "nested") this.#refuse(kind);
    else feed(this.#source, frame);
  }

  #write(outlet: Socket, start: number, end: number, bytes: number): void {
    if (this.#isRefused || this.#to.readyState !== this.#to.OPEN) return;
    const room = this.#room;
    const frame = room.bytes.subarray(putHead(room.bytes, start, end), end);
    // Behind others it would have to wait, and the room is worth more than a copy.
    const isCopy = room === sharedRoom || (outlet.writableLength > 0 && bytes < manyBytes);
    outlet.write(isCopy ? Buffer.from(frame) : frame, this.#written);
    this.#passed(end - start);
    if (isCopy || outlet.writableLength === 0) return;
    this.#lent ??= [];
    this.#lent.push(room);
    this.#room = takeRoom();
  }
}

/** What to do when everything was written to a socket. */
const onDrained = new WeakMap<WebSocket, () => void>();

function drained(socket: WebSocket): void {
  const act = onDrained.get(socket);
  onDrained.delete(socket);
  act?.();
}

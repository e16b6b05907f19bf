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
import { frameReader, putHead } from "./frames.ts";
import { feed, isBetweenMessages, rawOf, readInto } from "./raw-socket.ts";
import { frontBytes, giveBack, type Room, sharedRoom, takeRoom } from "./read-room.ts";
import { shut } from "./socket.ts";
import { type CloseCode, closeCodes, dataMaxBytes } from "./wire.ts";

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
  readonly early: Buffer[];
  /** Whether it was the relay that closed it. */
  readonly wasShut: boolean;
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
    const closed = (by: "client" | "agent", other: WebSocket) => (code: number) => {
      if (endedBy !== null) return resolve({ ...counts, endedBy });
      endedBy = client.wasShut || agent.wasShut ? "relay" : by;
      const wasLost = code === 1006;
      const end = (): void => {
        if (other.bufferedAmount > 0 && other.readyState === other.OPEN) onDrained.set(other, end);
        else if (wasLost)
          shut(other, clock, closeCodes.peerLost, `the ${by}'s connection was lost`);
        else shut(other, clock, closeCodes.done);
      };
      if (other.readyState === other.CLOSED) resolve({ ...counts, endedBy });
      else end();
    };
    client.socket.on("close", closed("client", agent.socket));
    agent.socket.on("close", closed("agent", client.socket));
    const notePause = (): void => {
      counts.pauses += 1;
    };
    pump(client, agent.socket, clock, notePause, (n) => {
      counts.clientBytes += n;
    });
    pump(agent, client.socket, clock, notePause, (n) => {
      counts.agentBytes += n;
    });
  });
}

function pump(
  from: SpliceEnd,
  to: WebSocket,
  clock: Clock,
  notePause: () => void,
  count: (bytes: number) => void,
): void {
  const source = from.socket;
  const refuse = (code: CloseCode, why: string): void => shut(source, clock, code, why);
  const sent = (): void => {
    if (source.isPaused && to.bufferedAmount < lowBytes) source.resume();
    if (to.bufferedAmount === 0) drained(to);
  };
  const passed = (bytes: number): void => {
    count(bytes);
    if (to.bufferedAmount <= highBytes || source.isPaused) return;
    notePause();
    source.pause();
  };
  const pass = (data: Buffer): void => {
    to.send(data, binary, sent);
    passed(data.length);
  };
  for (const data of from.early.splice(0)) pass(data);
  let isTrying = false;
  const goDown = (): void => {
    isTrying = false;
    if (!source.isPaused && isBetweenMessages(source))
      if (pumpRaw(source, to, sent, passed, refuse)) source.off("message", hear);
  };
  const tryToGoDown = (): void => {
    if (isTrying) return;
    isTrying = true;
    setImmediate(goDown);
  };
  const hear = (data: Buffer, isBinary: boolean): void => {
    if (!isBinary) return refuse(closeCodes.binaryOnly, "binary frames only");
    pass(data);
    tryToGoDown();
  };
  source.on("message", hear);
  if (!source.isPaused || to.bufferedAmount < lowBytes) source.resume();
  tryToGoDown();
}

/** The same below `ws`. False when the sockets do not allow it; then nothing has changed. */
function pumpRaw(
  source: WebSocket,
  to: WebSocket,
  sent: () => void,
  passed: (bytes: number) => void,
  refuse: (code: CloseCode, why: string) => void,
): boolean {
  const inlet = rawOf(source);
  const outlet: Socket | null = rawOf(to);
  if (!inlet || !outlet || source.readyState !== source.OPEN) return false;
  let room: Room = sharedRoom;
  /** Rooms out of which something is still being written. */
  let lent: Room[] = [];
  let isRefused = false;
  const reader = frameReader(dataMaxBytes, (kind, frame) => {
    isRefused ||= kind !== "control";
    if (kind === "text") refuse(closeCodes.binaryOnly, "binary frames only");
    else if (kind === "nested") refuse(closeCodes.protocolError, "a message within a message");
    else feed(source, frame);
  });
  const written = (): void => {
    if (lent.length > 0 && outlet.writableLength === 0) {
      for (const used of lent) giveBack(used);
      lent = [];
    }
    sent();
  };
  inlet.once("close", () => giveBack(room));

  return readInto(
    inlet,
    () => room.back,
    (bytes) => {
      const { start, end } = reader.read(room, frontBytes, bytes);
      if (end > start && !isRefused && to.readyState === to.OPEN) {
        const frame = room.bytes.subarray(putHead(room.bytes, start, end), end);
        // Behind others it would have to wait, and the room is worth more than a copy.
        const isCopy = room === sharedRoom || (outlet.writableLength > 0 && bytes < manyBytes);
        outlet.write(isCopy ? Buffer.from(frame) : frame, written);
        passed(end - start);
        if (!isCopy && outlet.writableLength > 0) {
          lent.push(room);
          room = takeRoom();
        }
      }
      if (room === sharedRoom ? bytes >= manyBytes : bytes < fewBytes) {
        giveBack(room);
        room = room === sharedRoom ? takeRoom() : sharedRoom;
      }
    },
  );
}

/** What to do when everything was written to a socket. */
const onDrained = new WeakMap<WebSocket, () => void>();

function drained(socket: WebSocket): void {
  const act = onDrained.get(socket);
  onDrained.delete(socket);
  act?.();
}

/**
 * Splice: two websockets become one pipe. No actor, no machine and no rxjs touches a byte here;
 * per chunk there are two additions and a comparison. A reader that is slow pauses the writer.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../actors/clock.ts";
import type { SpliceReport } from "../machines/vocabulary.ts";
import { shut } from "./socket.ts";
import { closeCodes } from "./wire.ts";

/** Stop reading one side when so much waits for the other, and go on at the half. */
const highBytes = 1024 * 1024;
const lowBytes = highBytes / 2;

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
    pump(client, agent.socket, (n) => {
      counts.clientBytes += n;
    });
    pump(agent, client.socket, (n) => {
      counts.agentBytes += n;
    });
  });

  function pump(from: SpliceEnd, to: WebSocket, count: (n: number) => void): void {
    const source = from.socket;
    const sent = (): void => {
      if (source.isPaused && to.bufferedAmount < lowBytes) source.resume();
      if (to.bufferedAmount === 0) drained(to);
    };
    const pass = (data: Buffer): void => {
      count(data.length);
      to.send(data, binary, sent);
    };
    for (const data of from.early.splice(0)) pass(data);
    source.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) return shut(source, clock, closeCodes.binaryOnly, "binary frames only");
      pass(data);
      if (to.bufferedAmount > highBytes && !source.isPaused) {
        counts.pauses += 1;
        source.pause();
      }
    });
    source.resume();
  }
}

/** What to do when everything was written to a socket. */
const onDrained = new WeakMap<WebSocket, () => void>();

function drained(socket: WebSocket): void {
  const act = onDrained.get(socket);
  onDrained.delete(socket);
  act?.();
}

/**
 * Links: the relay's websockets under their names. It says, closes and splices; who is to be
 * told what, and when, is decided elsewhere.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../actors/clock.ts";
import type { LinkId, SpliceReport } from "../machines/vocabulary.ts";
import type { ToAgent, ToClient } from "./messages.ts";
import { pingRegularly, shut, unheard } from "./socket.ts";
import { type Counts, splice } from "./splice.ts";
import { type CloseCode, closeCodes, nextLink } from "./wire.ts";

/** A client may send so much before it is spliced (an ssh banner and a key exchange are 3 KiB). */
const earlyBytes = 64 * 1024;

/** One message may be larger, as a stranger's program may send it; so large it may not be. */
const earlyMostBytes = 1024 * 1024;

/** What all have that sent nothing; never added to. */
const none: Buffer[] = [];

interface Held {
  readonly socket: WebSocket;
  early: Buffer[];
  /** Whether the relay itself has closed it. */
  wasShut: boolean;
  readonly counts: Counts;
  /** Does it understand JSON text frames? */
  readonly talks: boolean;
  /** Takes its messages, from one moment on another. */
  hear: (data: Buffer, isBinary: boolean) => void;
}

/** Keeps what a link sends before it is spliced. */
function keepEarly(held: Held, clock: Clock): Held["hear"] {
  let taken = 0;
  return (data, isBinary) => {
    const { socket } = held;
    if (!isBinary) return shut(socket, clock, closeCodes.binaryOnly, "binary frames only");
    taken += data.length;
    if (taken > earlyMostBytes)
      return shut(socket, clock, closeCodes.tooBig, "too much before there is a connection");
    if (held.early === none) held.early = [data];
    else held.early.push(data);
    if (taken > earlyBytes) socket.pause();
  };
}

export interface Links {
  /** Takes in a control link, whose messages the caller reads. */
  addControl(socket: WebSocket): LinkId;
  /**
   * Takes in a data link. Until it is spliced its binary frames are kept, in order and up to 64
   * KiB, then it is paused: it is read and not left paused from the start, for only a reader sees
   * pongs and a client that gives up while it waits.
   */
  addData(socket: WebSocket, talks: boolean): LinkId;
  /** Sends a message, if the link is still there and talks. */
  say(link: LinkId, message: ToAgent | ToClient): void;
  shut(link: LinkId, code: CloseCode, reason: string): void;
  splice(client: LinkId, agent: LinkId): Promise<SpliceReport>;
  /** Bytes so far; zeros for a link that is gone. */
  countsOf(client: LinkId): Pick<Counts, "clientBytes" | "agentBytes">;
  /** Of all splices together, those that are over too; none ever decreases. */
  totals(): Readonly<Counts>;
  all(): LinkId[];
  /** How many there are. */
  size(): number;
}

export function openLinks(clock: Clock): Links {
  const links = new Map<LinkId, Held>();
  const running = new Set<Counts>();
  const over: Counts = { clientBytes: 0, agentBytes: 0, pauses: 0 };
  const addTo = (sum: Counts, { clientBytes, agentBytes, pauses }: Counts): Counts => {
    sum.clientBytes += clientBytes;
    sum.agentBytes += agentBytes;
    sum.pauses += pauses;
    return sum;
  };

  const add = (kind: string, socket: WebSocket, talks: boolean): [LinkId, Held] => {
    const link = nextLink(kind);
    const held: Held = {
      socket,
      early: none,
      wasShut: false,
      counts: { clientBytes: 0, agentBytes: 0, pauses: 0 },
      talks,
      hear: unheard,
    };
    links.set(link, held);
    socket.on("close", () => links.delete(link));
    socket.on("error", unheard);
    pingRegularly(socket, clock);
    return [link, held];
  };

  return {
    addControl: (socket) => add("control", socket, true)[0],
    addData: (socket, talks) => {
      const [link, held] = add("data", socket, talks);
      held.hear = keepEarly(held, clock);
      // One for the link's whole life: to take a listener away makes the emitter's table a slow and large one.
      socket.on("message", (data: Buffer, isBinary) => held.hear(data, isBinary));
      return link;
    },
    say: (link, message) => {
      const held = links.get(link);
      if (held?.talks) held.socket.send(JSON.stringify(message), () => {});
    },
    shut: (link, code, reason) => {
      const held = links.get(link);
      if (!held) return;
      held.wasShut = true;
      shut(held.socket, clock, code, reason);
    },
    splice: (client, agent) => {
      const a = links.get(client);
      const b = links.get(agent);
      if (!a || !b) return Promise.reject(new Error("a link closed before it was joined"));
      if (a.talks) a.socket.send(JSON.stringify({ type: "spliced" }), () => {});
      running.add(a.counts);
      return splice(a, b, a.counts, clock).finally(() => {
        running.delete(a.counts);
        addTo(over, a.counts);
      });
    },
    countsOf: (client) => {
      const { clientBytes = 0, agentBytes = 0 } = links.get(client)?.counts ?? {};
      return { clientBytes, agentBytes };
    },
    totals: () => [...running].reduce(addTo, { ...over }),
    all: () => [...links.keys()],
    size: () => links.size,
  };
}

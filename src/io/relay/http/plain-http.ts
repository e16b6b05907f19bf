/**
 * Plain HTTP: what requests that ask for no websocket may have of the relay: so many answers under
 * way and so many connections that wait, of one address and in all, and files only while there are
 * enough left for websockets and for probes. It knows no page; what it refuses it answers itself.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../../../actors/clock.ts";
import { confine, type NoteFault } from "../../../actors/confine.ts";
import type { RefusalReason } from "../../../actors/observe/facts.ts";
import { holderOf } from "../../holder.ts";
import { queuedBytes, socketBelow } from "../../tcp-socket.ts";
import type { Origin } from "../admission/origin.ts";
import type { Refusals } from "../admission/refusals.ts";

/** Answers under way of one address, and of all together; each may have a file of its own open. */
export const answersPerAddress = 200;
export const answersMost = 2_000;
/** Connections without one: such as have asked nothing yet, and such as may ask again. */
export const waitingPerAddress = 200;
export const waitingMost = 2_000;
/** Of the process's files so large a part at most is for answers, and for connections that wait. */
const share = 1 / 8;
/** For libraries, logs and listeners; and again as many for who gets in when all else is full. */
const filesKept = 64;
/**
 * An answer of which nothing was taken for so long is cut. A system sends on what is written to it
 * in pieces of up to some MiB: a line of 100 kbit/s may need so long for one of them.
 */
export const unreadMs = 120_000;
/** How often that is looked at. */
const lookMs = 10_000;
/** What who is refused is asked to wait. */
const againSeconds = "10";

const oneAtATime = "one request at a time on a connection";

/** How many websockets leave files for answers, where `files` may be open altogether. */
export const websocketsIn = (files: number): number =>
  Math.max(files - 2 * filesKept, Math.floor(files / 2));

/** A connection with an answer under way. */
interface Visit {
  request: IncomingMessage;
  answer: ServerResponse;
  /** Its answers that are not over: one that is being made, before it such as are only to be sent. */
  answers: number;
  readonly holder: string;
  /** Of what was written, bytes that have left; the rest of a write that has left in part; when that changed. */
  taken: number;
  queued: number;
  movedMs: number;
}

export interface PlainHttp {
  /** To be called for each connection that comes, before anything is read from it. */
  came(socket: Socket): void;
  /** Whether a request may be answered; one that may not has its answer, or its connection is gone. */
  mayAsk(request: IncomingMessage, answer: ServerResponse): boolean;
  /** The connection of this request becomes a websocket, or is refused as one: it is not counted any more. */
  upgrades(request: IncomingMessage): void;
  /** Ends every connection there is, websockets too. */
  destroyAll(): void;
}

/** `probes` are paths that are answered as long as anything is; `files` is how many may be open. */
export function openPlainHttp(
  { addressOf, peerOf }: Origin,
  note: Refusals["note"],
  fault: NoteFault,
  probes: readonly string[],
  files: number,
  clock: Clock,
): PlainHttp {
  const most = (all: number): number => Math.min(all, Math.max(1, Math.floor(files * share)));
  const bounds = { answers: most(answersMost), waiting: most(waitingMost) };
  const ofOne = (each: number, all: number): number => Math.min(each, Math.ceil(all / 2));

  const sockets = new Set<Socket>();
  const visits = new Map<Socket, Visit>();
  /** In the order in which they began to wait, with their holder; null is a proxy, who has many clients. */
  const waiting = new Map<Socket, string | null>();
  /** Of each address that has any: its waiting connections, in that order, and its visits. */
  const holders = new Map<string, { waiting: Set<Socket>; visits: number }>();
  const change = (
    name: string,
    act: (of: { waiting: Set<Socket>; visits: number }) => void,
  ): void => {
    const of = holders.get(name) ?? { waiting: new Set(), visits: 0 };
    act(of);
    if (of.waiting.size > 0 || of.visits > 0) holders.set(name, of);
    else holders.delete(name);
  };
  const filesOpen = (): number => sockets.size + visits.size + filesKept;

  const stopWaiting = (socket: Socket): void => {
    const holder = waiting.get(socket);
    waiting.delete(socket);
    if (holder != null) change(holder, (of) => of.waiting.delete(socket));
  };
  const oldest = (of: Iterable<Socket>): void => {
    const [socket] = of;
    if (!socket) return;
    stopWaiting(socket);
    socket.destroy();
  };
  /** The newest always gets in, for it may be a probe or a websocket; then the oldest must go. */
  const wait = (socket: Socket): void => {
    if (socket.destroyed) return;
    const peer = peerOf(socket);
    const holder = peer === null ? null : holderOf(peer);
    waiting.set(socket, holder);
    if (holder !== null)
      change(holder, (of) => {
        of.waiting.add(socket);
        if (of.waiting.size > ofOne(waitingPerAddress, bounds.waiting)) oldest(of.waiting);
      });
    const isFull = (): boolean => waiting.size > bounds.waiting || filesOpen() + 1 > files;
    for (let n = waiting.size; n > 1 && isFull(); n -= 1) oldest(waiting.keys());
  };
  const leave = (socket: Socket): void => {
    const visit = visits.get(socket);
    if (!visit) return;
    visits.delete(socket);
    change(visit.holder, (of) => {
      of.visits -= 1;
    });
    if (visits.size === 0) clock.clearTimeout(timer);
    wait(socket);
  };
  function gone(this: Socket): void {
    sockets.delete(this);
    stopWaiting(this);
    leave(this);
  }

  const lookAt = confine(
    fault,
    "answer",
    (visit: Visit, now: number) => {
      const { socket } = visit.request;
      const taken = socket.bytesWritten - socket.writableLength;
      const queued = queuedBytes(socket);
      const isMoved = taken > visit.taken || queued < visit.queued;
      if (socket.writableLength === 0 || isMoved) visit.movedMs = now;
      Object.assign(visit, { taken, queued });
      if (now - visit.movedMs < unreadMs) return;
      note(visit.request, "unread", 408, `nothing was taken for ${unreadMs / 1_000} s`);
      socket.destroy();
    },
    ({ request }) => void request.socket.destroy(),
  );
  let timer: unknown = null;
  const look = (): void => {
    const now = clock.now();
    for (const visit of visits.values()) lookAt(visit, now);
    if (visits.size > 0) timer = clock.setTimeout(look, lookMs);
  };

  const refuse = (
    request: IncomingMessage,
    answer: ServerResponse,
    reason: RefusalReason,
    status: number,
    sentence: string,
  ): false => {
    note(request, reason, status, sentence);
    answer.writeHead(status, {
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "retry-after": againSeconds,
      connection: "close",
    });
    answer.end(`${sentence}\n`);
    return false;
  };
  const isProbe = ({ url = "" }: IncomingMessage): boolean =>
    probes.includes(url.split("?", 1)[0] ?? "");

  return {
    came: (socket) => {
      sockets.add(socket);
      socket.on("close", gone); // one for all: a websocket carries it to its end
      wait(socket);
    },
    mayAsk: (request, answer) => {
      const socket = socketBelow(request.socket);
      const now = visits.get(socket);
      // RFC 9112 9.3.2: one after the other. What waits for its turn would keep a file for it.
      if (now && !now.answer.writableEnded) {
        if (!socket.destroyed) note(request, "bad request", 400, oneAtATime);
        socket.destroy();
        return false;
      }
      const holder = holderOf(addressOf(request));
      if (!now && !isProbe(request)) {
        if (visits.size >= bounds.answers || filesOpen() + 2 > files * (1 - share))
          return refuse(request, answer, "full", 503, "The relay is full: try again later.");
        const own = holders.get(holder)?.visits ?? 0;
        if (own >= ofOne(answersPerAddress, bounds.answers))
          return refuse(
            ...([request, answer, "too many requests", 429] as const),
            "Too many requests of your address are being answered: try again later.",
          );
      }
      stopWaiting(socket);
      const visit = now ?? {
        ...{ request, answer, holder, answers: 0 },
        ...{ taken: 0, queued: 0, movedMs: clock.now() },
      };
      visit.request = request;
      visit.answer = answer;
      visit.answers += 1;
      if (!now) {
        visits.set(socket, visit);
        change(holder, (of) => {
          of.visits += 1;
        });
        if (visits.size === 1) timer = clock.setTimeout(look, lookMs);
      }
      answer.once("close", () => {
        visit.answers -= 1;
        if (visit.answers === 0 && visits.get(socket) === visit) leave(socket);
      });
      return true;
    },
    upgrades: ({ socket }) => stopWaiting(socketBelow(socket)),
    destroyAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/**
 * Keep-alive: pings every 20 s, and a watch for peers that went without a word, for one link or with
 * one timer for thousands. It knows of bytes only how many came.
 */
import type { WebSocket } from "ws";
import { type Clock, every } from "../../actors/clock.ts";
import { confine, type NoteFault } from "../../actors/confine.ts";
import { pingMs, pingTurnMs, silentMs } from "../protocol/wire.ts";
import type { DataLink } from "./link.ts";
import { rawOf } from "./raw-socket.ts";

/** What there is to see of a link, whatever it is. */
type Watched = Pick<
  DataLink,
  "isPaused" | "bufferedAmount" | "bytesRead" | "readyState" | "OPEN" | "terminate"
>;

/** Whether this side cannot say anything of its peer, since bytes wait on one side or the other. */
const isStalled = (link: Watched): boolean => link.isPaused || link.bufferedAmount > 0;

/** Bytes that came in so far, whatever they are: a ping may wait behind megabytes on a slow line. */
const bytesRead = (link: Watched): number => link.bytesRead ?? rawOf(link as never)?.bytesRead ?? 0;

/** A link, when it was last heard, and what was seen of it when it was last looked at. */
class Watch<Link extends Watched> {
  readonly link: Link;
  /** When to look again. */
  dueMs: number;
  #heardMs: number;
  #bytesRead: number;

  constructor(link: Link, nowMs: number) {
    this.link = link;
    this.#heardMs = Math.trunc(nowMs); // whole numbers cost no memory of their own
    this.dueMs = this.#heardMs + pingMs;
    this.#bytesRead = bytesRead(link);
  }

  hear(nowMs: number): void {
    this.#heardMs = Math.trunc(nowMs);
  }

  /**
   * To be asked every 20 s: whether its peer may still be there; one that was silent for 50 s is
   * terminated. A stalled one is left to TCP: its pong may be waiting behind data, and a suspended
   * ssh client is not dead.
   */
  look(nowMs: number): boolean {
    const now = Math.trunc(nowMs);
    const bytes = bytesRead(this.link);
    if (isStalled(this.link)) this.#heardMs = now;
    // They came at some time since the last look; counted from there, silence is never overlong.
    else if (bytes > this.#bytesRead) this.#heardMs = Math.max(this.#heardMs, now - pingMs);
    else if (now - this.#heardMs >= silentMs) {
      this.link.terminate();
      return false;
    }
    this.#bytesRead = bytes;
    this.dueMs = now + pingMs;
    return true;
  }
}

/** RFC 6455 5.5.2: a server's, with nothing in it. */
const pingFrame = Buffer.from([0x89, 0]);

/** Pings every 20 s, and watches for silence. */
export function pingRegularly(socket: WebSocket, clock: Clock): void {
  // As it is, between two messages of `ws`, which would make three writes of it.
  keepWatch(socket, clock, () => void rawOf(socket)?.write(pingFrame));
}

/**
 * Watches for a relay that does not ping. The other half of `pingRegularly`. A paused link does not
 * see the pings, so it says unasked that it is there (RFC 6455 5.5.3).
 */
export function expectPings(link: DataLink, clock: Clock): void {
  keepWatch(link, clock, () => {
    if (link.isPaused) link.pong();
  });
}

function keepWatch(link: DataLink, clock: Clock, beat: () => void): void {
  const watch = new Watch(link, clock.now());
  const hear = (): void => watch.hear(clock.now());
  const look = (): void => {
    if (!watch.look(clock.now())) stop();
    else if (link.readyState === link.OPEN) beat();
  };
  const stop = every(clock, pingMs, look, "ping");
  link.on("ping", hear);
  link.on("pong", hear);
  link.on("close", stop);
}

export interface Pinged extends Watched {
  write(frame: Buffer): void;
}

interface Pinger {
  /** From now on; the watch is what takes it away again. */
  add(link: Pinged): Watch<Pinged>;
  remove(watch: Watch<Pinged>): void;
}

/**
 * Pings many links, each every 20 s; one timer serves them all, for thousands of timers are memory. A
 * link whose turn cannot be had is let go, and the others have theirs.
 */
export function openPinger(clock: Clock, note: NoteFault): Pinger {
  /** In the order in which they are due, since all wait equally long. */
  const watches = new Set<Watch<Pinged>>();
  let timer: unknown = null;
  const turn = confine(
    note,
    "ping",
    (watch: Watch<Pinged>, now: number) => {
      if (!watch.look(now)) return;
      watches.add(watch);
      if (watch.link.readyState === watch.link.OPEN) watch.link.write(pingFrame);
    },
    (watch) => {
      watches.delete(watch);
      watch.link.terminate();
    },
  );
  const look = (): void => {
    const now = clock.now();
    for (const watch of watches) {
      if (watch.dueMs > now) break;
      watches.delete(watch);
      turn(watch, now);
    }
    timer = watches.size > 0 ? clock.setTimeout(look, pingTurnMs, "ping") : null;
  };
  return {
    add: (link) => {
      const watch = new Watch(link, clock.now());
      watches.add(watch);
      timer ??= clock.setTimeout(look, pingTurnMs, "ping");
      return watch;
    },
    remove: (watch) => {
      watches.delete(watch);
      if (watches.size > 0) return;
      clock.clearTimeout(timer);
      timer = null;
    },
  };
}

/**
 * Splice: two data links become one pipe. No actor, no machine and no rxjs touches a byte here. A
 * reader that is slow pauses the writer.
 */
import type { NoteFault } from "../../actors/confine.ts";
import type { Counts, SpliceReport } from "../../machines/vocabulary.ts";
import { closeCodes, dataMaxBytes, unsentCodes } from "../protocol/wire.ts";
import { frameOf, opcodes, putHead, type ReadBuffer } from "../websocket/frames.ts";
import { returnReadBuffer, sharedBuffer } from "../websocket/read-buffers.ts";
import { manyBytes, type ServerLink, type Sink } from "../websocket/server-link.ts";

/**
 * A client may send so much before it is spliced (an ssh banner and a key exchange are 3 KiB), and
 * what the last read brings beside: never twice as much, in one piece, however it was cut.
 */
export const earlyBytes = 64 * 1024;
/** An ssh banner; what is larger doubles. */
const earlyLeastBytes = 256;
/** One message may be larger, as a stranger's program may send it; so large it may not be. */
export const earlyMostBytes = 1024 * 1024;
/** Of a message before the splice (RFC 6455 5.4): ours has one. */
const fragmentsMost = 1_024;

/** Stop reading one side when so much waits for the other, and go on at the half. */
const highBytes = 1024 * 1024;
const lowBytes = highBytes / 2;
/** What a write that waits costs beside its bytes: a buffer and its place in a queue, some 250 bytes. */
const writeBytes = 256;

/** What all have that sent nothing; never added to. */
const none = Buffer.alloc(0);

/**
 * One end: a link, what it sent before the splice, in order, and after it the way to the other end.
 * There is one for each link: it is kept small.
 */
export class SpliceEnd implements Sink {
  readonly link: ServerLink;
  /** Whether it was the relay that closed it. */
  wasShut = false;
  readonly #left: () => void;
  readonly #failed: NoteFault;
  #early = none;
  #earlyBytes = 0;
  #splice: Splice | null = null;
  #to: ServerLink | null = null;
  /** Writes to the other end that are under way. */
  #writes = 0;
  /** Buffers out of which something is still being written to the other end. */
  #lent: ReadBuffer[] | null = null;

  /** `left` is called when the link has closed. */
  constructor(link: ServerLink, left: () => void, failed: NoteFault) {
    this.link = link;
    this.#left = left;
    this.#failed = failed;
  }

  /** Of the splice, once there is one. */
  get counts(): Counts | undefined {
    return this.#splice?.counts;
  }

  join(splice: Splice, to: ServerLink): void {
    this.#splice = splice;
    this.#to = to;
    this.link.mostBytes = dataMaxBytes;
    this.link.mayTakeBuffer = true;
    if (this.#earlyBytes > 0) {
      const data = this.#early.subarray(0, this.#earlyBytes);
      to.write(frameOf(opcodes.binary, data), this.#written);
      this.#passed(to, data.length);
    }
    this.#early = none; // or it would be kept as long as the link
    if (this.#waiting(to) < lowBytes) this.link.resume();
  }

  take(link: ServerLink, start: number, end: number, bytes: number): void {
    const { buffer } = link;
    const to = this.#to;
    if (!to) return this.#keep(buffer.bytes, start, end);
    if (to.readyState !== to.OPEN) return;
    const frame = buffer.bytes.subarray(putHead(buffer.bytes, start, end), end);
    // Behind others it would have to wait, and the buffer is worth more than a copy.
    const isCopy = buffer === sharedBuffer || (to.bufferedAmount > 0 && bytes < manyBytes);
    to.write(isCopy ? Buffer.from(frame) : frame, this.#written);
    this.#passed(to, end - start);
    if (isCopy || to.bufferedAmount === 0) return;
    this.#lent ??= [];
    this.#lent.push(link.borrowBuffer());
  }

  closed(code: number): void {
    this.#early = none;
    this.#left();
    this.#splice?.closed(this, code);
  }

  failed(error: unknown): void {
    this.#failed("data link", error);
    this.#to?.terminate(); // or it would wait for the end of this one
  }

  /** To be called when both links have closed: nothing is written any more. */
  takeBack(): void {
    for (const used of this.#lent ?? []) returnReadBuffer(used);
    this.#lent = null;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    if (this.link.fragments > fragmentsMost)
      return this.link.refuse(closeCodes.tooMany, "too many fragments");
    const before = this.#earlyBytes;
    this.#earlyBytes += end - start;
    if (this.#earlyBytes > this.#early.length) {
      const doubled = Math.min(Math.max(earlyLeastBytes, 2 * this.#early.length), 2 * earlyBytes);
      const larger = Buffer.allocUnsafeSlow(Math.max(doubled, this.#earlyBytes));
      this.#early.copy(larger, 0, 0, before);
      this.#early = larger;
    }
    bytes.copy(this.#early, before, start, end);
    if (this.#earlyBytes > earlyBytes) this.link.pause();
  }

  /** What waits for the other end costs so much. */
  #waiting(to: ServerLink): number {
    return to.bufferedAmount + this.#writes * writeBytes;
  }

  #passed(to: ServerLink, bytes: number): void {
    this.#splice?.count(this, bytes);
    this.#writes += 1;
    if (this.#waiting(to) <= highBytes || this.link.isPaused) return;
    this.#splice?.countPause();
    this.link.pause();
  }

  readonly #written = (): void => {
    this.#writes -= 1;
    const to = this.#to;
    if (!to) return;
    if (to.bufferedAmount === 0 && this.#lent) this.takeBack();
    if (this.link.isPaused && this.#waiting(to) < lowBytes) this.link.resume();
  };
}

/** Both ends, from the moment they are joined. */
export class Splice {
  readonly counts: Counts = { clientBytes: 0, agentBytes: 0, pauses: 0 };
  readonly #client: SpliceEnd;
  readonly #agent: SpliceEnd;
  readonly #ended: (report: SpliceReport) => void;
  #endedBy: SpliceReport["endedBy"] | null = null;

  /**
   * When one end closes, the other is closed too, once everything was written to it; `ended` is
   * called when both have.
   */
  constructor(client: SpliceEnd, agent: SpliceEnd, ended: (report: SpliceReport) => void) {
    this.#client = client;
    this.#agent = agent;
    this.#ended = ended;
    client.join(this, agent.link);
    agent.join(this, client.link);
  }

  count(end: SpliceEnd, bytes: number): void {
    if (end === this.#client) this.counts.clientBytes += bytes;
    else this.counts.agentBytes += bytes;
  }

  countPause(): void {
    this.counts.pauses += 1;
  }

  closed(end: SpliceEnd, code: number): void {
    const ends = [this.#client, this.#agent];
    if (this.#endedBy !== null) {
      for (const each of ends) each.takeBack();
      return this.#ended({ ...this.counts, endedBy: this.#endedBy });
    }
    const by = end === this.#client ? "client" : "agent";
    this.#endedBy = ends.some(({ wasShut }) => wasShut) ? "relay" : by;
    const other = end === this.#client ? this.#agent.link : this.#client.link;
    other.flush(() => {
      if (code === unsentCodes.lost)
        other.close(closeCodes.peerLost, `the ${by}'s connection was lost`);
      else other.close(closeCodes.done);
    });
  }
}

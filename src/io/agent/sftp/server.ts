/**
 * The SFTP server: one session of version 3 on a stream of bytes, from the peer's INIT to its end.
 * It takes packets in, lets requests through in turn, and sends replies no faster than they go.
 *
 * Ours instead of ssh2's, for the extensions and for speed. Does not know ssh, and promises no
 * jail: a client may do what the process may. What each request does is in `requests.ts`.
 *
 * Order: requests with a path go alone, after all before and before all after them. Requests with
 * a handle go in order for that handle, though reads go beside reads; other handles do not wait.
 * The replies of one handle keep the order too: OpenSSH 9.2 cuts a file off, and says nothing, where
 * the first reply to a READ came out of turn.
 */
import { homedir } from "node:os";
import type { Duplex, Writable } from "node:stream";
import { closeHandle } from "./handles.ts";
import { returnReplyBuffer } from "./reply-buffers.ts";
import { understand, versionReply } from "./requests.ts";
import { sendsLinkFirst } from "./symlinks.ts";
import { closed, failureReply, type Session, type Task } from "./tasks.ts";
import { makeTurns, takeTurn } from "./turns.ts";
import { codes, type Packet, packetReader, SftpError, takeU32, types } from "./wire.ts";

export interface SftpOptions {
  /** Absolute; relative paths are below it. */
  readonly home: string;
  /** Every change is answered PERMISSION_DENIED, opening to write too. */
  readonly readOnly: boolean;
  /** What the client says it is (RFC 4253 4.2); some send the paths of SYMLINK in another order. */
  readonly software: string;
  /** By default that of the process. */
  readonly platform?: NodeJS.Platform;
  /** What `~` means; by default the home directory of the process's user. */
  readonly userHome?: string;
  /** Milliseconds since 1970, for the dates in a listing; by default the machine's. */
  readonly wall?: () => number;
  /** Called for each reply sent: that is what counts as activity. */
  readonly onReply: (bytes: number) => void;
}

/**
 * What the stream of an ssh2 server has beyond a Duplex, both used when there. When it calls back
 * it has no more use for what was written: ssh2 has encrypted it.
 */
export interface SftpChannel extends Duplex {
  exit?(status: number): unknown;
  readonly stderr?: Writable;
}

/** Requests under way or answered but not yet sent: their number, and the bytes kept for them. */
const maxUnderWay = 128;
const maxKept = 1024 * 1024;

/** Replies on their way out, and how much is under way at all. */
interface Traffic {
  /** No more requests should be let in. */
  isFull(): boolean;
  begin(cost: number): void;
  /** Sends a reply when the channel takes it; `cost` is what was begun for it. */
  end(reply: Buffer, cost: number): void;
  /** From now on replies are dropped, and nobody waits for the channel. */
  abandon(): void;
  isAbandoned(): boolean;
  /** Resolves at the next change. */
  changed(): Promise<void>;
  count(): number;
}

function trafficOn(channel: Duplex, onReply: (bytes: number) => void): Traffic {
  const outbox: { readonly reply: Buffer; readonly cost: number }[] = [];
  let underWay = 0;
  let kept = 0;
  let isStalled = false;
  let isAbandoned = false;
  let wake: (() => void) | undefined;

  const flush = (): void => {
    while (isAbandoned || !isStalled) {
      const next = outbox.shift();
      if (!next) break;
      underWay -= 1;
      kept -= next.cost;
      if (isAbandoned) continue;
      isStalled = !channel.write(next.reply, () => returnReplyBuffer(next.reply));
      onReply(next.reply.length);
    }
    wake?.();
    wake = undefined;
  };
  channel.on("drain", () => {
    isStalled = false;
    flush();
  });

  return {
    isFull: () => underWay >= maxUnderWay || kept >= maxKept,
    begin(cost) {
      underWay += 1;
      kept += cost;
    },
    end(reply, cost) {
      outbox.push({ reply, cost });
      if (!channel.writable) isAbandoned = true;
      flush();
    },
    abandon() {
      isAbandoned = true;
      flush();
    },
    isAbandoned: () => isAbandoned,
    changed: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
    count: () => underWay,
  };
}

/** Takes requests: each is let through in its turn, and answered whatever becomes of it. */
function requestsOf(session: Session, traffic: Traffic): (packet: Packet) => void {
  const paths = makeTurns();
  const answered = new WeakMap<object, Promise<unknown>>();

  const inTurn = ({ handle, manner, work }: Task): Promise<Buffer> => {
    if (!handle) return takeTurn(paths, manner, work);
    const unlessClosed = (): Promise<Buffer> => {
      if (handle.isClosed) throw closed();
      return work();
    };
    // "reading" of all paths: beside whatever goes through a handle, and in order with the rest.
    return takeTurn(paths, "reading", () => takeTurn(handle.turns, manner, unlessClosed));
  };

  return ({ type, length, body }) => {
    const id = takeU32(body);
    const task = understoodOrNot(() => understand(type, id, body, session));
    const cost = length + task.cost;
    traffic.begin(cost);
    const reply = inTurn(task).catch((error: unknown) => failureReply(id, error));
    const { handle } = task;
    const before = handle && answered.get(handle);
    const sent = Promise.all([reply, before]).then(([reply]) => traffic.end(reply, cost));
    if (handle) answered.set(handle, sent);
  };
}

/** A request that makes no sense is a task too, one that fails. */
function understoodOrNot(read: () => Task): Task {
  try {
    return read();
  } catch (error) {
    return { manner: "reading", cost: 0, work: () => Promise.reject(error) };
  }
}

/**
 * Until the peer ends or is gone. Rejects when the peer does not keep to the protocol. Chunks are
 * heard and not iterated over: an iterator of Node's joins them first, which is a copy of each.
 */
function readPackets(channel: Duplex, session: Session, traffic: Traffic): Promise<void> {
  const reader = packetReader();
  const request = requestsOf(session, traffic);
  let isGreeted = false;
  const take = (packet: Packet): void => {
    if (isGreeted !== (packet.type !== types.INIT))
      throw new SftpError(codes.BAD_MESSAGE, "INIT comes first, and once");
    if (isGreeted) return request(packet);
    traffic.begin(0);
    traffic.end(versionReply(), 0);
    isGreeted = true;
  };
  return new Promise((resolve, reject) => {
    /** Takes all that is there; false when it has to wait for room, and goes on by itself then. */
    const takeAll = (): boolean => {
      for (;;) {
        if (traffic.isAbandoned()) return true;
        if (traffic.isFull()) {
          void traffic.changed().then(goOn);
          return false;
        }
        const packet = reader.next();
        if (!packet) return true;
        take(packet);
      }
    };
    const goOn = (): void => {
      try {
        if (takeAll()) channel.resume();
        else channel.pause();
      } catch (error) {
        channel.off("data", hear);
        reject(error);
      }
    };
    const hear = (chunk: Buffer): void => {
      reader.push(chunk);
      goOn();
    };
    channel.on("data", hear);
    channel.once("end", resolve);
    channel.once("close", resolve);
    channel.once("error", reject);
  });
}

/** The user's home directory; a user that is a number only has none, and Node throws. */
function homeOr(other: string): string {
  try {
    return homedir();
  } catch {
    return other;
  }
}

/**
 * Serves until the peer ends the stream, is gone, or sends what is no SFTP; then ends the stream,
 * with an exit status where the channel has one. Resolves when every handle is closed; never
 * rejects. Kept at most: 1 MiB and one packet of requests and replies, beside the channel's own.
 */
export async function serveSftp(channel: SftpChannel, options: SftpOptions): Promise<void> {
  const traffic = trafficOn(channel, options.onReply);
  const session: Session = {
    home: options.home,
    userHome: options.userHome ?? homeOr(options.home),
    readOnly: options.readOnly,
    platform: options.platform ?? process.platform,
    linkFirst: sendsLinkFirst(options.software),
    nowMs: options.wall ?? Date.now,
    handles: new Map(),
    goesOn: () => !traffic.isAbandoned(),
    legend: undefined,
  };
  channel.on("error", () => traffic.abandon());
  channel.once("close", () => traffic.abandon());
  // ssh2 keeps "close" back until everything was read, but ends this when the peer is gone.
  channel.stderr?.once("finish", () => traffic.abandon());

  const exitStatus = await readPackets(channel, session, traffic).then(
    () => 0,
    () => 1,
  );
  while (traffic.count() > 0) await traffic.changed();
  const left = [...session.handles.values()];
  await Promise.allSettled(left.map((handle) => closeHandle(session.handles, handle)));
  channel.exit?.(exitStatus);
  channel.end();
  channel.resume();
}

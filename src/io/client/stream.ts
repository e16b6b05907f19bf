/**
 * Stream: the client's end of a byte stream that outlives its links: the link that it began on, what
 * the near side says and hears, and the next link when that one is lost. How to look for one is loaded
 * then; nearly no ssh needs it. It cannot read the bytes.
 */
import type { Clock } from "../../actors/clock.ts";
import { ConvergeError } from "../../actors/errors.ts";
import type { Redialling } from "../../actors/redial.ts";
import { spoken } from "../../actors/words/sentences.ts";
import type { RedialEnding } from "../../machines/redial.ts";
import { closeCodes } from "../protocol/wire.ts";
import {
  type KeyPair,
  newKeyPair,
  nonceBytes,
  type StreamKeys,
  streamKeys,
  welcomeBytes,
} from "../resume/keys.ts";
import {
  closings,
  type RecordHearer,
  RecordReader,
  recordOf,
  recordsVersion,
  recordTypes,
} from "../resume/records.ts";
import { type Leg, Resumable } from "../resume/resumable.ts";
import { plainText } from "../text.ts";
import { type DataLink, shut } from "../websocket/link.ts";
import type { NearSide } from "./near-side.ts";
import type { ProxyCommandConfig } from "./proxy-command.ts";
import { watchPulse } from "./pulse.ts";
import type { ClientStream } from "./redial.ts";

/** Stop reading the near side when so much waits for the link. */
const highBytes = 1024 * 1024;

export interface StreamPorts {
  readonly config: ProxyCommandConfig;
  readonly near: NearSide;
  /** Takes what came for the near side; false while it should not have more. */
  readonly receive: (data: Buffer) => boolean;
  readonly clock: Clock;
  readonly stop: AbortSignal;
  /** Why a link that ended that way ends the stream as well, as an error; null when it does not. */
  readonly finalOf: (code: number, reason: string) => ConvergeError | null;
}

export interface RunningStream {
  /** Bytes that came on the link that it began on. */
  hear(data: Buffer): void;
  /** That link is closed. */
  closed(code: number, reason: string): void;
  /** What came cannot be trusted: it is over. */
  fail(error: ConvergeError): void;
  /** Resolves when either side has ended it, rejects with why it cannot go on. */
  readonly ended: Promise<void>;
}

/** Made while the relay looks for the agent. */
export type StreamKey = KeyPair;
export const newStreamKey = newKeyPair;

/** Goes on over an open link whose other end is the agent. */
export function runStream(first: DataLink, own: StreamKey, ports: StreamPorts): RunningStream {
  const { config, near, clock, stop } = ports;
  const { input } = near;
  const over = new AbortController();
  let agentKey: Uint8Array | null = null;
  let known: StreamKeys | null = null;
  let current: { link: DataLink; leg: Leg } | null = null;
  let redialling: Redialling | null = null;
  let loading: Promise<Redialling> | null = null;
  let hasLeft = false;
  let settle: { resolve: () => void; reject: (error: Error) => void };
  const ended = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });

  const finish = (error: ConvergeError | null): void => {
    if (over.signal.aborted) return;
    over.abort();
    stopPulse();
    stop.removeEventListener("abort", leave);
    redialling?.stop();
    resumable.finish();
    if (error) settle.reject(error);
    else settle.resolve();
  };

  const resumable = new Resumable(
    {
      data: (room, from, to) => {
        const data = Buffer.from(room.buffer, room.byteOffset + from, to - from);
        if (!ports.receive(data)) current?.leg.pause();
      },
      closed: () => {
        if (current) shut(current.link, clock, closeCodes.done);
        finish(null);
      },
      drained: () => goOn(),
      other: (type, body) => {
        const isWelcome = type === recordTypes.welcome && body[0] === recordsVersion;
        if (isWelcome && body.length === welcomeBytes) agentKey ??= body.slice(1 + nonceBytes);
        if (type === recordTypes.move) void redial().then((it) => it.send({ type: "MOVE.ASKED" }));
      },
    },
    { usedBytes: 0, mostBytes: Number.POSITIVE_INFINITY }, // it is the only one here
    clock,
  );
  const goOn = (): void => {
    const waits = current?.link.bufferedAmount ?? 0;
    if (input.isPaused() && !resumable.isFull && waits < highBytes / 2) input.resume();
  };
  const send = (data: Buffer): void => {
    resumable.write([data], data.length, goOn);
    if (resumable.isFull || (current?.link.bufferedAmount ?? 0) > highBytes) input.pause();
  };

  const legOf = (link: DataLink): Leg => ({
    write: (front, parts, sent) => {
      if (link.sendAfter) link.sendAfter(front, parts, sent);
      else link.send(Buffer.concat([front, ...parts]), sent);
    },
    pause: () => link.pause(),
    resume: () => link.resume(),
    end: () => shut(link, clock, closeCodes.done),
    cut: () => link.terminate(),
  });

  /** Whoever is on this side has ended, or this program shall. */
  function leave(): void {
    if (hasLeft) return;
    hasLeft = true;
    resumable.close(closings.done);
    redialling?.send({ type: "NEAR.ENDED" });
    // A link that takes nothing is as good as lost.
    if (current) {
      const { leg } = current;
      const late = clock.setTimeout(() => leg.cut(), goodbyeMs);
      over.signal.addEventListener("abort", () => clock.clearTimeout(late), { once: true });
    }
  }

  function lost(leg: Leg, code: number, reason: string): void {
    if (!resumable.detach(leg)) return; // another took its place
    current = null;
    config.debug(`Closed with code ${code}. ${reason}`);
    if (over.signal.aborted) return;
    if (hasLeft && code === closeCodes.done) return finish(null);
    const error = ports.finalOf(code, reason);
    if (error) return finish(hasLeft ? null : error);
    if (!agentKey) return finish(hasLeft ? null : lostFor(reason));
    void redial().then((it) => {
      if (hasLeft) it.send({ type: "NEAR.ENDED" });
      it.send({ type: "LINK.LOST" });
    });
  }

  const stream: ClientStream = {
    resumable,
    keys: () => {
      if (agentKey) known ??= streamKeys(own, agentKey, { client: own.publicKey, agent: agentKey });
      return known;
    },
    legOf,
    use: (link, leg) => {
      current = { link, leg };
      link.on("close", (code, why) => lost(leg, code, plainText(why.toString())));
    },
  };

  /** Loads what looks for links, once. */
  function redial(): Promise<Redialling> {
    loading ??= import("./redial.ts").then(({ redialFor }) => {
      redialling = redialFor(stream, config, clock);
      redialling.ended.then(
        (ending: RedialEnding | undefined) => {
          if (!ending) return; // it was stopped
          if (ending.kind === "parted" || hasLeft) finish(null);
          else if (ending.kind === "ended") finish(new ConvergeError("CONVERGE_ENDED", ending.why));
          else if (ending.kind === "refused") finish(lostFor(ending.why));
          else finish(lostFor(`no way back for ${spoken(config.resumeMs)} (${ending.why})`));
        },
        () => {},
      );
      if (over.signal.aborted) redialling.stop();
      return redialling;
    });
    return loading;
  }

  const stopPulse = watchPulse(
    {
      heard: () => (!current || current.link.isPaused ? null : resumable.heard),
      ask: () => resumable.say(recordOf(recordTypes.ping, new Uint8Array(4))),
      isDead: () => current?.leg.cut(),
      woke: () => redialling?.send({ type: "WOKE" }),
    },
    clock,
  );

  const reader = new RecordReader(noHearer);
  const leg = legOf(first);
  current = { link: first, leg };
  const open = recordOf(recordTypes.open, Uint8Array.of(recordsVersion), own.publicKey);
  resumable.attach(leg, reader, 0, open);
  near.output.on("drain", () => resumable.resume());
  near.release(send);
  near.onEnd(leave);
  stop.addEventListener("abort", leave, { once: true });
  if (stop.aborted) leave();
  return {
    hear: (data) => reader.read(data, 0, data.length),
    closed: (code, reason) => lost(leg, code, reason),
    fail: (error) => {
      if (current) shut(current.link, clock, closeCodes.done);
      finish(error);
    },
    ended,
  };
}

/** From the near side's end to this one's. */
const goodbyeMs = 1_500;

const lostFor = (reason: string): ConvergeError =>
  new ConvergeError("CONVERGE_LOST", reason || "no more was heard");

/** For a reader that is given another before it reads. */
const noHearer: RecordHearer = {
  data: () => {},
  ack: () => {},
  record: () => {},
  rest: () => {},
  fault: () => {},
};

/**
 * Converse: what wsproxy and a relay say to each other on one open websocket: bytes between it and
 * the near side, and sentences for the person. It cannot read the bytes; with a fingerprint it looks
 * at the key exchange, which is in the clear. It does not know how the websocket was dialled, nor
 * whether there will be another.
 */
import type { Clock } from "../../actors/clock.ts";
import { ConvergeError } from "../../actors/errors.ts";
import { spoken } from "../../actors/words/sentences.ts";
import type { Read, ToClient } from "../protocol/messages.ts";
import { closeCodes, finalCodes, resumeWord, unsentCodes } from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import { expectPings } from "../websocket/keep-alive.ts";
import { type DataLink, shut } from "../websocket/link.ts";
import type { HostKeyPin } from "./host-key-pin.ts";
import type { NearSide } from "./near-side.ts";
import type { ProxyCommandConfig, Say } from "./proxy-command.ts";
import type { RunningStream, runStream, StreamKey } from "./stream.ts";

/** Stop reading one side when so much waits for the other. */
const highBytes = 1024 * 1024;
/** What may wait for the near side before the far side is paused: more than the window of an ssh channel. */
const outMostBytes = 4 * 1024 * 1024;
/** What a relay may have said to the person; an honest one says two things. */
const sentencesMost = 20;
/** From the near side's end to this one's. */
const goodbyeMs = 1_500;

/** What is needed to follow what comes in. */
interface Understanding {
  readonly read: (text: string) => Read<ToClient>;
  readonly pin: HostKeyPin | null;
  /** How to go on over another link; null where that is not wanted. */
  readonly stream: { readonly run: typeof runStream; readonly key: StreamKey } | null;
}

/** Loaded while the relay looks for the agent: until the first byte went out every ssh waits for us. */
export async function understanding({
  fingerprint,
  raw,
  resumeMs,
}: ProxyCommandConfig): Promise<Understanding> {
  const [{ readToClient: read }, pins, streams] = await Promise.all([
    import("../protocol/messages.ts"),
    fingerprint === null ? null : import("./host-key-pin.ts"),
    raw || resumeMs === 0 ? null : import("./stream.ts"),
  ]);
  return {
    read,
    pin: pins && fingerprint !== null ? pins.pinHostKey(fingerprint) : null,
    stream: streams && { run: streams.runStream, key: streams.newStreamKey() },
  };
}

/** From the open websocket to its close. */
export function converse(
  socket: DataLink,
  { read: readMessage, pin, stream }: Understanding,
  config: ProxyCommandConfig,
  near: NearSide,
  say: Say,
  clock: Clock,
  stop: AbortSignal,
): Promise<void> {
  const { input, output } = near;
  return new Promise((resolve, reject) => {
    let isSpliced = false;
    let canResume = false;
    /** The stream, once it is one that outlives this link. */
    let running: RunningStream | null = null;
    let hasLeft = false;
    let sentences = 0;
    let failed: ConvergeError | null = null;
    let late: unknown = null;
    const end = (): void => {
      shut(socket, clock, closeCodes.done);
      // Nobody is left who cares for what could not be sent by then.
      late ??= clock.setTimeout(() => socket.terminate(), goodbyeMs);
    };
    const leave = (): void => {
      hasLeft = true;
      end();
    };
    const fail = (error: ConvergeError): void => {
      if (running) return running.fail(error);
      failed ??= error;
      end();
    };

    const goOn = ({ run, key }: NonNullable<typeof stream>): void => {
      stop.removeEventListener("abort", end);
      const finalOf = (code: number, reason: string): ConvergeError | null =>
        finalCodes.has(code) ? explain(code, reason, config, true) : null;
      const take = (data: Buffer): boolean => {
        receive(data);
        return output.writableLength <= outMostBytes;
      };
      running = run(socket, key, { config, near, receive: take, clock, stop, finalOf });
      running.ended.then(resolve, reject);
    };
    const start = (): void => {
      isSpliced = true;
      if (stream && canResume) return goOn(stream);
      const sent = (): void => {
        if (input.isPaused() && socket.bufferedAmount < highBytes / 2) input.resume();
      };
      const send = (data: Buffer): void => {
        socket.send(data, sent);
        if (socket.bufferedAmount > highBytes) input.pause();
      };
      near.release(send);
      // ssh that ends its output has ended itself. `echo hello | wsproxy --raw` has not: it reads on,
      // and `ws` hears the rest, for at most 30 s.
      near.onEnd(() => (config.raw ? socket.close(closeCodes.done) : leave()));
    };

    const deliver = (data: Buffer): void => {
      output.write(data);
      // Read on as long as possible: whoever does not read does not answer pings either.
      if (output.writableLength > outMostBytes) socket.pause();
    };
    const receive = (data: Buffer): void => {
      if (pin?.verdict === "matched" || !pin) return deliver(data);
      for (const part of pin.pass(data)) deliver(part);
      if (typeof pin.verdict === "object")
        fail(
          new ConvergeError(
            "CONVERGE_FINGERPRINT",
            `${config.fingerprint}. ${pin.verdict.refused.replace(/\.$/, "")}`,
          ),
        );
    };
    const hear = (text: string): void => {
      const read = readMessage(text);
      if ("malformed" in read)
        return fail(
          new ConvergeError("CONVERGE_REFUSED", `it said something odd: ${read.malformed}`),
        );
      if (read.message?.type === "found") canResume = read.message.can.includes(resumeWord);
      if (read.message?.type === "spliced") start();
      else if (read.message && sentences < sentencesMost) {
        sentences += 1;
        say(heard(read.message));
      }
    };

    output.on("drain", () => socket.resume());
    socket.on("message", (data: Buffer, isBinary) => {
      if (running) running.hear(data);
      else if (isBinary) receive(data);
      else if (config.raw || isSpliced) receive(data);
      else hear(data.toString());
    });
    const closed = (code: number, reason: Buffer): void => {
      if (running) return running.closed(code, plainText(reason.toString()));
      stop.removeEventListener("abort", end);
      clock.clearTimeout(late);
      config.debug(`Closed with code ${code}. ${plainText(reason.toString())}`);
      if (failed) reject(failed);
      else if (stop.aborted || hasLeft) resolve();
      else {
        const error = explain(code, plainText(reason.toString()), config, isSpliced);
        if (error) reject(error);
        else resolve();
      }
    };
    socket.on("close", closed);
    if (socket.readyState === socket.CLOSED) return closed(unsentCodes.lost, Buffer.alloc(0));
    stop.addEventListener("abort", end, { once: true });
    if (stop.aborted) end();
    if (config.raw) start();
    else expectPings(socket, clock); // a stranger's server owes us none
    socket.resume();
  });
}

function heard(message: Exclude<ToClient, { type: "spliced" }>): string {
  if (message.type === "waiting")
    return `No agent has registered under this id yet; waiting for it, up to ${spoken(message.forMs)}.`;
  const { host, user, os, shell } = message.agent;
  const left =
    message.leftMs === null ? "" : `, ends in ${spoken(message.leftMs)} without activity`;
  return `Found the agent: ${user}@${host}, ${os}, shell ${shell}${left}.`;
}

/** What a relay tells of the last agent of an id, after what it says of every unknown one. */
function pastIn(reason: string): string {
  const [, past = ""] = /; (it ended .*)$/.exec(reason) ?? [];
  return past && ` (${past})`;
}

/** Why a websocket closed, as an error to die of; null when it ended as it should. */
function explain(
  code: number,
  reason: string,
  config: ProxyCommandConfig,
  isSpliced: boolean,
): ConvergeError | null {
  const id = plainText(config.url.pathname.split("/").at(-1) ?? "");
  // Ours always have a code.
  if (config.raw && (code === unsentCodes.none || code === closeCodes.goingAway)) return null;
  switch (code) {
    case closeCodes.done:
      return null;
    case closeCodes.noSuchRendezvous:
      return new ConvergeError("CONVERGE_NO_AGENT", id + pastIn(reason));
    case closeCodes.agentSilent:
      return new ConvergeError("CONVERGE_AGENT_SILENT", id);
    case closeCodes.version:
      return new ConvergeError("CONVERGE_VERSION", reason);
    case closeCodes.refused:
    case closeCodes.malformed:
    case closeCodes.binaryOnly:
    case closeCodes.tooBig:
      return new ConvergeError("CONVERGE_REFUSED", reason || `close code ${code}`);
    default:
      if (isSpliced) return new ConvergeError("CONVERGE_LOST", reason || "no more was heard");
      return new ConvergeError(
        "CONVERGE_UNREACHABLE",
        `${config.url.host} (${reason || "it closed the connection"})`,
      );
  }
}

/**
 * Visits: links that were dialled back, each a new ssh connection's carrier, or the next link of one
 * that has lost its own. It knows websockets and records and no ssh; who may log in is decided behind it.
 */
import { randomBytes } from "node:crypto";
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import type { Log } from "../../actors/ports.ts";
import { holderOf } from "../holder.ts";
import { openLineBudget } from "../line-budget.ts";
import { closeCodes, resumeWord } from "../protocol/wire.ts";
import {
  agentProof,
  askedBytes,
  clientProof,
  isSame,
  macBytes,
  newKeyPair,
  nonceBytes,
  openBytes,
  type StreamKeys,
  streamBytes,
  streamKeys,
} from "../resume/keys.ts";
import {
  placeAt,
  placeBytes,
  putPlace,
  type RecordHearer,
  RecordReader,
  recordOf,
  recordsVersion,
  recordTypes,
  refusals,
} from "../resume/records.ts";
import type { Keep } from "../resume/resumable.ts";
import { expectPings } from "../websocket/keep-alive.ts";
import { shut, unheard } from "../websocket/link.ts";
import { linkStream, readLinkInPlace, writeToLink } from "../websocket/link-stream.ts";
import {
  type ResumableCarrier,
  resumableCarrier,
  type Visit,
  type VisitLeg,
} from "./resumable-carrier.ts";
import type { Carrier } from "./ssh/carrier.ts";
import { tooMany } from "./ssh/pre-auth.ts";

/** What all streams of an agent keep for clients that are slow, or away. */
const keptMostBytes = 64 * 1024 * 1024;
/** For the first record of a link, which says whether it is a new stream. */
const firstRecordMs = 10_000;
/** Links that one stream may be given in a second. */
const resumesPerSecond = 5;
/** Lines about one side's tries, in a minute. */
const linesMost = 30;

const resumeBytes = askedBytes + macBytes;

export interface VisitsConfig {
  /** Whether streams outlive their links, where the client can do its part. */
  readonly isResumable: boolean;
  /** Takes a new carrier, and must listen to its stream at once. */
  readonly accept: (carrier: Carrier) => void;
}

export interface Visits {
  /** Takes an open and paused link of a client that can do what the words say. */
  take(link: WebSocket, visit: Visit, can: readonly string[]): void;
  /** Tells those who can dial anew that their links will be cut in so many milliseconds. */
  move(afterMs: number): void;
  /** Nobody goes on over another link any more. */
  close(): void;
}

/** A stream that may get another link, and what it may ask for. */
interface Stream {
  readonly carrier: ResumableCarrier;
  readonly keys: StreamKeys;
  /** The last that was proven to be its own. */
  attempt: number;
  /** The second of that, by the clock, and how many it had in it. */
  second: number;
  times: number;
}

export function openVisits({ isResumable, accept }: VisitsConfig, clock: Clock, log: Log): Visits {
  const own = newKeyPair();
  const keep: Keep = { usedBytes: 0, mostBytes: keptMostBytes };
  const streams = new Map<string, Stream>();
  /** Links whose first record has not come. */
  const strangers = new Set<WebSocket>();
  const budget = openLineBudget(log, clock);
  let streamsSoFar = 0;
  let isClosed = false;
  const nameOf = (stream: Uint8Array): string => Buffer.from(stream).toString("latin1");

  /** One that ends with its link. */
  function takeRaw(link: WebSocket, visit: Visit): void {
    const stream = linkStream(link);
    expectPings(link, clock);
    accept({
      ...visit,
      stream,
      standing: null,
      get isOver(): boolean {
        return link.readyState === link.CLOSED;
      },
      keep: () => readLinkInPlace(link, stream),
      end: () => shut(link, clock, closeCodes.goingAway),
      cut: () => link.terminate(),
      onceOver: (act) => void link.once("close", act),
      onTurn: () => {},
    });
    link.resume();
  }

  function legOf(link: WebSocket, reader: RecordReader): VisitLeg {
    return {
      write: (front, parts, sent = unheard) => writeToLink(link, front, parts, () => sent()),
      pause: () => link.pause(),
      resume: () => link.resume(),
      end: () => shut(link, clock, closeCodes.done),
      cut: () => link.terminate(),
      readInPlace: (stream) =>
        readLinkInPlace(link, stream, (room, from, to) => reader.read(room, from, to)),
    };
  }

  function takeResumable(link: WebSocket, visit: Visit): void {
    const nonce = randomBytes(nonceBytes);
    let carrier: ResumableCarrier | null = null;
    const cut = (): void => link.terminate();
    const late = clock.setTimeout(cut, firstRecordMs);
    const known = (): void => {
      clock.clearTimeout(late);
      strangers.delete(link);
    };
    const first: RecordHearer = {
      data: cut,
      ack: cut,
      record: (type, body) => {
        known();
        if (type === recordTypes.open) carrier = begin({ leg, reader, visit }, body);
        else if (type === recordTypes.resume) carrier = goOn({ leg, reader, visit }, nonce, body);
        if (!carrier) reader.halt();
        if (!carrier && type !== recordTypes.resume) cut();
      },
      rest: () => {},
      fault: cut,
    };
    const reader = new RecordReader(first);
    const leg = legOf(link, reader);
    link.on("message", (data: Buffer, isBinary: boolean) =>
      isBinary ? reader.read(data, 0, data.length) : cut(),
    );
    link.once("close", () => {
      known();
      carrier?.lose(leg);
    });
    expectPings(link, clock);
    strangers.add(link);
    tooMany([...strangers])?.terminate();
    leg.write(
      recordOf(recordTypes.welcome, Uint8Array.of(recordsVersion), nonce, own.publicKey),
      [],
    );
    link.resume();
  }

  interface Arrival {
    readonly leg: VisitLeg;
    readonly reader: RecordReader;
    readonly visit: Visit;
  }

  /** A new stream; null for an opening that should not be. */
  function begin(arrival: Arrival, body: Uint8Array): ResumableCarrier | null {
    if (body.length !== openBytes || body[0] !== recordsVersion) return null;
    streamsSoFar += 1;
    const clientKey = body.slice(1);
    let name = "";
    const carrier = resumableCarrier(streamsSoFar, arrival, keep, clock, {
      kept: () => {
        const keys = streamKeys(own, clientKey, { client: clientKey, agent: own.publicKey });
        if (!keys || isClosed) return false; // nobody could come back: it ends with its link
        const its = nameOf(keys.stream);
        if (streams.has(its)) return false; // who opens twice with one key leaves the first its place
        name = its;
        streams.set(name, { carrier, keys, attempt: 0, second: 0, times: 0 });
        return true;
      },
      over: () => streams.delete(name),
    });
    accept(carrier);
    return carrier;
  }

  /** The stream that is to go on over this link; null when that was refused. */
  function goOn(arrival: Arrival, nonce: Uint8Array, body: Uint8Array): ResumableCarrier | null {
    const { leg, reader, visit } = arrival;
    const refuse = (code: number, reason: string): null => {
      const { address } = visit;
      const line = "resume refused";
      if (!isClosed && budget.may({ line, from: holderOf(address), reason, most: linesMost }))
        log.info({ address, reason }, line);
      leg.write(recordOf(recordTypes.refused, Uint8Array.of(code)), []);
      leg.end();
      return null;
    };
    if (isClosed) return refuse(refusals.ended, "the agent is ending");
    if (body.length !== resumeBytes) return refuse(refusals.proof, "it is malformed");
    const asked = body.subarray(0, askedBytes);
    const proof = body.subarray(askedBytes);
    const stream = streams.get(nameOf(asked.subarray(0, streamBytes)));
    if (!stream) return refuse(refusals.unknown, "it is of no stream here");
    if (!isSame(proof, clientProof(stream.keys, nonce, asked)))
      return refuse(refusals.proof, "its proof is wrong");
    const attempt = new DataView(asked.buffer, asked.byteOffset).getUint32(streamBytes);
    if (attempt <= stream.attempt) return refuse(refusals.stale, "a later try was made");
    const second = Math.trunc(clock.now() / 1_000);
    stream.times = second === stream.second ? stream.times + 1 : 1;
    stream.second = second;
    if (stream.times > resumesPerSecond) return refuse(refusals.busy, "too many tries in a second");
    if (!stream.carrier.mayComeFrom(visit.address))
      return refuse(refusals.address, "its key may not be used from there");
    stream.attempt = attempt;
    const place = placeAt(asked, askedBytes - placeBytes);
    const { place: taken } = stream.carrier;
    const from = new Uint8Array(placeBytes);
    putPlace(from, 0, taken);
    const proven = agentProof(stream.keys, proof, taken);
    const resumed = recordOf(recordTypes.resumed, from, proven);
    if (stream.carrier.resume(leg, reader, place, resumed, visit)) return stream.carrier;
    stream.carrier.cut();
    return refuse(refusals.gap, "what it misses is not kept");
  }

  return {
    take: (link, visit, can) => {
      if (isResumable && can.includes(resumeWord)) takeResumable(link, visit);
      else takeRaw(link, visit);
    },
    move: (afterMs) => {
      const body = new Uint8Array(4);
      new DataView(body.buffer).setUint32(0, Math.min(afterMs, 2 ** 32 - 1));
      for (const { carrier } of streams.values()) carrier.say(recordOf(recordTypes.move, body));
    },
    close: () => {
      isClosed = true;
      budget.close();
    },
  };
}

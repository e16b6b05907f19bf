/**
 * Redial: one try to give a stream its next link: dials the relay, waits for the agent, shows that the
 * stream is ours, and goes on where the other side stands. When to try is the machine's business. It is
 * loaded when a link was lost for the first time.
 */
import type { Clock } from "../../actors/clock.ts";
import { reasonOf } from "../../actors/errors.ts";
import { type Redialling, startRedialling } from "../../actors/redial.ts";
import type { Redialled } from "../../machines/redial.ts";
import { socketUrl } from "../dial/config.ts";
import { fastDial } from "../dial/fast-dial.ts";
import { networkNow } from "../network.ts";
import { readToClient } from "../protocol/messages.ts";
import {
  closeCodes,
  dataMaxBytes,
  finalCodes,
  resumeWord,
  subprotocols,
} from "../protocol/wire.ts";
import {
  type Asked,
  agentProof,
  clientProof,
  isSame,
  macBytes,
  nonceBytes,
  putAsked,
  type StreamKeys,
  welcomeBytes,
} from "../resume/keys.ts";
import {
  placeAt,
  placeBytes,
  type RecordHearer,
  RecordReader,
  recordOf,
  recordsVersion,
  recordTypes,
  refusals,
} from "../resume/records.ts";
import type { Leg, Resumable } from "../resume/resumable.ts";
import { plainText } from "../text.ts";
import { expectPings } from "../websocket/keep-alive.ts";
import type { DataLink } from "../websocket/link.ts";
import type { ProxyCommandConfig } from "./proxy-command.ts";

/** Until the relay has opened the link. */
const dialMs = 10_000;
/** The relay may keep us so long while the agent is away. */
const waitMs = 30_000;
/** From the splice to the agent's word. */
const answerMs = 10_000;
const resumedBytes = placeBytes + macBytes;

const refusalWords: Readonly<Record<number, string>> = {
  [refusals.unknown]: "the agent knows of it no more",
  [refusals.proof]: "the agent did not take our proof",
  [refusals.gap]: "what was lost is not kept any more",
  [refusals.ended]: "the agent is ending",
  [refusals.address]: "the key may not be used from this address",
};

/** One end of a stream, for whoever looks for its next link. */
export interface ClientStream {
  readonly resumable: Resumable;
  /** Null until the agent has said who it is: then there is nothing to go on with. */
  keys(): StreamKeys | null;
  /** From now on this link is the stream's. */
  use(link: DataLink, leg: Leg): void;
  legOf(link: DataLink): Leg;
}

/** What a try comes to, without the number that each has. */
type Outcome =
  | { readonly kind: "attached" }
  | { readonly kind: "failed" | "refused" | "ended"; readonly why: string };

/** Looks for links from now on, as the machine says. */
export function redialFor(
  stream: ClientStream,
  config: ProxyCommandConfig,
  clock: Clock,
): Redialling {
  let attempt = 0;
  let network = networkNow();
  const dial = async (signal: AbortSignal): Promise<Redialled> => {
    attempt += 1;
    const outcome = await tryOnce(stream, config, clock, attempt, network, signal);
    if (outcome.kind === "attached") network = networkNow();
    else config.debug(`Not resumed: ${outcome.why}.`);
    return { ...outcome, jitter: Math.random() };
  };
  const tell = (what: "lost" | "resumed"): void => config.notice?.[what]();
  return startRedialling(config.resumeMs, { dial, tell }, clock);
}

async function tryOnce(
  stream: ClientStream,
  config: ProxyCommandConfig,
  clock: Clock,
  attempt: number,
  network: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const keys = stream.keys();
  if (!keys) return { kind: "refused", why: "the agent's key is odd" };
  const url = socketUrl(config.url);
  url.searchParams.set("wait", String(waitMs));
  url.searchParams.set("can", resumeWord);
  url.searchParams.set("again", "1");
  const late = new AbortController();
  const timer = clock.setTimeout(() => late.abort(), dialMs);
  let link: DataLink;
  try {
    link = await fastDial(
      {
        url,
        subprotocol: subprotocols.client,
        trust: config.trust,
        maxPayload: dataMaxBytes,
        isCiphertext: true,
      },
      AbortSignal.any([signal, late.signal]),
    );
  } catch (error) {
    return { kind: "failed", why: plainText(reasonOf(error)) };
  } finally {
    clock.clearTimeout(timer);
  }
  return await new Promise<Outcome>((resolve) => {
    const leg = stream.legOf(link);
    let isSpliced = false;
    let isSettled = false;
    let proof: Uint8Array | null = null;
    const settle = (outcome: Outcome): void => {
      if (isSettled) return;
      isSettled = true;
      clock.clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      if (outcome.kind !== "attached") {
        link.terminate();
        if (proof) stream.resumable.release();
      }
      resolve(outcome);
    };
    const fail = (why: string): void => settle({ kind: "failed", why });
    const odd = (): void => fail("the agent said something odd");
    const giveUp = (): void => fail("it was given up");
    let timer = clock.setTimeout(() => fail("no agent came"), waitMs + answerMs);

    const ask = (body: Uint8Array): void => {
      if (body.length !== welcomeBytes || body[0] !== recordsVersion || proof) return odd();
      const nonce = body.slice(1, 1 + nonceBytes);
      const asked: Asked = { stream: keys.stream, attempt, place: stream.resumable.hold() };
      const bytes = putAsked(asked);
      proof = clientProof(keys, nonce, bytes);
      leg.write(recordOf(recordTypes.resume, bytes, proof), []);
    };
    const goOn = (body: Uint8Array): void => {
      if (body.length !== resumedBytes || !proof) return odd();
      const place = placeAt(body, 0);
      if (!isSame(body.subarray(placeBytes), agentProof(keys, proof, place)))
        return fail("the agent's proof is wrong");
      stream.use(link, leg);
      if (!stream.resumable.attach(leg, reader, place)) {
        return settle({ kind: "refused", why: refusalWords[refusals.gap] ?? "" });
      }
      settle({ kind: "attached" });
    };
    const refused = (code: number): void => {
      const why = refusalWords[code] ?? `refused with ${code}`;
      // Who has come from elsewhere may go back there.
      const isElsewhere = code === refusals.address && networkNow() !== network;
      const isFinal = code in refusalWords && !isElsewhere;
      if (code === refusals.ended) settle({ kind: "ended", why });
      else settle({ kind: isFinal ? "refused" : "failed", why });
    };
    const first: RecordHearer = {
      data: odd,
      ack: odd,
      record: (type, body) => {
        if (type === recordTypes.welcome) ask(body);
        else if (type === recordTypes.resumed) goOn(body);
        else if (type === recordTypes.refused) refused(body[0] ?? 0);
      },
      rest: () => {},
      fault: odd,
    };
    const reader = new RecordReader(first);
    link.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) return reader.read(data, 0, data.length);
      const read = readToClient(data.toString());
      if ("malformed" in read) return fail(`the relay said something odd: ${read.malformed}`);
      if (read.message?.type !== "spliced" || isSpliced) return;
      isSpliced = true;
      clock.clearTimeout(timer);
      timer = clock.setTimeout(() => fail("the agent did not answer"), answerMs);
    });
    link.on("close", (code, text) => {
      const why = plainText(text.toString()) || `close code ${code}`;
      if (code === closeCodes.agentEnded) settle({ kind: "ended", why });
      else settle({ kind: finalCodes.has(code) ? "refused" : "failed", why });
    });
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) return giveUp();
    expectPings(link, clock);
    link.resume();
  });
}

/**
 * Control link: the agent's end of its standing link to the relay. It dials, proves the identity,
 * reports, and hands on summons. When to dial again is `uplink`'s decision.
 */
import { setMaxListeners } from "node:events";
import type { WebSocket } from "ws";
import { type Clock, every } from "../../actors/clock.ts";
import { confineEvents, faultsIn } from "../../actors/confine.ts";
import { ConvergeError, reasonOf } from "../../actors/errors.ts";
import type { Log } from "../../actors/ports.ts";
import type { RefusalCode, Registered } from "../../machines/uplink.ts";
import type {
  AgentFacts,
  AgentStatus,
  ClientReport,
  RendezvousId,
  Ticket,
} from "../../machines/vocabulary.ts";
import { socketUrl, type Trust } from "../dial/config.ts";
import { dial } from "../dial/dial.ts";
import { networkNow } from "../network.ts";
import type { Identity } from "../protocol/identity.ts";
import { readToAgent } from "../protocol/messages.ts";
import { closeCodes, controlMaxBytes, dataMaxBytes, subprotocols } from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import { expectPings } from "../websocket/keep-alive.ts";
import { shut } from "../websocket/link.ts";
import { sparing } from "./sparing.ts";

/** From the first message to `registered`. */
const registerMs = 20_000;
/** Dial-backs under way at once; as many connections may be logging in. */
const visitsMost = 100;
/** How often it is looked whether this machine has other addresses, and what a relay then has to answer. */
const lookMs = 5_000;
const answerMs = 5_000;
/** What may wait for a relay that reads nothing; it is not there, whatever it sends. */
const unreadMost = 1024 * 1024;

export interface ControlLinkConfig {
  readonly relay: URL;
  readonly trust: Trust;
  readonly identity: Identity;
  readonly facts: AgentFacts;
  /** Lets it register where the relay wants one; asked anew each time, for tokens expire. */
  readonly registerToken: () => string | null;
  /** What this agent's streams can do, for clients to know. */
  readonly can: readonly string[];
  /** Takes a dialled-back data link, open and paused, of a client whose side can do so much. */
  readonly onVisit: (
    link: WebSocket,
    visit: { readonly ticket: Ticket; readonly address: string },
    can: readonly string[],
  ) => void;
  /**
   * The relay ends, and cuts what still runs after so many milliseconds. Called once a second at
   * most; it said so `times` times since the last call.
   */
  readonly onRelayEnding: (leftMs: number, times: number) => void;
}

export interface ControlLink {
  register(id: RendezvousId): Promise<Registered>;
  /** Resolves when the registered link is lost; at once when there is none. */
  standing(): Promise<void>;
  report(status: AgentStatus): void;
  /** What has just changed of one client, for a short visit is over before the next full report. */
  reportClient(client: ClientReport): void;
  close(): void;
}

const fatal: Partial<Record<string, RefusalCode>> = {
  CONVERGE_TLS: "CONVERGE_TLS",
  CONVERGE_PLAIN: "CONVERGE_PLAIN",
  CONVERGE_REFUSED: "CONVERGE_REFUSED",
  CONVERGE_PROXY: "CONVERGE_PROXY",
};

export function openControlLink(config: ControlLinkConfig, clock: Clock, log: Log): ControlLink {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // every dial listens while it lasts, and many may come at once
  let current: WebSocket | null = null;
  let visits = 0;
  const endings = sparing<number>(clock, config.onRelayEnding);
  const failures = sparing<string>(clock, (reason, times) =>
    log.warn({ reason, ...(times > 1 && { times }) }, "dial-back failed"),
  );

  async function register(id: RendezvousId): Promise<Registered> {
    const jitter = Math.random();
    let socket: WebSocket;
    try {
      socket = await dial(
        {
          url: socketUrl(config.relay, `/agent/${id}`),
          subprotocol: subprotocols.agent,
          trust: config.trust,
          maxPayload: controlMaxBytes,
          isCiphertext: false,
          token: config.registerToken(),
        },
        stop.signal,
      );
    } catch (error) {
      const code = error instanceof ConvergeError ? fatal[error.code] : undefined;
      const why = causeOf(error);
      return code
        ? { kind: "refused", code, why, jitter, byRelay: false }
        : { kind: "unreachable", why, jitter };
    }
    return await introduce(socket, id, jitter);
  }

  /** Challenge, register, registered; or the relay's reason why not. */
  function introduce(socket: WebSocket, id: RendezvousId, jitter: number): Promise<Registered> {
    return new Promise((resolve) => {
      const giveUp = (): void => socket.terminate();
      const late = clock.setTimeout(giveUp, registerMs);
      let isProven = false;
      confineEvents(socket, faultsIn(log), "control link", giveUp);
      stop.signal.addEventListener("abort", giveUp, { once: true });
      const say = (message: object): void => socket.send(JSON.stringify(message), () => {});
      socket.on("message", (text: Buffer, isBinary) => {
        const read = isBinary ? { malformed: "binary" } : readToAgent(text.toString());
        if ("malformed" in read) {
          log.warn({ reason: read.malformed }, "relay message malformed");
          socket.removeAllListeners("message"); // what else is on its way is not worth a line each
          return shut(socket, clock, closeCodes.malformed, read.malformed);
        }
        const { message } = read;
        switch (message?.type) {
          case "challenge": {
            if (isProven) return; // each answer costs a signature, and an honest relay asks once
            isProven = true;
            const { host } = config.relay;
            const signature = config.identity.answer(message.nonce, host, id);
            const { key } = config.identity;
            const { facts, can } = config;
            return say({ type: "register", id, host, key, signature, facts, can });
          }
          case "registered":
            clock.clearTimeout(late);
            current = socket;
            stop.signal.removeEventListener("abort", giveUp); // from here on it is closed in order
            return resolve({ kind: "registered", jitter, ...message });
          case "summon":
            return void visit(message.ticket, message.client);
          case "ending":
            return endings.take(message.leftMs);
          default:
        }
      });
      socket.once("close", (code, reason) => {
        clock.clearTimeout(late);
        stop.signal.removeEventListener("abort", giveUp);
        const why = plainText(reason.toString()) || `close code ${code}`;
        log.debug({ code, reason: why }, "control link closed");
        if (code === closeCodes.version)
          resolve({ kind: "refused", code: "CONVERGE_VERSION", why, jitter, byRelay: true });
        else if (code === closeCodes.refused || code === closeCodes.malformed)
          resolve({
            kind: "refused",
            code: "CONVERGE_REFUSED",
            why: `${why}.`,
            jitter,
            byRelay: true,
          });
        else resolve({ kind: "unreachable", why, jitter });
      });
      expectPings(socket, clock);
      socket.resume();
    });
  }

  /** Dials back with a ticket. A failure costs this one client, who is told after a while. */
  async function visit(
    ticket: Ticket,
    { address, can }: { readonly address: string; readonly can: readonly string[] },
  ): Promise<void> {
    if (visits >= visitsMost) return failures.take("too many at once");
    visits += 1;
    try {
      const link = await dial(
        {
          url: socketUrl(config.relay, `/dial/${ticket}`),
          subprotocol: subprotocols.data,
          trust: config.trust,
          maxPayload: dataMaxBytes,
          isCiphertext: true,
        },
        stop.signal,
      );
      if (stop.signal.aborted) return link.terminate();
      config.onVisit(link, { ticket, address }, can);
    } catch (error) {
      failures.take(reasonOf(error));
    } finally {
      visits -= 1;
    }
  }

  /** With other addresses the link may be one that nobody answers on, and its silence would be long. */
  let network = networkNow();
  const stopLooking = every(clock, lookMs, () => {
    const now = networkNow();
    if (now === network) return;
    network = now;
    const link = current;
    if (link?.readyState !== link?.OPEN) return;
    const late = clock.setTimeout(() => link?.terminate(), answerMs);
    for (const event of ["pong", "close"]) link?.once(event, () => clock.clearTimeout(late));
    link?.ping();
  });

  const tell = (message: object): void => {
    if (current?.readyState !== current?.OPEN) return;
    if ((current?.bufferedAmount ?? 0) > unreadMost) current?.terminate();
    else current?.send(JSON.stringify(message), () => {});
  };

  return {
    register,
    standing: () =>
      new Promise((resolve) => {
        if (!current || current.readyState !== current.OPEN) resolve();
        else current.once("close", () => resolve());
      }),
    report: (status) => tell({ type: "status", status }),
    reportClient: (client) => tell({ type: "client", client }),
    close: () => {
      stop.abort();
      stopLooking();
      endings.close();
      failures.close();
      if (current) shut(current, clock, closeCodes.done);
    },
  };
}

/** What is particular to an error, for a sentence of its own code or of another. */
function causeOf(error: unknown): string {
  if (!(error instanceof ConvergeError)) return plainText(reasonOf(error));
  const isAway = error.code === "CONVERGE_UNREACHABLE" && error.cause instanceof Error;
  return plainText(isAway ? reasonOf(error.cause) : error.particular);
}

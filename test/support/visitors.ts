/**
 * Visitors: an agent's door for dialled-back links, on real websockets and a clock that stands, behind
 * which every byte is sent back; and the other ends of such links, which say what a test wants.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import type { Carrier } from "../../src/io/agent/ssh/carrier.ts";
import { openVisits, type Visits } from "../../src/io/agent/visits.ts";
import { resumeWord } from "../../src/io/protocol/wire.ts";
import {
  type Asked,
  clientProof,
  type KeyPair,
  newKeyPair,
  nonceBytes,
  putAsked,
  type StreamKeys,
  streamKeys,
} from "../../src/io/resume/keys.ts";
import {
  RecordReader,
  recordOf,
  recordsVersion,
  recordTypes,
} from "../../src/io/resume/records.ts";
import type { Ticket } from "../../src/machines/vocabulary.ts";
import { type Lines, lines } from "./lines.ts";
import { standingClock } from "./resumable-end.ts";
import { until } from "./until.ts";

/** The far end of one link. */
export interface Visitor {
  readonly socket: WebSocket;
  /** The agent's data so far. */
  data(): Buffer;
  readonly records: { readonly type: number; readonly body: Uint8Array }[];
  /** The close code; null while it is open. */
  closed(): number | null;
  say(...records: readonly Uint8Array[]): void;
  hear(type: number): Promise<Uint8Array>;
}

/** A stream that was opened, and its first link. */
export interface Opened {
  readonly visitor: Visitor;
  readonly carrier: Carrier;
  readonly keys: StreamKeys;
}

export interface AgentDoor {
  readonly visits: Visits;
  readonly clock: ReturnType<typeof standingClock>;
  readonly log: Lines;
  /** Every carrier that came through it. */
  readonly carriers: Carrier[];
  /** A link that is dialled back for somebody. */
  knock(how?: { address?: string; can?: readonly string[] }): Promise<Visitor>;
  /** A stream of its own; logged in, unless it is said otherwise, for all addresses but `nowhere`. */
  open(how?: { isLoggedIn?: boolean; own?: KeyPair }): Promise<Opened>;
  close(): Promise<void>;
}

/** From here the key of no stream may be used. */
export const nowhere = "198.51.100.9";
const somewhere = "192.0.2.1";

export async function agentDoor(): Promise<AgentDoor> {
  const clock = standingClock();
  const log = lines();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const carriers: Carrier[] = [];
  const visits = openVisits(
    {
      isResumable: true,
      accept: (carrier) => {
        carriers.push(carrier);
        carrier.stream.on("error", () => {});
        // The memory that it lies in may be used again.
        carrier.stream.on("data", (data: Buffer) => carrier.stream.write(Buffer.from(data)));
      },
    },
    clock,
    log,
  );

  const door: AgentDoor = {
    visits,
    clock,
    log,
    carriers,
    knock: async ({ address = somewhere, can = [resumeWord] } = {}) => {
      const arrival = once(server, "connection");
      const link = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      link.on("error", () => {});
      await once(link, "open");
      link.pause();
      const visitor = visitorOf((await arrival)[0]);
      visits.take(link, { ticket: `ticket-${carriers.length}` as Ticket, address }, can);
      return visitor;
    },
    open: async ({ isLoggedIn = true, own = newKeyPair() } = {}) => {
      const visitor = await door.knock();
      const agent = (await visitor.hear(recordTypes.welcome)).slice(1 + nonceBytes);
      const before = carriers.length;
      visitor.say(recordOf(recordTypes.open, Uint8Array.of(recordsVersion), own.publicKey));
      await until("it is there", () => carriers.length > before);
      const carrier = carriers.at(-1);
      const keys = streamKeys(own, agent, { client: own.publicKey, agent });
      if (!carrier || !keys) throw new Error("no stream was opened");
      if (isLoggedIn) carrier.keep((address) => address !== nowhere);
      return { visitor, carrier, keys };
    },
    close: async () => {
      visits.close();
      for (const carrier of carriers) carrier.cut();
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, "close");
    },
  };
  return door;
}

function visitorOf(socket: WebSocket): Visitor {
  const records: { type: number; body: Uint8Array }[] = [];
  const parts: Buffer[] = [];
  let code: number | null = null;
  const reader = new RecordReader({
    data: (room, from, to) => void parts.push(Buffer.from(room.subarray(from, to))),
    ack: () => {},
    record: (type, body) => void records.push({ type, body }),
    rest: () => {},
    fault: (why) => {
      throw new Error(`the agent said ${why}`);
    },
  });
  socket.on("error", () => {});
  socket.on("message", (data: Buffer) => reader.read(data, 0, data.length));
  socket.on("close", (its) => {
    code = its;
  });
  return {
    socket,
    records,
    data: () => Buffer.concat(parts),
    closed: () => code,
    say: (...said) => socket.send(Buffer.concat(said)),
    hear: (type) =>
      until(`a record ${type}`, () => records.find((record) => record.type === type)?.body),
  };
}

/** Asks for a stream on a new link. `nonce` is the link's, unless it is said otherwise. */
export async function resume(
  visitor: Visitor,
  keys: StreamKeys,
  asked: Partial<Asked> & { readonly nonce?: Uint8Array } = {},
): Promise<Uint8Array> {
  const { nonce, ...rest } = asked;
  const welcome = await visitor.hear(recordTypes.welcome);
  const bytes = putAsked({ stream: keys.stream, attempt: 1, place: 0, ...rest });
  const proof = clientProof(keys, nonce ?? welcome.slice(1, 1 + nonceBytes), bytes);
  visitor.say(recordOf(recordTypes.resume, bytes, proof));
  return proof;
}

/**
 * Stranger: websockets and bytes that no program of ours would send, and what the relay answers.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { type ClientOptions, WebSocket } from "ws";
import { type Identity, newIdentity } from "../../src/io/protocol/identity.ts";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { until } from "./until.ts";

export interface Close {
  readonly code: number;
  readonly reason: string;
}

export interface Stranger {
  readonly socket: WebSocket;
  /** Text frames as strings, binary ones as buffers. */
  readonly heard: (string | Buffer)[];
  /** The HTTP answer when there was no websocket; null else. */
  refusal(): { status: number; body: string } | null;
  isOpen(): boolean;
  /** Null while it is open. */
  closed(): Close | null;
  readonly end: Promise<Close>;
  say(message: unknown): void;
}

/** Opens a websocket, whatever comes of it. */
export function stranger(
  url: string | URL,
  protocol?: string | null,
  options: ClientOptions = {},
): Stranger {
  const address = String(url).replace(/^http/, "ws");
  const socket = new WebSocket(address, protocol ? [protocol] : [], {
    perMessageDeflate: false,
    ...options,
  });
  const heard: (string | Buffer)[] = [];
  let closed: Close | null = null;
  let refused: { status: number; body: string } | null = null;
  socket.on("message", (data: Buffer, isBinary) => heard.push(isBinary ? data : data.toString()));
  socket.on("error", () => {});
  socket.on("unexpected-response", (_request, response) => {
    let body = "";
    response.on("data", (data) => {
      body += data;
    });
    response.on("end", () => {
      refused = { status: response.statusCode ?? 0, body };
      socket.terminate();
    });
  });
  socket.on("close", (code, reason) => {
    closed = { code, reason: reason.toString() };
  });
  return {
    socket,
    heard,
    refusal: () => refused,
    isOpen: () => socket.readyState === WebSocket.OPEN,
    closed: () => closed,
    get end() {
      return until("the link is closed", () => closed);
    },
    say: (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message)),
  };
}

export const facts = {
  host: "elsewhere",
  user: "nobody",
  os: "Plan 9",
  arch: "vax",
  shell: "/bin/rc",
  version: "0.0.0",
  fingerprint: "SHA256:none",
};

export interface Claim {
  readonly identity?: Identity;
  readonly host?: string;
  readonly signature?: string;
  readonly nonce?: string;
  /** Other fields of the message, put over the right ones. */
  readonly over?: Record<string, unknown>;
  readonly options?: ClientOptions;
}

/** An agent made by hand: dials, answers the challenge, and waits for the relay's word. */
export async function register(
  relay: URL,
  id: string,
  claim: Claim = {},
): Promise<Stranger & { id: string | null; clientUrl: string | null; nonce: string }> {
  const identity = claim.identity ?? newIdentity();
  const base = relay.href.replace(/\/$/, "");
  const agent = stranger(`${base}/agent/${id}`, subprotocols.agent, claim.options ?? {});
  await until("a challenge", () => agent.heard.length > 0 || agent.closed());
  const { nonce } = JSON.parse(String(agent.heard[0] ?? "{}"));
  const host = claim.host ?? relay.host;
  agent.say({
    type: "register",
    id,
    host,
    key: identity.key,
    signature: claim.signature ?? identity.answer(claim.nonce ?? nonce, host, id as never),
    facts,
    ...claim.over,
  });
  await until("the relay's word", () => agent.heard.length > 1 || agent.closed());
  const word = JSON.parse(String(agent.heard[1] ?? "{}"));
  return Object.assign(agent, { id: word.id ?? null, clientUrl: word.clientUrl ?? null, nonce });
}

/** The messages a stranger has heard, read as JSON. */
export const messages = (of: Stranger): Record<string, unknown>[] =>
  of.heard.filter((part) => typeof part === "string").map((part) => JSON.parse(String(part)));

/** Sends bytes over TCP and resolves with all that comes back until the relay closes. */
export async function bytesOver(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("error", () => {});
  socket.on("data", (data) => {
    answer += data.toString("latin1");
  });
  socket.write(bytes);
  await once(socket, "close");
  return answer;
}

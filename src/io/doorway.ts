/**
 * Doorway: the relay's three websocket doors, `/agent/<id>`, `/client/<id>`, `/dial/<ticket>`.
 *
 * What cannot be right is answered with a plain HTTP status before any websocket exists. What
 * comes through leaves as a plain event; the socket stays in `links`.
 */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type Observable, Subject } from "rxjs";
import { type WebSocket, WebSocketServer } from "ws";
import type { Clock } from "../actors/clock.ts";
import type { Log } from "../actors/ports.ts";
import type { RelayEvent } from "../machines/relay.ts";
import type { IdentityKey, LinkId, RendezvousId, Ticket } from "../machines/vocabulary.ts";
import { derivedId, isAnswer, looksDerived, newNonce, newTicket, spareId } from "./identity.ts";
import type { Links } from "./links.ts";
import type { Origin } from "./origin.ts";
import { plainText } from "./text.ts";
import {
  type CloseCode,
  closeCodes,
  controlMaxBytes,
  dataMaxBytes,
  isRendezvousId,
  protocolVersion,
  readFromAgent,
  subprotocols,
  versionOf,
} from "./wire.ts";

/** Longest path and query that is looked at. */
const urlMaxChars = 2_048;
/** How long an agent may take to answer the challenge. */
const registerMs = 10_000;
/** Clients of one address that asked to wait and have not been joined with an agent. */
const parkedMost = 100;
/** The longest that a client may be parked. */
const waitMaxMs = 60 * 60_000;

/** Where an upgrade request wants to go, or why it goes nowhere. */
export type Door =
  | { readonly kind: "agent"; readonly id: RendezvousId }
  | { readonly kind: "client"; readonly id: RendezvousId; readonly waitMs: number }
  | { readonly kind: "dial"; readonly ticket: Ticket }
  | { readonly kind: "none"; readonly status: number; readonly sentence: string };

const none = (status: number, sentence: string): Door => ({ kind: "none", status, sentence });

/** Reads the request target, RFC 9112 3.2, below the context path (`""` or `/x`). Pure. */
export function readDoor(target: string, contextPath: string): Door {
  if (target.length > urlMaxChars) return none(414, "That URL is too long.");
  const [path = "", query = ""] = target.split("?", 2);
  const inside = path.startsWith(`${contextPath}/`) ? path.slice(contextPath.length) : "";
  const [, door = "", name = "", ...more] = inside.split("/");
  if (more.length > 0 || !["agent", "client", "dial"].includes(door))
    return none(404, "There is no websocket here: use /agent/<id> or /client/<id>.");
  if (door === "dial") return { kind: "dial", ticket: name as Ticket };
  if (!isRendezvousId(name))
    return none(400, "A rendez-vous id is 1 to 128 of the characters A-Z a-z 0-9 . _ - only.");
  if (door === "agent") return { kind: "agent", id: name };
  const wait = new URLSearchParams(query).get("wait") ?? "0";
  if (!/^\d{1,9}$/.test(wait)) return none(400, "wait is a number of milliseconds.");
  return { kind: "client", id: name, waitMs: Math.min(Number(wait), waitMaxMs) };
}

export interface Doorway {
  readonly arrivals: Observable<RelayEvent>;
  /** For the http server's `upgrade` event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Called when an agent was given its id. */
  welcome(control: LinkId, id: RendezvousId): void;
  /** Nothing can dial back with this ticket any more. */
  forget(ticket: Ticket): void;
  /** From now on every upgrade is answered 503, and who still waits for an agent is sent away. */
  drain(): void;
}

export function openDoorway(
  links: Links,
  origin: Origin,
  contextPath: string,
  clock: Clock,
  log: Log,
): Doorway {
  const arrivals = new Subject<RelayEvent>();
  /** How many clients of an address wait for an agent that is not there. */
  const parked = new Map<string, number>();
  const park = (address: string, more: 1 | -1): void => {
    const count = (parked.get(address) ?? 0) + more;
    if (count > 0) parked.set(address, count);
    else parked.delete(address);
  };
  /** Who knocked and has not been dialled back, by ticket. */
  const tickets = new Map<Ticket, { link: LinkId; parkedAt: string | null }>();
  /** Whether the ticket was good; from now on it is not. */
  const take = (ticket: Ticket): boolean => {
    const { parkedAt } = tickets.get(ticket) ?? {};
    if (parkedAt) park(parkedAt, -1);
    return tickets.delete(ticket);
  };
  const registering = new Map<LinkId, (id: RendezvousId) => void>();
  let isDraining = false;

  // An unknown version still gets its websocket, and a close code that a program can act on.
  const chosen = (offered: Set<string>): string | false =>
    [...offered].find((name) => name.startsWith("converge.")) ?? false;
  const common = { noServer: true, perMessageDeflate: false, handleProtocols: chosen } as const;
  const control = new WebSocketServer({ ...common, maxPayload: controlMaxBytes });
  const data = new WebSocketServer({
    ...common,
    maxPayload: dataMaxBytes,
    skipUTF8Validation: true,
  });

  const refuse = (socket: Duplex, status: number, sentence: string, url = ""): void => {
    log.info({ status, path: plainText(url) }, "upgrade refused");
    const body = `${sentence}\n`;
    socket.once("finish", () => socket.destroy()); // whether the peer ends its side or not
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  };

  /** Whether the peer speaks this version; if not it is told both and the link is closed. */
  const speaks = (link: LinkId, socket: WebSocket, wanted: string): boolean => {
    if (socket.protocol === wanted) return true;
    const theirs = versionOf(socket.protocol);
    const isOtherDoor = theirs === String(protocolVersion);
    links.shut(
      link,
      closeCodes.version,
      isOtherDoor
        ? `this door speaks ${wanted}, the other side ${plainText(socket.protocol, 40)}`
        : `the relay speaks protocol version ${protocolVersion}, the other side ${theirs}`,
    );
    return false;
  };

  const admitAgent = (asked: RendezvousId, request: IncomingMessage) => (socket: WebSocket) => {
    const link = links.addControl(socket);
    if (!speaks(link, socket, subprotocols.agent)) return;
    const hosts = origin.hostsOf(request);
    const nonce = newNonce();
    let id: RendezvousId | null = null;
    let answered = false;
    const refuseAgent = (code: CloseCode, reason: string): void => {
      log.warn(
        { asked, address: origin.addressOf(request), reason: plainText(reason) },
        "agent refused",
      );
      links.shut(link, code, reason);
    };
    const malformed = (why: string): void => refuseAgent(closeCodes.malformed, why);
    const late = clock.setTimeout(
      () => links.shut(link, closeCodes.agentSilent, "the agent did not register in time"),
      registerMs,
    );
    socket.on("close", (code) => {
      clock.clearTimeout(late);
      registering.delete(link);
      if (!id) return;
      if (code === closeCodes.done) arrivals.next({ type: "AGENT.LEFT", id, control: link });
      else arrivals.next({ type: "AGENT.LOST", id, control: link, atMs: clock.wall() });
    });
    socket.on("message", (text: Buffer, isBinary) => {
      if (isBinary) return malformed("control messages are text");
      const read = readFromAgent(text.toString());
      if ("malformed" in read) return malformed(read.malformed);
      const { message } = read;
      if (message?.type === "status" && id)
        return arrivals.next({
          type: "AGENT.REPORTED",
          id,
          control: link,
          status: message.status,
          atMs: clock.wall(),
        });
      if (message?.type !== "register" || answered) return;
      answered = true;
      clock.clearTimeout(late);
      const refusal = (why: string): void => refuseAgent(closeCodes.refused, why);
      if (message.id !== asked) return refusal("the id is not the one in the URL");
      if (!hosts.includes(message.host))
        return refusal(`this relay is not ${message.host.slice(0, 60)}; give it --public-url`);
      if (!isAnswer(message, nonce, message.host, asked))
        return refusal("the identity was not proven");
      const key = message.key as IdentityKey;
      const mayHaveIt = !looksDerived(asked) || derivedId(key) === asked;
      const spares = [spareId(asked), spareId(asked), spareId(asked)];
      registering.set(link, (given) => {
        id = given;
        links.say(link, {
          type: "registered",
          id: given,
          clientUrl: `${origin.baseOf(request)}/client/${given}`,
        });
      });
      arrivals.next({
        type: "AGENT.REGISTERED",
        control: link,
        ids: mayHaveIt ? [asked, ...spares] : spares,
        key,
        facts: message.facts,
        atMs: clock.wall(),
      });
    });
    links.say(link, { type: "challenge", nonce });
  };

  const admitClient =
    (id: RendezvousId, waitMs: number, request: IncomingMessage) => (socket: WebSocket) => {
      const talks = socket.protocol !== "";
      const link = links.addData(socket, talks);
      if (talks && !speaks(link, socket, subprotocols.client)) return;
      const ticket = newTicket();
      const address = origin.addressOf(request);
      const parkedAt = waitMs > 0 ? address : null;
      if (parkedAt) park(parkedAt, 1);
      tickets.set(ticket, { link, parkedAt });
      socket.on("close", () => arrivals.next({ type: "CLIENT.GONE", ticket }));
      arrivals.next({
        type: "CLIENT.KNOCKED",
        id,
        ticket,
        client: link,
        waitMs,
        facts: { address },
        atMs: clock.wall(),
      });
    };

  const admitDial = (ticket: Ticket) => (socket: WebSocket) => {
    const link = links.addData(socket, false);
    if (!speaks(link, socket, subprotocols.data)) return;
    arrivals.next({ type: "AGENT.DIALLED", ticket, link });
  };

  return {
    arrivals,
    upgrade: (request, socket, head) => {
      socket.on("error", () => {}); // the peer may be gone before it has its answer
      const target = request.url ?? "/";
      if (isDraining) return refuse(socket, 503, "The relay is restarting: try again.", target);
      const door = readDoor(target, contextPath);
      switch (door.kind) {
        case "none":
          return refuse(socket, door.status, door.sentence, target);
        case "agent":
          return control.handleUpgrade(request, socket, head, admitAgent(door.id, request));
        case "client":
          if (door.waitMs > 0 && (parked.get(origin.addressOf(request)) ?? 0) >= parkedMost)
            return refuse(socket, 429, "Too many clients of your address are waiting.", target);
          return data.handleUpgrade(
            request,
            socket,
            head,
            admitClient(door.id, door.waitMs, request),
          );
        case "dial":
          // One use, and one guess: an unknown ticket and a used one look alike.
          if (!take(door.ticket))
            return refuse(socket, 404, "That ticket is not known, or was used.", "/dial");
          return data.handleUpgrade(request, socket, head, admitDial(door.ticket));
      }
    },
    welcome: (link, id) => registering.get(link)?.(id),
    forget: take,
    drain: () => {
      isDraining = true;
      // No agent can dial back to these any more.
      for (const { link } of tickets.values())
        links.shut(link, closeCodes.draining, "the relay is restarting");
    },
  };
}

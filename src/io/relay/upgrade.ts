/**
 * Upgrade: from a request for `/agent/<id>`, `/client/<id>` or `/dial/<ticket>` to a websocket.
 *
 * What cannot be right is answered with a plain HTTP status before any websocket exists. What
 * comes through leaves as a plain event; the socket stays in `links`.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Observable, Subject } from "rxjs";
import { WebSocketServer } from "ws";
import type { Clock } from "../../actors/clock.ts";
import { confineLater, type NoteFault } from "../../actors/confine.ts";
import type { RelayFact } from "../../actors/observe/facts.ts";
import type { RelayEvent } from "../../machines/relay-events.ts";
import type { LinkId, RendezvousId, Ticket } from "../../machines/vocabulary.ts";
import { holderOf } from "../holder.ts";
import { newTicket } from "../protocol/identity.ts";
import {
  closeCodes,
  controlMaxBytes,
  protocolVersion,
  subprotocols,
  versionOf,
} from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import { unheard } from "../websocket/link.ts";
import { ServerLink } from "../websocket/server-link.ts";
import type { OpenLimits } from "./admission/limits.ts";
import type { Origin } from "./admission/origin.ts";
import type { Refusals } from "./admission/refusals.ts";
import { type Refusal, type Route, readRoute, type Wish } from "./admission/routes.ts";
import type { Tokens, Verdict } from "./admission/tokens.ts";
import type { Links } from "./links.ts";
import { openRegistrations } from "./registration.ts";

const draining: Refusal = {
  reason: "draining",
  status: 503,
  sentence: "The relay is restarting: try again.",
};
const foreignPage: Refusal = {
  reason: "origin",
  status: 403,
  sentence: "Web pages of others may not come in here.",
};
const unknownTicket: Refusal = {
  reason: "unknown ticket",
  status: 404,
  sentence: "That ticket is not known, or was used.",
};

/** Of one message (RFC 6455 5.4), and reads for it: ours has few, and each costs more than its bytes. */
const fragmentsMost = 1_024;

/** An unknown version still gets its websocket, and a close code that a program can act on. */
const chosen = (offered: Set<string>): string | false =>
  [...offered].find((name) => name.startsWith("converge.")) ?? false;
const common = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  handleProtocols: chosen,
} as const;

export interface Upgrades {
  readonly arrivals: Observable<RelayEvent>;
  /** For the http server's `upgrade` event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Called when an agent was given its id. */
  welcome(control: LinkId, id: RendezvousId): void;
  /** Nothing can dial back with this ticket any more. */
  forget(ticket: Ticket): void;
  /**
   * From now on every upgrade is answered 503, who still waits for an agent is sent away, and
   * agents are told that the relay ends in so many milliseconds.
   */
  drain(leftMs: number): void;
}

export interface UpgradePorts {
  readonly links: Links;
  readonly origin: Origin;
  readonly limits: OpenLimits;
  readonly tokens: Tokens;
  readonly refusals: Refusals;
  readonly contextPath: string;
  readonly clock: Clock;
  readonly record: (fact: RelayFact) => void;
  readonly noteFault: NoteFault;
}

export function openUpgrades(ports: UpgradePorts): Upgrades {
  const { links, origin, limits, tokens, refusals, contextPath, clock } = ports;
  const arrivals = new Subject<RelayEvent>();
  /** Who knocked and has not been dialled back, by ticket. */
  const tickets = new Map<Ticket, { link: LinkId; unpark: (() => void) | null }>();
  /** Whether the ticket was good; from now on it is not. */
  const take = (ticket: Ticket): boolean => {
    tickets.get(ticket)?.unpark?.();
    return tickets.delete(ticket);
  };
  let isDraining = false;

  const control = new WebSocketServer({
    ...common,
    autoPong: false,
    maxFragments: fragmentsMost,
    maxBufferedChunks: fragmentsMost,
    maxPayload: controlMaxBytes,
  });
  // Of a data link `ws` makes the handshake only, and then this.
  const data = new WebSocketServer({ ...common, WebSocket: ServerLink as never });

  /** Whether the peer speaks this version; if not it is told both and the link is closed. */
  const speaks = (
    request: IncomingMessage,
    link: LinkId,
    protocol: string,
    wanted: string,
  ): boolean => {
    if (protocol === wanted) return true;
    const theirs = versionOf(protocol);
    const isOtherDoor = theirs === String(protocolVersion);
    const said = isOtherDoor
      ? `this door speaks ${wanted}, the other side ${plainText(protocol, 40)}`
      : `the relay speaks protocol version ${protocolVersion}, the other side ${theirs}`;
    refusals.note(request, "version", closeCodes.version, said);
    links.shut(link, closeCodes.version, said);
    return false;
  };

  const tell = (event: RelayEvent): void => arrivals.next(event);
  const noteRefusal = refusals.note;
  const agents = openRegistrations({ ...ports, noteRefusal, speaks, tell });

  /** A listener that holds on to nothing else, such as the request, which is larger than a link. */
  const gone = (ticket: Ticket, leave: () => void) => (): void => {
    leave();
    tell({ type: "CLIENT.GONE", ticket });
  };

  const admitClient =
    (id: RendezvousId, { waitMs, can, isAgain }: Wish, address: string, request: IncomingMessage) =>
    (socket: ServerLink) => {
      const ticket = newTicket();
      const newcomer = { holder: holderOf(address), link: socket };
      const leave = (isAgain ? limits.returning : limits.newcomers).enter(id, ticket, newcomer);
      const link = links.addData(socket, gone(ticket, leave));
      const { protocol } = socket;
      if (protocol !== "" && !speaks(request, link, protocol, subprotocols.client)) return;
      const unpark = waitMs > 0 && !isAgain ? limits.parked.enter(holderOf(address)) : null;
      tickets.set(ticket, { link, unpark });
      const atMs = clock.wall();
      const facts = { address, can };
      tell({ type: "CLIENT.KNOCKED", id, ticket, client: link, waitMs, isAgain, facts, atMs });
    };

  const admitDial = (ticket: Ticket, request: IncomingMessage) => (socket: ServerLink) => {
    const link = links.addData(socket);
    if (!speaks(request, link, socket.protocol, subprotocols.data)) return;
    tell({ type: "AGENT.DIALLED", ticket, link, atMs: clock.wall() });
  };

  /** Why this request may not come in by that route, whoever it is; null when it may. */
  function refusalOf(request: IncomingMessage, route: Route): Refusal | null {
    if (isDraining) return draining;
    if (route.kind === "none") return route;
    // Programs send no Origin. A page that does is somebody else's, or has nothing to do here.
    const page = request.headers.origin;
    const wrongName = page !== undefined && origin.misdirected(request);
    if (wrongName) return { reason: "host", status: 421, sentence: wrongName };
    if (page !== undefined && !(route.kind === "client" && origin.isOwn(request, page)))
      return foreignPage;
    return limits.refusalOf(origin.addressOf(request), route);
  }

  /** Calls `open` with whose token lets an agent register, or refuses it. */
  function judged(
    request: IncomingMessage,
    socket: Duplex,
    open: (by: string | null) => void,
  ): void {
    const decide = (verdict: Verdict): void => {
      if (!("by" in verdict)) return refusals.refuse(request, socket, verdict);
      if (isDraining) return refusals.refuse(request, socket, draining); // while it was judged
      open(verdict.by);
    };
    const verdict = tokens.judge(request.headers.authorization);
    if (verdict instanceof Promise)
      confineLater(ports.noteFault, "upgrade", verdict.then(decide), () => socket.destroy());
    else decide(verdict);
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", unheard); // the peer may be gone before it has its answer
    const route = readRoute(request.url ?? "/", contextPath);
    const refusal = refusalOf(request, route);
    if (refusal) return refusals.refuse(request, socket, refusal);
    const address = origin.addressOf(request);
    const shake = (server: WebSocketServer, admit: (link: never) => void): void => {
      socket.cork(); // its answer, and what is said first, are one packet
      server.handleUpgrade(request, socket, head, admit as never);
      socket.uncork();
    };
    switch (route.kind) {
      case "agent":
        return judged(request, socket, (by) =>
          shake(control, agents.admit(route.id, by, address, request)),
        );
      case "client":
        return shake(data, admitClient(route.id, route, address, request));
      case "dial":
        // One use, and one guess: an unknown ticket and a used one look alike.
        if (!take(route.ticket)) return refusals.refuse(request, socket, unknownTicket);
        return shake(data, admitDial(route.ticket, request));
      default:
    }
  }

  return {
    arrivals,
    upgrade,
    welcome: agents.welcome,
    forget: take,
    drain: (leftMs) => {
      isDraining = true;
      agents.drain(leftMs);
      // No agent can dial back to these any more.
      for (const { link } of tickets.values())
        links.shut(link, closeCodes.draining, "the relay is restarting");
    },
  };
}

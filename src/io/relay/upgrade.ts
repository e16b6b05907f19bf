/**
 * Doorway: the relay's three websocket doors, `/agent/<id>`, `/client/<id>`, `/dial/<ticket>`.
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
import type { RefusalReason, RelayFact } from "../../actors/observe/facts.ts";
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
import type { Threshold } from "./admission/limits.ts";
import type { Origin } from "./admission/origin.ts";
import { openRefusals } from "./admission/refusals.ts";
import { readDoor } from "./admission/routes.ts";
import type { Verdict, Voucher } from "./admission/tokens.ts";
import type { Links } from "./links.ts";
import { openAgentDoor } from "./registration.ts";

const draining = ["draining", 503, "The relay is restarting: try again."] as const;

/** Of one message (RFC 6455 5.4), and reads for it: ours has few, and each costs more than its bytes. */
const fragmentsMost = 1_024;

export interface Doorway {
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

export function openDoorway(
  links: Links,
  origin: Origin,
  threshold: Threshold,
  voucher: Voucher,
  contextPath: string,
  clock: Clock,
  record: (fact: RelayFact) => void,
  noteFault: NoteFault,
): Doorway {
  const arrivals = new Subject<RelayEvent>();
  /** Who knocked and has not been dialled back, by ticket. */
  const tickets = new Map<Ticket, { link: LinkId; unpark: (() => void) | null }>();
  /** Whether the ticket was good; from now on it is not. */
  const take = (ticket: Ticket): boolean => {
    tickets.get(ticket)?.unpark?.();
    return tickets.delete(ticket);
  };
  let isDraining = false;

  // An unknown version still gets its websocket, and a close code that a program can act on.
  const chosen = (offered: Set<string>): string | false =>
    [...offered].find((name) => name.startsWith("converge.")) ?? false;
  const common = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    handleProtocols: chosen,
  } as const;
  const control = new WebSocketServer({
    ...common,
    autoPong: false,
    maxFragments: fragmentsMost,
    maxBufferedChunks: fragmentsMost,
    maxPayload: controlMaxBytes,
  });
  // Of a data link `ws` makes the handshake only, and then this.
  const data = new WebSocketServer({ ...common, WebSocket: ServerLink as never });

  const { note: noteRefusal, refuse } = openRefusals(origin, record);

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
    noteRefusal(request, "version", closeCodes.version, said);
    links.shut(link, closeCodes.version, said);
    return false;
  };

  const tell = (event: RelayEvent): void => arrivals.next(event);
  const agents = openAgentDoor({
    links,
    origin,
    threshold,
    clock,
    record,
    noteRefusal,
    speaks,
    tell,
  });

  /** A listener that holds on to nothing else, such as the request, which is larger than a link. */
  const gone = (ticket: Ticket, leave: () => void) => (): void => {
    leave();
    arrivals.next({ type: "CLIENT.GONE", ticket });
  };

  const admitClient =
    (id: RendezvousId, waitMs: number, address: string, request: IncomingMessage) =>
    (socket: ServerLink) => {
      const ticket = newTicket();
      const newcomer = { holder: holderOf(address), link: socket };
      const leave = threshold.newcomers.enter(id, ticket, newcomer);
      const link = links.addData(socket, gone(ticket, leave));
      const { protocol } = socket;
      if (protocol !== "" && !speaks(request, link, protocol, subprotocols.client)) return;
      const unpark = waitMs > 0 ? threshold.parked.enter(holderOf(address)) : null;
      tickets.set(ticket, { link, unpark });
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

  const admitDial = (ticket: Ticket, request: IncomingMessage) => (socket: ServerLink) => {
    const link = links.addData(socket);
    if (!speaks(request, link, socket.protocol, subprotocols.data)) return;
    arrivals.next({ type: "AGENT.DIALLED", ticket, link, atMs: clock.wall() });
  };

  return {
    arrivals,
    upgrade: (request, socket, head) => {
      socket.on("error", unheard); // the peer may be gone before it has its answer
      const target = request.url ?? "/";
      const sayNo = (reason: RefusalReason, status: number, sentence: string): void =>
        refuse(request, socket, { reason, status, sentence });
      if (isDraining) return sayNo(...draining);
      const door = readDoor(target, contextPath);
      if (door.kind === "none") return refuse(request, socket, door);
      // Programs send no Origin. A page that does is somebody else's, or has nothing to do here.
      const page = request.headers.origin;
      const wrongName = page !== undefined && origin.misdirected(request);
      if (wrongName) return sayNo("host", 421, wrongName);
      if (page !== undefined && !(door.kind === "client" && origin.isOwn(request, page)))
        return sayNo("origin", 403, "Web pages of others may not come in here.");
      const address = origin.addressOf(request);
      const tooMuch = threshold.refusalOf(address, door);
      if (tooMuch) return refuse(request, socket, tooMuch);
      const shake = (server: WebSocketServer, admit: (link: never) => void): void => {
        socket.cork(); // its answer, and what is said first, are one packet
        server.handleUpgrade(request, socket, head, admit as never);
        socket.uncork();
      };
      switch (door.kind) {
        case "agent": {
          const open = (verdict: Verdict): void => {
            if (!("by" in verdict)) return refuse(request, socket, verdict);
            if (isDraining) return sayNo(...draining); // while its token was being judged
            shake(control, agents.admit(door.id, verdict.by, address, request));
          };
          const verdict = voucher.judge(request.headers.authorization);
          if (verdict instanceof Promise)
            return confineLater(noteFault, "upgrade", verdict.then(open), () => socket.destroy());
          return open(verdict);
        }
        case "client":
          return shake(data, admitClient(door.id, door.waitMs, address, request));
        case "dial":
          // One use, and one guess: an unknown ticket and a used one look alike.
          if (!take(door.ticket))
            return sayNo("unknown ticket", 404, "That ticket is not known, or was used.");
          return shake(data, admitDial(door.ticket, request));
      }
    },
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

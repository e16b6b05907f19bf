/**
 * Links: the relay's websockets under their names. It says, closes and splices; who is to be
 * told what, and when, is decided elsewhere.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import { confineEvents, type NoteFault } from "../../actors/confine.ts";
import type { Counts, LinkId, SpliceReport } from "../../machines/vocabulary.ts";
import type { ToAgent, ToClient } from "../protocol/messages.ts";
import type { CloseCode } from "../protocol/wire.ts";
import { openPinger, pingRegularly } from "../websocket/keep-alive.ts";
import { answerPings, shut, unheard } from "../websocket/link.ts";
import type { ServerLink } from "../websocket/server-link.ts";
import { earlyMostBytes, Splice, SpliceEnd } from "./splice.ts";

/** An agent that leaves so much unread is let go: ten thousand summonses. */
const unreadMostBytes = 1024 * 1024;

/** A name for a link, unique in this process. */
let names = 0;
function nextLink(kind: "control" | "data"): LinkId {
  names += 1;
  return `${kind}-${names}` as LinkId;
}

export interface Links {
  /** Takes in a control link, whose messages the caller reads. */
  addControl(socket: WebSocket): LinkId;
  /**
   * Takes in a data link; `left` is called when it has closed. Until it is spliced its binary frames
   * are kept, in order and up to 64 KiB, then it is paused: it is read and not left paused from the
   * start, for only a reader sees pongs and a client that gives up while it waits.
   */
  addData(socket: ServerLink, left?: () => void): LinkId;
  /** Sends a message, if the link is still there; what a data link understands its caller knows. */
  say(link: LinkId, message: ToAgent | ToClient): void;
  shut(link: LinkId, code: CloseCode, reason: string): void;
  /**
   * Joins two data links, if both are still there; `ended` is called when they have closed, whoever
   * closed them.
   */
  splice(client: LinkId, agent: LinkId, ended: (report: SpliceReport) => void): boolean;
  /** Bytes so far; zeros for a link that is gone. */
  countsOf(client: LinkId): Pick<Counts, "clientBytes" | "agentBytes">;
  /** Of all splices together, those that are over too; none ever decreases. */
  totals(): Readonly<Counts>;
  all(): LinkId[];
  /** How many there are. */
  size(): number;
}

export function openLinks(clock: Clock, note: NoteFault): Links {
  const controls = new Map<LinkId, WebSocket>();
  const ends = new Map<LinkId, SpliceEnd>();
  const pinger = openPinger(clock, note);
  const running = new Set<Splice>();
  const over: Counts = { clientBytes: 0, agentBytes: 0, pauses: 0 };
  const addTo = (sum: Counts, { clientBytes, agentBytes, pauses }: Counts): Counts => {
    sum.clientBytes += clientBytes;
    sum.agentBytes += agentBytes;
    sum.pauses += pauses;
    return sum;
  };

  return {
    addControl: (socket) => {
      const link = nextLink("control");
      controls.set(link, socket);
      confineEvents(socket, note, "control link", () => socket.terminate());
      socket.on("close", () => controls.delete(link));
      socket.on("error", unheard);
      answerPings(socket);
      pingRegularly(socket, clock);
      return link;
    },
    addData: (socket, left) => {
      const link = nextLink("data");
      const watch = pinger.add(socket);
      const end = new SpliceEnd(
        socket,
        () => {
          ends.delete(link);
          pinger.remove(watch);
          left?.();
        },
        note,
      );
      ends.set(link, end);
      socket.begin(end, earlyMostBytes, clock);
      return link;
    },
    say: (link, message) => {
      const text = JSON.stringify(message);
      const control = controls.get(link);
      control?.send(text, () => {});
      // Each client that knocks is a message; who reads none of them is no agent.
      if (control && control.bufferedAmount > unreadMostBytes) control.terminate();
      const data = ends.get(link)?.link;
      if (data?.protocol) data.say(text); // a client without one understands bytes only
    },
    shut: (link, code, reason) => {
      const control = controls.get(link);
      if (control) return shut(control, clock, code, reason);
      const end = ends.get(link);
      if (!end) return;
      end.wasShut = true;
      end.link.close(code, reason);
    },
    splice: (client, agent, ended) => {
      const a = ends.get(client);
      const b = ends.get(agent);
      if (!a || !b) return false;
      if (a.link.protocol) a.link.say(JSON.stringify({ type: "spliced" }));
      const splice = new Splice(a, b, (report) => {
        running.delete(splice);
        addTo(over, report);
        ended(report);
      });
      running.add(splice);
      return true;
    },
    countsOf: (client) => {
      const { clientBytes = 0, agentBytes = 0 } = ends.get(client)?.counts ?? {};
      return { clientBytes, agentBytes };
    },
    totals: () => [...running].reduce((sum, { counts }) => addTo(sum, counts), { ...over }),
    all: () => [...controls.keys(), ...ends.keys()],
    size: () => controls.size + ends.size,
  };
}

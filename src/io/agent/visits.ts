/**
 * Visits: links that were dialled back, each as the carrier of one ssh connection. It knows websockets
 * and no ssh; who may come in is decided behind it.
 */
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import type { Ticket } from "../../machines/vocabulary.ts";
import { closeCodes } from "../protocol/wire.ts";
import { expectPings } from "../websocket/keep-alive.ts";
import { shut } from "../websocket/link.ts";
import { linkStream, readLinkInPlace } from "../websocket/link-stream.ts";
import type { Carrier } from "./ssh/carrier.ts";

/** Hands an open and paused link to `accept`, which must listen to its stream at once. */
export function takeVisit(
  link: WebSocket,
  visit: { readonly ticket: Ticket; readonly address: string },
  clock: Clock,
  accept: (carrier: Carrier) => void,
): void {
  const stream = linkStream(link);
  expectPings(link, clock);
  accept({
    ...visit,
    stream,
    get isOver(): boolean {
      return link.readyState === link.CLOSED;
    },
    readInPlace: () => readLinkInPlace(link, stream),
    end: () => shut(link, clock, closeCodes.goingAway),
    cut: () => link.terminate(),
    onceOver: (act) => void link.once("close", act),
  });
  link.resume();
}

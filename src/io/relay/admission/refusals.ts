/**
 * Refusals: who is turned away is told why, and one fact is recorded of it. Why is others' business.
 */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { RefusalReason, RelayFact } from "../../../actors/observe/facts.ts";
import { plainText } from "../../text.ts";
import type { Origin } from "./origin.ts";
import { pathOf, type Refusal } from "./routes.ts";

export interface Refusals {
  /** Records one; `status` is an HTTP status or a close code. */
  note(request: IncomingMessage, reason: RefusalReason, status: number, said: string): void;
  /** Records it, and answers an upgrade request that gets no websocket. */
  refuse(request: IncomingMessage, socket: Duplex, refusal: Refusal): void;
}

export function openRefusals(origin: Origin, record: (fact: RelayFact) => void): Refusals {
  const note: Refusals["note"] = (request, reason, status, said) =>
    record({
      type: "connection refused",
      reason,
      address: origin.addressOf(request),
      path: pathOf(request.url ?? ""),
      status,
      said: plainText(said),
    });
  return {
    note,
    refuse: (request, socket, { reason, status, sentence }) => {
      note(request, reason, status, sentence);
      const body = `${sentence}\n`;
      // RFC 9110 11.6.1: a 401 says how to do better.
      const how = status === 401 ? "WWW-Authenticate: Bearer\r\n" : "";
      socket.once("finish", () => socket.destroy()); // whether the peer ends its side or not
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n${how}Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    },
  };
}

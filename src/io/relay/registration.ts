/**
 * Agent door: an agent's control link from the challenge to its end. What the agent says is checked
 * and leaves as plain events; which id it gets is decided elsewhere. How much it may say is bounded
 * for each link by the message, and for its holder by the byte.
 */
import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import type { Clock } from "../../actors/clock.ts";
import type { RefusalReason, RelayFact } from "../../actors/observe/facts.ts";
import type { RelayEvent } from "../../machines/relay-events.ts";
import type { ClientReport, IdentityKey, LinkId, RendezvousId } from "../../machines/vocabulary.ts";
import { holderOf } from "../holder.ts";
import { derivedId, isAnswer, looksDerived, newNonce, spareId } from "../protocol/identity.ts";
import { readFromAgent } from "../protocol/messages.ts";
import {
  type CloseCode,
  closeCodes,
  controlMost,
  controlPerSecond,
  subprotocols,
} from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import type { Threshold } from "./admission/limits.ts";
import type { Origin } from "./admission/origin.ts";
import { bucket } from "./admission/rates.ts";
import type { Refusals } from "./admission/refusals.ts";
import { messageBytes, openControlBudget } from "./control-budget.ts";
import type { Links } from "./links.ts";

/** How long an agent may take to answer the challenge. */
const registerMs = 10_000;

export interface AgentDoor {
  /** Takes in a websocket; `by` is whose token lets it register. */
  admit(
    asked: RendezvousId,
    by: string | null,
    address: string,
    request: IncomingMessage,
  ): (socket: WebSocket) => void;
  /** Called when an agent was given its id. */
  welcome(control: LinkId, id: RendezvousId): void;
  /** Agents are told that the relay ends in so many milliseconds. */
  drain(leftMs: number): void;
}

export interface AgentDoorPorts {
  readonly links: Links;
  readonly origin: Origin;
  readonly threshold: Threshold;
  readonly clock: Clock;
  readonly record: (fact: RelayFact) => void;
  readonly noteRefusal: Refusals["note"];
  /** Whether the peer speaks this version; if not the link is closed. */
  readonly speaks: (
    request: IncomingMessage,
    link: LinkId,
    protocol: string,
    wanted: string,
  ) => boolean;
  readonly tell: (event: RelayEvent) => void;
}

export function openAgentDoor({
  links,
  origin,
  threshold,
  clock,
  record,
  noteRefusal,
  speaks,
  tell,
}: AgentDoorPorts): AgentDoor {
  const registering = new Map<LinkId, (id: RendezvousId) => void>();
  const budget = openControlBudget(clock);
  let isDraining = false;

  const noteLogins = (id: RendezvousId, reports: readonly ClientReport[]): void => {
    for (const { ticket, login } of reports) if (login) threshold.newcomers.loggedIn(id, ticket);
  };

  const admit: AgentDoor["admit"] = (asked, by, address, request) => (socket) => {
    const link = links.addControl(socket);
    const holder = holderOf(address);
    socket.on("close", threshold.agents.enter(holder));
    const pay = budget.open(holder, socket);
    if (!speaks(request, link, socket.protocol, subprotocols.agent)) return;
    const nonce = newNonce();
    let id: RendezvousId | null = null;
    let answered = false;
    const refuseAgent = (reason: RefusalReason, code: CloseCode, said: string): void => {
      if (id === null) noteRefusal(request, reason, code, said);
      socket.removeAllListeners("message"); // what else is on its way is not worth a line each
      links.shut(link, code, said);
    };
    const malformed = (why: string): void => {
      record({
        type: "control message malformed",
        id: id ?? asked,
        address,
        why: plainText(why),
      });
      refuseAgent("malformed", closeCodes.malformed, why);
    };
    const late = clock.setTimeout(
      () => refuseAgent("silent", closeCodes.agentSilent, "the agent did not register in time"),
      registerMs,
    );
    socket.on("close", (code) => {
      clock.clearTimeout(late);
      registering.delete(link);
      if (!id) return;
      if (code === closeCodes.done) tell({ type: "AGENT.LEFT", id, control: link });
      else {
        const byRelay = isDraining && code === closeCodes.draining;
        tell({ type: "AGENT.LOST", id, control: link, atMs: clock.wall(), byRelay });
      }
    });
    const mayTell = bucket(clock, controlMost, controlPerSecond);
    socket.on("message", (text: Buffer, isBinary) => {
      pay(messageBytes);
      if (!mayTell()) return malformed("too many messages");
      if (isBinary) return malformed("control messages are text");
      const read = readFromAgent(text.toString());
      if ("malformed" in read) return malformed(read.malformed);
      const { message } = read;
      if (message?.type === "status" && id) {
        const { status } = message;
        noteLogins(id, status.clients);
        const atMs = clock.wall();
        return tell({ type: "AGENT.REPORTED", id, control: link, status, atMs });
      }
      if (message?.type === "client" && id) {
        const report = message.client;
        noteLogins(id, [report]);
        return tell({ type: "CLIENT.REPORTED", id, control: link, report });
      }
      if (message?.type !== "register" || answered) return;
      answered = true;
      clock.clearTimeout(late);
      const refusal = (why: string): void => refuseAgent("identity", closeCodes.refused, why);
      if (message.id !== asked) return refusal("the id is not the one in the URL");
      if (!origin.hostsOf(request).includes(message.host))
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
      tell({
        type: "AGENT.REGISTERED",
        control: link,
        address,
        holder,
        asked,
        ids: mayHaveIt ? [asked, ...spares] : spares,
        key,
        facts: message.facts,
        voucher: by,
        atMs: clock.wall(),
      });
    });
    links.say(link, { type: "challenge", nonce });
  };

  return {
    admit,
    welcome: (link, id) => registering.get(link)?.(id),
    drain: (leftMs) => {
      isDraining = true;
      for (const link of registering.keys()) links.say(link, { type: "ending", leftMs });
    },
  };
}

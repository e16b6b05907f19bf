/**
 * Registration: an agent's control link from the challenge to its end. What the agent says is checked
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
import { type FromAgent, readFromAgent } from "../protocol/messages.ts";
import {
  type CloseCode,
  closeCodes,
  controlMost,
  controlPerSecond,
  subprotocols,
} from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import type { OpenLimits } from "./admission/limits.ts";
import type { Origin } from "./admission/origin.ts";
import { Bucket, type Rate } from "./admission/rates.ts";
import type { Refusals } from "./admission/refusals.ts";
import { messageBytes, openControlBudget } from "./control-budget.ts";
import type { Links } from "./links.ts";

/** How long an agent may take to answer the challenge. */
const registerMs = 10_000;
const messageRate: Rate = { most: controlMost, perSecond: controlPerSecond };

/**
 * When the relay ends all its agents dial the next at once: each takes a millisecond of that one's
 * processor, so it is told to come within so long.
 */
const spreadEachMs = 1;
const spreadMostMs = 20_000;

/** How far a control link has come. */
type Stage =
  | { readonly at: "challenged"; readonly nonce: string; readonly late: unknown }
  /** It has proven who it is; the relay decides which id it gets. */
  | { readonly at: "asking" }
  | { readonly at: "registered"; readonly id: RendezvousId };

type Proof = Extract<FromAgent, { type: "register" }>;

export interface Registrations {
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

export interface RegistrationPorts {
  readonly links: Links;
  readonly origin: Origin;
  readonly limits: OpenLimits;
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

/** Why what an agent says of itself does not hold, a clause; null when it does. */
function faultOf(
  proof: Proof,
  asked: RendezvousId,
  nonce: string,
  hosts: readonly string[],
): string | null {
  if (proof.id !== asked) return "the id is not the one in the URL";
  if (!hosts.includes(proof.host))
    return `this relay is not ${proof.host.slice(0, 60)}; give it --public-url`;
  return isAnswer(proof, nonce, proof.host, asked) ? null : "the identity was not proven";
}

/** The ids that a key may have, best first: one that is derived from a key is that key's only. */
function idsFor(asked: RendezvousId, key: IdentityKey): RendezvousId[] {
  const spares = [spareId(asked), spareId(asked), spareId(asked)];
  return !looksDerived(asked) || derivedId(key) === asked ? [asked, ...spares] : spares;
}

export function openRegistrations({
  links,
  origin,
  limits,
  clock,
  record,
  noteRefusal,
  speaks,
  tell,
}: RegistrationPorts): Registrations {
  const asking = new Map<LinkId, (id: RendezvousId) => void>();
  const budget = openControlBudget(clock);
  let isDraining = false;

  const noteLogins = (id: RendezvousId, reports: readonly ClientReport[]): void => {
    for (const { ticket, login } of reports) {
      if (!login) continue;
      limits.newcomers.loggedIn(id, ticket);
      limits.returning.loggedIn(id, ticket);
    }
  };

  const admit: Registrations["admit"] = (asked, by, address, request) => (socket) => {
    const link = links.addControl(socket);
    const holder = holderOf(address);
    socket.on("close", limits.agents.enter(holder));
    const pay = budget.open(holder, socket);
    if (!speaks(request, link, socket.protocol, subprotocols.agent)) return;
    const nonce = newNonce();
    const late = clock.setTimeout(
      () => turnAway("silent", closeCodes.agentSilent, "the agent did not register in time"),
      registerMs,
    );
    const bucket = new Bucket(clock, messageRate);
    let stage: Stage = { at: "challenged", nonce, late };

    function turnAway(reason: RefusalReason, code: CloseCode, said: string): void {
      if (stage.at !== "registered") noteRefusal(request, reason, code, said);
      socket.removeAllListeners("message"); // what else is on its way is not worth a line each
      links.shut(link, code, said);
    }
    function malformed(why: string): void {
      const id = stage.at === "registered" ? stage.id : asked;
      record({ type: "control message malformed", id, address, why: plainText(why) });
      turnAway("malformed", closeCodes.malformed, why);
    }
    function prove(proof: Proof): void {
      clock.clearTimeout(late);
      stage = { at: "asking" };
      const fault = faultOf(proof, asked, nonce, origin.hostsOf(request));
      if (fault) return turnAway("identity", closeCodes.refused, fault);
      const key = proof.key as IdentityKey;
      asking.set(link, (id) => {
        stage = { at: "registered", id };
        const clientUrl = `${origin.baseOf(request)}/client/${id}`;
        const spreadMs = Math.min(limits.agents.size() * spreadEachMs, spreadMostMs);
        links.say(link, { type: "registered", id, clientUrl, spreadMs });
      });
      tell({
        type: "AGENT.REGISTERED",
        control: link,
        address,
        holder,
        asked,
        ids: idsFor(asked, key),
        key,
        facts: proof.facts,
        can: proof.can,
        voucher: by,
        atMs: clock.wall(),
      });
    }
    function report(id: RendezvousId, message: FromAgent): void {
      if (message.type === "status") {
        const { status } = message;
        noteLogins(id, status.clients);
        tell({ type: "AGENT.REPORTED", id, control: link, status, atMs: clock.wall() });
      }
      if (message.type === "client") {
        noteLogins(id, [message.client]);
        tell({ type: "CLIENT.REPORTED", id, control: link, report: message.client });
      }
    }

    socket.on("message", (text: Buffer, isBinary) => {
      pay(messageBytes);
      if (!bucket.take()) return malformed("too many messages");
      if (isBinary) return malformed("control messages are text");
      const read = readFromAgent(text.toString());
      if ("malformed" in read) return malformed(read.malformed);
      const { message } = read;
      if (stage.at === "registered" && message) report(stage.id, message);
      else if (stage.at === "challenged" && message?.type === "register") prove(message);
    });
    socket.on("close", (code) => {
      clock.clearTimeout(late);
      asking.delete(link);
      if (stage.at !== "registered") return;
      const { id } = stage;
      if (code === closeCodes.done)
        return tell({ type: "AGENT.LEFT", id, control: link, atMs: clock.wall() });
      const byRelay = isDraining && code === closeCodes.draining;
      tell({ type: "AGENT.LOST", id, control: link, atMs: clock.wall(), byRelay });
    });
    links.say(link, { type: "challenge", nonce });
  };

  return {
    admit,
    welcome: (link, id) => asking.get(link)?.(id),
    drain: (leftMs) => {
      isDraining = true;
      for (const link of asking.keys()) links.say(link, { type: "ending", leftMs });
    },
  };
}

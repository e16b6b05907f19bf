/**
 * Recorder: what the relay and its pairings tell of themselves, in the words of facts. It keeps
 * nothing and decides nothing; what is done with a fact is somebody else's business.
 */
import type { PairingContext } from "../../machines/pairing.ts";
import type { RelayNews } from "../../machines/relay-events.ts";
import type { OfClient, RelayFact } from "./facts.ts";

const iso = (ms: number): string => new Date(ms).toISOString();
const secondsBetween = (fromMs: number, toMs: number): number =>
  Math.max(0, Math.round(toMs - fromMs)) / 1_000;

const ofClient = ({ client, id, facts }: PairingContext): OfClient => ({
  session: client,
  id,
  client: facts.address,
});

/** A pairing's two links were joined. */
export function clientJoined(pairing: PairingContext): RelayFact {
  const { askedAtMs, splicedAtMs, agent } = pairing;
  const seconds = secondsBetween(askedAtMs, splicedAtMs ?? askedAtMs);
  return {
    type: "client session joined",
    ...ofClient(pairing),
    seconds,
    agent: agent?.facts ?? null,
  };
}

/** The last fact of a pairing. */
export function clientEnded(pairing: PairingContext, wallMs: number): RelayFact {
  const { outcome, sinceMs, report, agent } = pairing;
  const spliced = outcome.kind === "served" ? outcome.report : null;
  return {
    type: "client session ended",
    ...ofClient(pairing),
    since: iso(sinceMs),
    seconds: secondsBetween(sinceMs, wallMs),
    outcome: outcome.kind,
    endedBy: spliced?.endedBy ?? null,
    clientBytes: spliced?.clientBytes ?? 0,
    agentBytes: spliced?.agentBytes ?? 0,
    pauses: spliced?.pauses ?? 0,
    kinds: report?.kinds ?? [],
    login: report?.login ?? null,
    agent: agent?.facts ?? null,
  };
}

/** What the relay's machine told, at `wallMs`. */
export function factsOf(news: RelayNews, wallMs: number): RelayFact[] {
  switch (news.type) {
    case "AGENT.CAME": {
      const { asked, address, key, voucher, facts } = news.registration;
      const { id, former } = news;
      const returned = former?.key === key;
      const type = "agent session started";
      return [{ type, id, asked, address, returned, voucher, agent: facts }];
    }
    case "AGENT.TURNED.AWAY":
      return [
        {
          type: "connection refused",
          reason: "no id free",
          address: news.registration.address,
          path: `/agent/${news.registration.asked}`,
          status: 4403,
          said: "no id is free, try again",
        },
      ];
    case "AGENT.WENT": {
      const { id, address, onlineAtMs, status, facts } = news.entry;
      return [
        {
          type: "agent session ended",
          id,
          address,
          since: iso(onlineAtMs),
          seconds: secondsBetween(onlineAtMs, wallMs),
          outcome: news.outcome,
          ending: status?.ending ?? null,
          agent: facts,
        },
      ];
    }
    case "AGENT.WARNED":
      return [{ type: "agent warned", id: news.id, times: news.times }];
    case "AGENT.HELD":
      return [{ type: "agent held", id: news.id }];
    case "CLIENT.CAME": {
      const { client, id, facts, waitMs } = news.knock;
      const type = "client session started";
      return [{ type, session: client, id, client: facts.address, waitSeconds: waitMs / 1_000 }];
    }
    case "CLIENT.DETACHED": {
      const { stream = 0, address = "", login } = news.report;
      return [{ type: "client detached", id: news.id, stream, client: address, login }];
    }
    case "CLIENT.RESUMED": {
      const { stream = 0, resumes = 0, outageMs = 0, login } = news.report;
      const awaySeconds = outageMs / 1_000;
      const type = "client resumed";
      return [{ type, ...ofClient(news.pairing), stream, awaySeconds, resumes, login }];
    }
    case "CLIENT.SEEN": {
      const { pairing, login, kinds } = news;
      const of = ofClient(pairing);
      return [
        ...(login ? [{ type: "client logged in", ...of, login } as const] : []),
        ...kinds.map((kind) => ({ type: "client used", ...of, kind }) as const),
      ];
    }
  }
}

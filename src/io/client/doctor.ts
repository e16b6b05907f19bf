/**
 * Doctor: goes the way from this machine to a relay step by step, and says at each what is there
 * and, if it is wrong, what to do. It changes nothing and needs no agent.
 */
import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { TLSSocket } from "node:tls";
import { ConvergeError, reasonOf } from "../../actors/errors.ts";
import { socketUrl, type Trust } from "../dial/config.ts";
import { dial } from "../dial/dial.ts";
import { failure, redirectOf } from "../dial/failures.ts";
import { proxyAgentFor, proxyFor } from "../dial/proxy.ts";
import { type TlsTrust, trusting } from "../dial/trusting.ts";
import { closeCodes, controlMaxBytes, protocolVersion, subprotocols } from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import { machine, visit, type Wsproxy } from "./agent-check.ts";
import { type Finding, failed } from "./finding.ts";

/** How long an answer may take. */
const answerMs = 15_000;
/** A clock that is further off makes certificates and `.hold` times wrong. */
const clockMs = 120_000;
const dayMs = 86_400_000;

/**
 * The findings, in the order of the way; it ends after the first that makes the rest pointless. `url` is
 * the relay's or, with `/client/ID`, one agent's: then the agent and the keys are looked at too.
 */
export async function* examine(
  url: URL,
  trust: Trust,
  wsproxy: Wsproxy,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const [, id] = /\/client\/([^/]+)\/*$/.exec(url.pathname) ?? [];
  const base = new URL(url);
  base.protocol = url.protocol.replace("ws", "http");
  base.pathname = `${url.pathname.replace(/\/+$/, "").replace(/\/client\/[^/]*$/, "")}/`;
  yield { name: "URL", state: "ok", said: base.href };

  const proxyText = proxyFor(base);
  const proxy = URL.canParse(proxyText) ? new URL(proxyText) : null;
  yield {
    name: "proxy",
    state: "ok",
    said: proxyText ? `through ${proxy?.host ?? "?"} (from the environment)` : "none, directly",
  };

  const host = (proxy ?? base).hostname.replace(/^\[|\]$/g, "");
  try {
    const found = await lookup(host, { all: true });
    const addresses = [...new Set(found.map(({ address }) => address))].join(", ");
    yield { name: "DNS", state: "ok", said: `${host} is ${addresses}` };
  } catch (error) {
    const fix = proxy
      ? "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY; NO_PROXY names hosts that need none."
      : "Check the spelling. Inside a company the name may be known to the proxy alone: set HTTPS_PROXY.";
    const said = `${host} is not known (${plainText(reasonOf(error))})`;
    return yield { name: "DNS", state: "FAIL", said, fix, code: "CONVERGE_UNREACHABLE" };
  }

  let answer: Answer;
  try {
    answer = await trusting(trust, (tls) => ask(new URL("readyz", base), tls, signal));
  } catch (error) {
    const isTls =
      error instanceof ConvergeError && ["CONVERGE_TLS", "CONVERGE_PLAIN"].includes(error.code);
    const finding = failed(isTls ? "TLS" : "relay", error);
    return yield finding;
  }
  if (answer.tls !== null)
    yield {
      name: "TLS",
      state: trust.insecure || answer.days < 7 ? "warn" : "ok",
      said: `${answer.tls}, good for ${answer.days} days`,
      ...(trust.insecure && {
        fix: "It was not checked (--insecure). --ca FILE trusts just yours.",
      }),
    };
  if (answer.redirect !== null)
    return yield {
      name: "relay",
      state: "FAIL",
      said: `${base.host} answers, but ${answer.redirect}`,
      fix: "Use that URL, if it is the relay's: nobody is followed there.",
      code: "CONVERGE_REFUSED",
    };
  if (answer.status !== 200)
    return yield {
      name: "relay",
      state: "FAIL",
      said: `${base.host} answers, with HTTP status ${answer.status} at ${base.pathname}readyz`,
      fix:
        answer.status === 503
          ? "It is restarting. Try again in a minute."
          : "That is no Converge relay. Does the URL lack the context path? Open it in a browser.",
      code: answer.status === 503 ? "CONVERGE_UNREACHABLE" : "CONVERGE_REFUSED",
    };
  yield { name: "relay", state: "ok", said: `a relay answers at ${base.href}` };

  const offMs = answer.date - Date.now();
  const off = `${Math.round(Math.abs(offMs) / 1_000)} s ${offMs > 0 ? "behind" : "ahead of"} the relay's`;
  yield Math.abs(offMs) > clockMs
    ? { name: "clock", state: "warn", said: `this machine's is ${off}`, fix: "Set it (NTP)." }
    : { name: "clock", state: "ok", said: "within two minutes of the relay's" };

  let isGood = true;
  for await (const finding of knock(base, trust, signal)) {
    isGood &&= finding.state !== "FAIL";
    yield finding;
  }
  if (!isGood) return;
  yield* machine(base, wsproxy.version, answer.version);
  if (id !== undefined) yield* visit(url, trust, wsproxy, id, signal);
}

interface Answer {
  readonly status: number;
  /** Of the relay; null when it does not say. */
  readonly version: string | null;
  /** Where it sends us, as a clause. */
  readonly redirect: string | null;
  readonly date: number;
  /** Whose certificate it is; null without TLS. */
  readonly tls: string | null;
  /** Until it expires. */
  readonly days: number;
}

/** Of an answer that may be anybody's, so much is read. */
const bodyMost = 4_096;

function versionIn(body: string): string | null {
  const [, version = null] = /"version":"([\w.+-]{1,60})"/.exec(body) ?? [];
  return version;
}

async function ask(url: URL, tls: TlsTrust, signal: AbortSignal): Promise<Answer> {
  const agent = await proxyAgentFor(url, tls);
  const ask = url.protocol === "https:" ? httpsRequest : httpRequest;
  const within = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    ask(url, { ...tls, agent: agent ?? false, signal: within }, resolve)
      .once("error", (error) =>
        reject(error instanceof ConvergeError ? error : failure(url, error)),
      )
      .end();
  });
  const { socket } = answer;
  const certificate =
    "getPeerCertificate" in socket ? (socket as TLSSocket).getPeerCertificate() : null;
  let body = "";
  answer.setEncoding("utf8");
  for await (const chunk of answer) {
    body += chunk;
    if (body.length > bodyMost) break;
  }
  const until = Date.parse(certificate?.valid_to ?? "");
  return {
    status: answer.statusCode ?? 0,
    version: versionIn(body),
    redirect: redirectOf(url, answer.statusCode ?? 0, answer.headers.location),
    date: Date.parse(answer.headers.date ?? "") || Date.now(),
    tls: certificate
      ? `certificate of ${plainText(String(certificate.subject?.CN ?? certificate.subjectaltname ?? "?"))}`
      : null,
    days: Math.floor((until - Date.now()) / dayMs),
  };
}

/** Knocks at an id that nobody has: the relay's own answer shows that websockets come through. */
async function* knock(base: URL, trust: Trust, signal: AbortSignal): AsyncGenerator<Finding> {
  const id = `doctor-${Math.random().toString(36).slice(2)}`;
  try {
    const link = await dial(
      {
        url: socketUrl(base, `/client/${id}`),
        subprotocol: subprotocols.client,
        trust,
        maxPayload: controlMaxBytes,
        isCiphertext: false,
      },
      signal,
    );
    const late = setTimeout(() => link.terminate(), answerMs);
    const closed = new Promise<number>((resolve) => link.once("close", resolve));
    link.resume();
    const code = await closed;
    clearTimeout(late);
    yield { name: "websocket", state: "ok", said: "upgrades come through" };
    if (code === closeCodes.version)
      return yield failed(
        "version",
        new ConvergeError(
          "CONVERGE_VERSION",
          `the relay speaks another protocol version than ${protocolVersion}`,
        ),
      );
    if (code !== closeCodes.noSuchRendezvous)
      return yield {
        name: "version",
        state: "warn",
        said: `the relay closed with the code ${code}`,
        fix: "Try again; something on the way may end websockets early.",
      };
    yield {
      name: "version",
      state: "ok",
      said: `protocol version ${protocolVersion} on both sides`,
    };
  } catch (error) {
    const finding = failed("websocket", error);
    const isOwnWord = /restarting|too (?:many|often)|full/i.test(finding.said);
    yield {
      ...finding,
      fix: isOwnWord
        ? "Try again in a minute."
        : "Pages come through and websockets do not. A reverse proxy must pass Upgrade and Connection; a company's proxy may forbid them.",
    };
  }
}

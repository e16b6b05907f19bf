/**
 * Dial: opens a websocket to a relay, through a proxy if the environment names one.
 * It knows which failures are whose, and nothing of what is said afterwards.
 */
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { WebSocket } from "ws";
import { ConvergeError, reasonOf } from "../actors/errors.ts";
import { proxyAgentFor } from "./proxy.ts";
import { plainText } from "./text.ts";

/** TCP, TLS, a proxy and the upgrade together may take so long. */
const handshakeMs = 20_000;

export interface Trust {
  /** PEM text of the authority to believe instead of the system's; null for the system's. */
  readonly ca: string | null;
  readonly insecure: boolean;
}

export interface DialConfig {
  readonly url: URL;
  /** Null offers none, for strangers' servers. */
  readonly subprotocol: string | null;
  readonly trust: Trust;
  readonly maxPayload: number;
  /**
   * Whether frames get masks of zeros. RFC 6455 10.3 wants random ones, so that nobody can make a
   * cache in between take bytes of his choice for a request; what goes over our data links is ssh's
   * ciphertext, which nobody chooses. The relay then has nothing to unmask.
   */
  readonly isCiphertext: boolean;
  /** Goes into the `Authorization` header; never to wherever a redirect leads, for none is followed. */
  readonly token?: string | null;
}

/** Reads `--ca`; `CONVERGE_USAGE` when it is not a readable file with a certificate. */
export function readTrust(caFile: string | undefined, insecure: boolean): Trust {
  if (caFile === undefined) return { ca: null, insecure };
  try {
    const ca = readFileSync(caFile, "utf8");
    if (!ca.includes("-----BEGIN CERTIFICATE-----")) throw new Error("it holds no PEM certificate");
    return { ca, insecure };
  } catch (error) {
    throw new ConvergeError("CONVERGE_USAGE", `--ca ${caFile}: ${reasonOf(error)}.`, error);
  }
}

/** Whether a text can be a bearer token, RFC 6750 2.1. */
export const isBearer = (text: string): boolean => /^[\w.~+/-]+=*$/.test(text);

/** A relay's or client's URL as a websocket one: `https` is `wss`, and no slash at the end. */
export function socketUrl(base: URL, path = ""): URL {
  const url = new URL(base);
  url.protocol = base.protocol.replace("http", "ws");
  url.pathname = `${base.pathname.replace(/\/+$/, "")}${path}`;
  return url;
}

/**
 * Resolves with an open, **paused** websocket: whoever gets it adds listeners and resumes it, so
 * that not even a first message in the same packet is lost. Rejects with a `ConvergeError`:
 * `UNREACHABLE` (worth another try), `PROXY`, `TLS`, `REFUSED`.
 */
export async function dial(config: DialConfig, signal: AbortSignal): Promise<WebSocket> {
  const { url, trust } = config;
  const tls = { rejectUnauthorized: !trust.insecure, ...(trust.ca !== null && { ca: trust.ca }) };
  const agent = await proxyAgentFor(url, tls);
  const socket = new WebSocket(url, config.subprotocol ?? [], {
    perMessageDeflate: false,
    handshakeTimeout: handshakeMs,
    maxPayload: config.maxPayload,
    ...(config.isCiphertext && { generateMask: (mask: Buffer) => mask.fill(0) }),
    ...(config.token && { headers: { authorization: `Bearer ${config.token}` } }),
    ...tls,
    // Behind a proxy an address would be checked as the name "localhost".
    ...(agent && {
      agent,
      checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
        checkServerIdentity(url.hostname.replace(/^\[|\]$/g, ""), certificate),
    }),
  });
  const abort = (): void => socket.terminate();
  signal.addEventListener("abort", abort, { once: true });
  let proxy: ProxyAnswer | null = null;
  agent?.on("proxyConnect", (answer: ProxyAnswer) => {
    proxy = answer;
  });
  return await new Promise<WebSocket>((resolve, reject) => {
    socket.once("upgrade", (response) => response.socket.setNoDelay(true));
    socket.once("open", () => {
      socket.pause();
      signal.removeEventListener("abort", abort);
      socket.on("error", () => {}); // `close` follows and says all there is to act on
      resolve(socket);
    });
    socket.once("unexpected-response", (_request, response) => {
      refusal(url, response, proxy)
        .then(reject, reject)
        // It offered to keep the connection, which would keep this process.
        .finally(() => socket.terminate());
    });
    socket.once("error", (error) => reject(failure(url, error)));
    if (signal.aborted) abort();
  }).finally(() => signal.removeEventListener("abort", abort));
}

const tlsCodes =
  /^(?:ERR_TLS|ERR_SSL|CERT_|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|ERROR_IN_CERT|INVALID_PURPOSE)/;

/** What a failed connection means: `CONVERGE_TLS` or `CONVERGE_UNREACHABLE`. */
export function failure(url: URL, error: Error & { code?: string }): ConvergeError {
  if (tlsCodes.test(error.code ?? "")) {
    // OpenSSL's own lines: `…:SSL routines:<function>:<reason>:<file>:<line>:`.
    const [, reason] = /SSL routines:[^:]*:([^:]+)/.exec(error.message) ?? [];
    const why = reason ? `the TLS handshake failed (${reason})` : error.message;
    return new ConvergeError("CONVERGE_TLS", plainText(why).replace(/\.$/, ""), error);
  }
  const why = error.message || error.code || "no connection";
  return new ConvergeError("CONVERGE_UNREACHABLE", `${url.host} (${plainText(why)})`, error);
}

/** What a proxy said to CONNECT. */
interface ProxyAnswer {
  readonly statusCode: number;
  readonly statusText: string;
}

/** An HTTP answer instead of a websocket: the relay's own sentence where it gave one. */
async function refusal(
  url: URL,
  response: IncomingMessage,
  proxy: ProxyAnswer | null,
): Promise<ConvergeError> {
  if (proxy && proxy.statusCode !== 200) {
    response.destroy();
    return proxyRefusal(url, proxy);
  }
  const status = response.statusCode ?? 0;
  let body = "";
  response.setEncoding("utf8");
  response.on("error", () => {});
  for await (const chunk of response) {
    body += chunk;
    if (body.length > 1_000) break;
  }
  const isPlain = String(response.headers["content-type"] ?? "").startsWith("text/plain");
  const sentence = isPlain ? plainText(body) : `it answered with HTTP status ${status}.`;
  if (status >= 500 || status === 429)
    return new ConvergeError("CONVERGE_UNREACHABLE", `${url.host} (${sentence})`);
  return new ConvergeError("CONVERGE_REFUSED", sentence);
}

/** A proxy that is only unwell is worth another try, as the relay itself is. */
function proxyRefusal(url: URL, { statusCode, statusText }: ProxyAnswer): ConvergeError {
  const answer = plainText(`${statusCode} ${statusText}`, 60).trim();
  if (statusCode >= 500 || statusCode === 429)
    return new ConvergeError("CONVERGE_UNREACHABLE", `${url.host} (the proxy answered ${answer})`);
  return new ConvergeError(
    "CONVERGE_PROXY",
    statusCode === 407 ? "it wants a user and a password" : answer,
  );
}

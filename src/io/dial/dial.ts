/**
 * Dial: opens a websocket to a relay, through a proxy if the environment names one.
 * It knows which failures are whose, and nothing of what is said afterwards.
 */
import type { IncomingMessage } from "node:http";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { WebSocket } from "ws";
import { ConvergeError } from "../../actors/errors.ts";
import "../slow-lines.ts";
import { plainText } from "../text.ts";
import { answerPings } from "../websocket/link.ts";
import { type DialConfig, handshakeMs } from "./config.ts";
import { answerMost, failure, refusalOf } from "./failures.ts";
import { proxyAgentFor } from "./proxy.ts";
import { type TlsTrust, trusting } from "./trusting.ts";

/**
 * Resolves with an open, **paused** websocket: whoever gets it adds listeners and resumes it, so
 * that not even a first message in the same packet is lost. Rejects with a `ConvergeError`:
 * `UNREACHABLE` (worth another try), `PROXY`, `TLS`, `REFUSED`.
 */
export function dial(config: DialConfig, signal: AbortSignal): Promise<WebSocket> {
  return trusting(config.trust, (tls) => attempt(config, tls, signal));
}

async function attempt(config: DialConfig, tls: TlsTrust, signal: AbortSignal): Promise<WebSocket> {
  const { url } = config;
  const agent = await proxyAgentFor(url, tls);
  const socket = new WebSocket(url, config.subprotocol ?? [], {
    perMessageDeflate: false,
    autoPong: false,
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
  answerPings(socket);
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
    if (body.length > answerMost) break;
  }
  const { "content-type": contentType = "", location } = response.headers;
  return refusalOf(url, status, { contentType, location }, body);
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

/**
 * Dialling: what there is to say about reaching a relay, whoever does it: where, with what trust,
 * and what a failure means. It opens nothing, and loads nothing that wsproxy would have to wait for.
 */
import { readFileSync } from "node:fs";
import { ConvergeError, reasonOf } from "../../actors/errors.ts";
import "../slow-lines.ts";
import { plainText } from "../text.ts";

/** TCP, TLS, a proxy and the upgrade together may take so long. */
export const handshakeMs = 20_000;

export interface Trust {
  /** PEM text of the authority to believe instead of Node's and the machine's; null for those. */
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

/** Of an answer that is not a websocket, so many characters are read. */
export const answerMost = 1_000;

const tlsCodes =
  /^(?:ERR_TLS|ERR_SSL|CERT_|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|ERROR_IN_CERT|INVALID_PURPOSE)/;

/** What a failed connection means: `CONVERGE_TLS` or `CONVERGE_UNREACHABLE`. */
export function failure(url: URL, error: Error & { code?: string }): ConvergeError {
  if (tlsCodes.test(error.code ?? "")) {
    // OpenSSL's own lines: `…:SSL routines:<function>:<reason>:<file>:<line>:`.
    const [, reason] = /SSL routines:[^:]*:([^:]+)/.exec(error.message) ?? [];
    const own = reasonOf(error);
    const isKnown = own !== error.message;
    const why = isKnown ? own : `the TLS handshake failed (${reason ?? error.code})`;
    return new ConvergeError("CONVERGE_TLS", plainText(why).replace(/\.$/, ""), error);
  }
  const why = reasonOf(error) || error.code || "no connection";
  return new ConvergeError("CONVERGE_UNREACHABLE", `${url.host} (${plainText(why)})`, error);
}

/** Where an answer sends us, as a clause; null where it does not. Nobody is followed there. */
export function redirectOf(url: URL, status: number, location = ""): string | null {
  if (![301, 302, 303, 307, 308].includes(status) || location === "") return null;
  const base = url.href.replace(/^ws/, "http");
  const to = URL.canParse(location, base) ? new URL(location, base).href : location;
  return `it redirects to ${plainText(to)}`;
}

/** An HTTP answer instead of a websocket: the relay's own sentence where it gave one. */
export function refusalOf(
  url: URL,
  status: number,
  headers: { readonly contentType: string; readonly location: string | undefined },
  body: string,
): ConvergeError {
  const redirect = redirectOf(url, status, headers.location);
  if (redirect !== null)
    return new ConvergeError(
      "CONVERGE_REFUSED",
      `${redirect}. Use that URL, if it is the relay's.`,
    );
  const isPlain = headers.contentType.startsWith("text/plain");
  const sentence = isPlain ? plainText(body) : `it answered with HTTP status ${status}.`;
  if (status >= 500 || status === 429)
    return new ConvergeError("CONVERGE_UNREACHABLE", `${url.host} (${sentence})`);
  return new ConvergeError("CONVERGE_REFUSED", sentence);
}

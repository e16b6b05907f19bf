/**
 * Dial failures: what it means that a relay was not reached, or gave an answer that is no websocket,
 * as an error that says what to do. It opens nothing and knows not who dialled.
 */
import { ConvergeError, reasonOf } from "../../actors/errors.ts";
import { plainText } from "../text.ts";

/** Of an answer that is not a websocket, so many characters are read. */
export const answerMost = 1_000;

const tlsCodes =
  /^(?:ERR_TLS|ERR_SSL|CERT_|EPROTO|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|ERROR_IN_CERT|INVALID_PURPOSE)/;

/** What a failed connection means: `CONVERGE_TLS`, `CONVERGE_PLAIN` or `CONVERGE_UNREACHABLE`. */
export function failure(url: URL, error: Error & { code?: string }): ConvergeError {
  if (tlsCodes.test(error.code ?? "")) {
    // OpenSSL's own lines: `…:SSL routines:<function>:<reason>:<file>:<line>:`.
    const [, reason] = /SSL routines:[^:]*:([^:]+)/.exec(error.message) ?? [];
    if (/wrong version number|packet length too long/.test(reason ?? ""))
      return new ConvergeError("CONVERGE_PLAIN", url.host, error);
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

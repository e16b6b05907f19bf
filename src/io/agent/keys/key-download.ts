/**
 * Key download: fetches a page of public keys, such as a forge's `/<user>.keys`, within bounds.
 *
 * Knows nothing of keys. Node's own `fetch` ignores the environment's proxies, so it is `request`
 * that is used. Whoever can change the answer can log in, so a page asked for by https never comes
 * by way of http.
 */
import { type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import { proxyAgentFor } from "../../dial/proxy.ts";
import { type TlsTrust, trusting } from "../../dial/trusting.ts";
import { plainText } from "../../text.ts";

/** Far more than anybody's keys; a larger answer is an error page or an attack. */
const largestPage = 256 * 1024;
const mostRedirects = 5;

/**
 * The page's text. Follows redirects; rejects with an Error whose message is a clause ("it answered
 * 404") for anything but a 200 with at most 256 KiB that is not HTML, and when `signal` aborts.
 */
export async function downloadKeys(url: string, signal: AbortSignal): Promise<string> {
  let at = new URL(url);
  for (let hops = 0; hops <= mostRedirects; hops++) {
    const answer = await trusting({ ca: null, insecure: false }, (tls) => get(at, tls, signal));
    const { location } = answer.headers;
    const status = answer.statusCode ?? 0;
    if (status < 300 || status > 399 || location === undefined) return await textOf(answer);
    answer.destroy();
    at = nextHop(at, location);
  }
  throw new Error(`it redirects more than ${mostRedirects} times`);
}

/** Where a redirect leads, RFC 9110 15.4; an Error for anything less safe than where it comes from. */
export function nextHop(at: URL, location: string): URL {
  const next = new URL(location, at);
  if (next.protocol !== "https:" && (at.protocol === "https:" || next.protocol !== "http:")) {
    throw new Error(`it redirects to ${next.protocol.slice(0, -1)}`);
  }
  return next;
}

/** Why keys are not fetched from there, as a clause; null when they may be. */
export function faultInUrl(url: string): string | null {
  if (!URL.canParse(url)) return "it is no URL";
  const { protocol, username, password } = new URL(url);
  if (protocol !== "https:" && protocol !== "http:") return "only https and http are fetched";
  return username + password === "" ? null : "a user name or password in it is not supported";
}

/** The URL for a log or a notice: without user, password and query, where tokens are. */
export function withoutSecrets(url: string): string {
  return plainText(url.replace(/\/\/[^/]*@/, "//").replace(/[?#].*$/s, ""));
}

/** One request; resolves with the answer's head. */
async function get(url: URL, tls: TlsTrust, signal: AbortSignal): Promise<IncomingMessage> {
  const agent = await proxyAgentFor(url, tls);
  const options = { signal, headers: { accept: "text/plain" }, ...tls, ...(agent && { agent }) };
  return await new Promise((resolve, reject) => {
    const asked = url.protocol === "https:" ? secureRequest(url, options) : request(url, options);
    asked.once("response", resolve);
    asked.once("error", (error) => reject(signal.aborted ? signal.reason : error));
    asked.end();
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const fault = faultIn(answer);
  if (fault !== null) {
    answer.destroy();
    throw new Error(fault);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer) {
    size += chunk.length;
    if (size > largestPage) throw new Error("its answer is larger than 256 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function faultIn({ statusCode, headers }: IncomingMessage): string | null {
  if (statusCode !== 200) return `it answered ${statusCode}`;
  // A private forge shows its login page with status 200, which must not pass for "no keys".
  const isHtml = /\bhtml\b/i.test(headers["content-type"] ?? "");
  return isHtml ? "it answered with a web page instead of keys" : null;
}

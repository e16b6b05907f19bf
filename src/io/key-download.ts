/**
 * Key download: fetches a page of public keys, such as a forge's `/<user>.keys`, within bounds.
 *
 * Knows nothing of keys, and no proxies: Node's own fetch is what it uses. Whoever can change the
 * answer can log in, so a page asked for by https never comes by way of http.
 */

import { plainText } from "./text.ts";

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
    const answer = await fetch(at, {
      signal,
      redirect: "manual",
      headers: { accept: "text/plain" },
    });
    const location = answer.headers.get("location");
    if (answer.status < 300 || answer.status > 399 || location === null) return textOf(answer);
    await answer.body?.cancel();
    const next = new URL(location, at);
    if (next.protocol !== "https:" && (at.protocol === "https:" || next.protocol !== "http:")) {
      throw new Error(`it redirects to ${next.protocol.slice(0, -1)}`);
    }
    at = next;
  }
  throw new Error(`it redirects more than ${mostRedirects} times`);
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

async function textOf(answer: Response): Promise<string> {
  const fault = faultIn(answer);
  if (fault !== null) {
    await answer.body?.cancel();
    throw new Error(fault);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    if (size > largestPage) throw new Error("its answer is larger than 256 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function faultIn(answer: Response): string | null {
  if (answer.status !== 200) return `it answered ${answer.status}`;
  // A private forge shows its login page with status 200, which must not pass for "no keys".
  const isHtml = /\bhtml\b/i.test(answer.headers.get("content-type") ?? "");
  return isHtml ? "it answered with a web page instead of keys" : null;
}

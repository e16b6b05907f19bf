/**
 * Proxy: the way out that the environment names, `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
 * `NO_PROXY`, by CONNECT (RFC 9110 9.3.6). It knows nothing of what goes through.
 */
import type { Agent } from "node:http";
import { getProxyForUrl } from "proxy-from-env";
import { ConvergeError } from "../actors/errors.ts";

/** The proxy that the environment has for this URL; empty for the direct way. */
export const proxyFor = (url: URL): string => getProxyForUrl(url.href.replace(/^ws/, "http"));

/** An agent for `http.request` or `ws`; undefined for the direct way. `CONVERGE_PROXY` for SOCKS. */
export async function proxyAgentFor(
  url: URL,
  tls: { readonly ca?: string; readonly rejectUnauthorized?: boolean } = {},
): Promise<Agent | undefined> {
  const proxy = proxyFor(url);
  if (proxy === "") return undefined;
  if (!/^https?:\/\//.test(proxy))
    throw new ConvergeError("CONVERGE_PROXY", "only http:// and https:// proxies can be used");
  // Loaded here since most have no proxy, and every ssh waits for wsproxy to start.
  const { HttpsProxyAgent } = await import("https-proxy-agent");
  return new HttpsProxyAgent(proxy, tls) as unknown as Agent;
}

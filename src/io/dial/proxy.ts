/**
 * Proxy: the way out that the environment names, `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
 * `NO_PROXY`, read as curl reads them, by CONNECT (RFC 9110 9.3.6). It knows nothing of what goes
 * through.
 */
import type { Agent } from "node:http";
import { BlockList, isIP } from "node:net";
import { ConvergeError } from "../../actors/errors.ts";
import type { TlsTrust } from "./trusting.ts";

/** The small name wins, as everywhere. */
const read = (env: NodeJS.ProcessEnv, name: string): string =>
  (env[name] || env[name.toUpperCase()] || "").trim();

/** The proxy that the environment has for this URL, with a scheme; empty for the direct way. */
export function proxyFor({ protocol, hostname, port }: URL, env = process.env): string {
  const scheme = /^(?:https|wss):$/.test(protocol) ? "https" : "http";
  const proxy = read(env, `${scheme}_proxy`) || read(env, "all_proxy");
  if (proxy === "") return "";
  const host = bare(hostname);
  const at = Number(port) || (scheme === "https" ? 443 : 80);
  const exceptions = read(env, "no_proxy")
    .toLowerCase()
    .split(/[\s,]+/);
  if (exceptions.some((text) => text !== "" && covers(text, host, at))) return "";
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

/** A host without brackets and the dot that makes a name absolute. */
const bare = (host: string): string => host.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");

/** Whether one item of `NO_PROXY` is meant for a host and port. */
function covers(text: string, host: string, port: number): boolean {
  // One colon is before a port; several are an IPv6 address, unless that is in brackets.
  const [, name = text, only] = /^(\[.*\]|[^:]*):(\d+)$/.exec(text) ?? [];
  if (only !== undefined && Number(only) !== port) return false;
  const item = bare(name);
  if (item.startsWith("*")) return host.endsWith(item.slice(1));
  const [base = "", bits] = item.split("/");
  const family = isIP(bare(base));
  if (family !== 0) return family === isIP(host) && contains(bare(base), bits, host);
  const domain = item.replace(/^\./, "");
  if (domain === "" || isIP(host) !== 0) return false;
  return host === domain || host.endsWith(`.${domain}`);
}

/** Whether a range, or one address, holds an address of the same family; RFC 4632 3.1. */
function contains(base: string, bits: string | undefined, address: string): boolean {
  const kind = isIP(base) === 6 ? "ipv6" : "ipv4";
  const mostBits = kind === "ipv6" ? 128 : 32;
  const prefix = bits === undefined ? mostBits : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (prefix < 0 || prefix > mostBits) return false;
  const range = new BlockList();
  range.addSubnet(base, prefix, kind);
  return range.check(address, kind);
}

/** An agent for `http.request` or `ws`; undefined for the direct way. `CONVERGE_PROXY` for SOCKS. */
export async function proxyAgentFor(url: URL, tls: TlsTrust): Promise<Agent | undefined> {
  const proxy = proxyFor(url);
  if (proxy === "") return undefined;
  if (!/^https?:\/\//i.test(proxy) || !URL.canParse(proxy))
    throw new ConvergeError("CONVERGE_PROXY", "only http:// and https:// proxies can be used");
  // Loaded here since most have no proxy, and every ssh waits for wsproxy to start.
  const { HttpsProxyAgent } = await import("https-proxy-agent");
  return new HttpsProxyAgent(proxy, tls) as unknown as Agent;
}

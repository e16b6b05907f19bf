/**
 * Origin: where a request came from and where the relay is, as the outside sees both.
 * `Forwarded`-like headers are believed only from the addresses that the administrator listed.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import proxyAddr from "proxy-addr";
import { plainText } from "../../text.ts";

export interface Origin {
  /** The peer's IP address, without the `::ffff:` of mapped ones. */
  addressOf(request: IncomingMessage): string;
  /** The same of a connection that has asked nothing yet; null of a proxy that is believed, for it has many clients. */
  peerOf(socket: Pick<Socket, "remoteAddress">): string | null;
  /** The relay's own URL up to and including the context path, without a slash at the end. */
  baseOf(request: IncomingMessage): string;
  /**
   * Null when the name under which this was asked is one of the relay's, or it does not know its
   * own; else a sentence (for RFC 9110 15.5.20) that says what to do.
   */
  misdirected(request: IncomingMessage): string | null;
  /** Whether an `Origin` header (RFC 6454 7) names this relay's own pages. */
  isOwn(request: IncomingMessage, page: string): boolean;
  /** Every `host[:port]` under which a peer may rightly know this relay. */
  hostsOf(request: IncomingMessage): string[];
}

export interface OriginConfig {
  readonly publicUrl: URL | null;
  /** Host names without a port that are as good as that of `publicUrl`, in the form that URLs have. */
  readonly alsoHosts: readonly string[];
  /** `""` or `/x`. */
  readonly contextPath: string;
  /** Addresses and CIDR ranges, checked before. */
  readonly trustProxy: readonly string[];
  readonly hasTls: boolean;
}

/** `host[:port]` in the one form that URLs have: lower case, no default port. Empty when malformed. */
function canonicalHost(host: string, isSecure: boolean): string {
  // What URLs allow beyond this means something to one shell or another.
  if (!/^[\w.:[\]-]+$/.test(host)) return "";
  try {
    return new URL(`${isSecure ? "https" : "http"}://${host}`).host;
  } catch {
    return "";
  }
}

/** An IPv4 address that a socket for both families wrote as RFC 4291 2.5.5.2 has it. */
const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, "");

export function originOf(config: OriginConfig): Origin {
  const trust = proxyAddr.compile([...config.trustProxy]);
  const forwarded = (request: IncomingMessage, name: string): string | null => {
    const value = request.headers[`x-forwarded-${name}`];
    const peer = request.socket.remoteAddress ?? "";
    if (typeof value !== "string" || !isTrusted(peer)) return null;
    // Each proxy adds to the right (RFC 7239 4): what is left of it a client may have written.
    return plainText(value.split(",").at(-1)?.trim() ?? "", 300);
  };
  const isTrusted = (address: string): boolean => {
    try {
      return trust(address, 0);
    } catch {
      return false;
    }
  };
  const isSecure = (request: IncomingMessage): boolean =>
    (forwarded(request, "proto") ?? (config.hasTls ? "https" : "http")) === "https";
  const seenHost = (request: IncomingMessage): string =>
    canonicalHost(
      forwarded(request, "host") ?? plainText(request.headers.host ?? "", 300),
      isSecure(request),
    );
  const hostsOf = (request: IncomingMessage): string[] => [
    seenHost(request),
    canonicalHost(plainText(request.headers.host ?? "", 300), config.hasTls),
    ...(config.publicUrl ? [config.publicUrl.host] : []),
  ];
  const names = config.publicUrl && [config.publicUrl.hostname, ...config.alsoHosts];
  const isNamed = (host: string): boolean =>
    names === null || names.includes(host.replace(/:\d+$/, ""));
  return {
    addressOf: (request) => {
      try {
        return plainText(unmapped(proxyAddr(request, trust)), 60);
      } catch {
        return plainText(request.socket.remoteAddress ?? "unknown", 60);
      }
    },
    peerOf: ({ remoteAddress = "unknown" }) =>
      isTrusted(remoteAddress) ? null : unmapped(remoteAddress),
    baseOf: (request) =>
      config.publicUrl
        ? config.publicUrl.href.replace(/\/+$/, "")
        : `${isSecure(request) ? "https" : "http"}://${seenHost(request)}${config.contextPath}`,
    misdirected: (request) => {
      const host = seenHost(request);
      if (isNamed(host)) return null;
      const name = host.replace(/:\d+$/, "") || "NAME";
      return `This relay is ${config.publicUrl?.host}, and not ${host || "what the Host header says"}: use that name, or start the relay with --also-host ${name} too.`;
    },
    isOwn: (request, page) => {
      const { host = "" } = URL.canParse(page) ? new URL(page) : {};
      return host !== "" && isNamed(host) && hostsOf(request).includes(host);
    },
    hostsOf,
  };
}

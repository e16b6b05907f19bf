/**
 * Dial config: where a relay is and with what trust it is reached, whoever does it. It opens
 * nothing, and loads nothing that wsproxy would have to wait for.
 */
import { readFileSync } from "node:fs";
import { ConvergeError, reasonOf } from "../../actors/errors.ts";

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

/**
 * Proxy command: what one run of wsproxy is told to do.
 */
import type { Trust } from "../dial/config.ts";
import type { LinkNotice } from "./link-notice.ts";

export type Say = (sentence: string) => void;

export interface ProxyCommandConfig {
  readonly url: URL;
  /** A plain connector to any websocket server: no handshake of ours. */
  readonly raw: boolean;
  /** How long to wait for an agent that is not there yet. */
  readonly waitMs: number;
  /** Refuse any other host key. */
  readonly fingerprint: string | null;
  readonly trust: Trust;
  /** How long a stream may be without a link before it is given up; 0 is not at all. */
  readonly resumeMs: number;
  /** Tells the person that the link is lost; null where there is no terminal, or silence is wanted. */
  readonly notice: LinkNotice | null;
  /** Hears what only somebody who looks for a fault wants to know. */
  readonly debug: Say;
}

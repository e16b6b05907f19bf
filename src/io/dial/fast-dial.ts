/**
 * Fast dial: opens a websocket to a relay as `dial` does, with what loads fast: one request, one
 * answer (RFC 6455 4.1), no proxy. Whatever is less plain than that is `dial`'s.
 */
import { connect, isIP, type Socket } from "node:net";
import "../slow-lines.ts";
import { ClientLink } from "../websocket/client-link.ts";
import type { DataLink } from "../websocket/link.ts";
import { type DialConfig, handshakeMs } from "./config.ts";
import { answerMost, failure, refusalOf } from "./failures.ts";
import { proxyFor } from "./proxy.ts";
import { type TlsTrust, trusting } from "./trusting.ts";

/** As many bytes of headers as Node's own parser takes. */
const headMostBytes = 16 * 1024;
/** RFC 6455 1.3. */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** See `dial`; the link is one for ciphertext. */
export async function fastDial(config: DialConfig, signal: AbortSignal): Promise<DataLink> {
  if (!config.isCiphertext || proxyFor(config.url) !== "" || signal.aborted)
    return (await import("./dial.ts")).dial(config, signal);
  return await trusting(config.trust, async (tls) => {
    let socket: Socket;
    try {
      socket = await reach(config.url, tls);
    } catch (error) {
      throw failure(config.url, error as Error);
    }
    return await introduce(socket, config, signal);
  });
}

/** The socket, which may still be connecting; of TLS only the certificate is to be waited for. */
async function reach(url: URL, trust: TlsTrust): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const isSecure = url.protocol === "wss:";
  const port = Number(url.port) || (isSecure ? 443 : 80);
  if (!isSecure) return connect({ host, port, noDelay: true });
  const tls = await import("node:tls");
  const socket = tls.connect({
    host,
    port,
    ...trust,
    ALPNProtocols: ["http/1.1"],
    ...(isIP(host) === 0 && { servername: host }),
  });
  socket.setNoDelay(true);
  return socket;
}

/**
 * A key as RFC 6455 4.1 wants it: random, so that an answer from a cache is not taken for the relay's.
 * It is no secret, and what makes secrets takes longer to load than all the rest.
 */
const newKey = (): string =>
  Buffer.from(Array.from({ length: 16 }, () => Math.floor(Math.random() * 256))).toString("base64");

/** Asks for the upgrade and reads the answer. */
function introduce(socket: Socket, config: DialConfig, signal: AbortSignal): Promise<DataLink> {
  const { url } = config;
  const key = newKey();
  const protocol = config.subprotocol ?? "";
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    const settle = (): void => {
      clearTimeout(late);
      signal.removeEventListener("abort", abort);
      socket.off("data", take).off("end", isAll).off("close", isAll).off("error", broke);
      socket.on("error", () => {});
    };
    const fail = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const refuse = (why: string): void => fail(failure(url, new Error(why)));
    const abort = (): void => refuse("it was given up");
    const late = setTimeout(() => refuse("Opening handshake has timed out"), handshakeMs);
    signal.addEventListener("abort", abort, { once: true });

    const welcome = async (answered: string | undefined, early: Buffer): Promise<void> => {
      const { createHash } = await import("node:crypto");
      const accept = createHash("sha1")
        .update(key + guid)
        .digest("base64");
      if (answered !== accept) return refuse("Invalid Sec-WebSocket-Accept header");
      settle();
      resolve(new ClientLink(socket, early, config.maxPayload));
    };
    const hear = (isWhole: boolean): void => {
      const end = got.indexOf("\r\n\r\n");
      if (end < 0) {
        if (isWhole) refuse(got.length > 0 ? "its answer is no HTTP" : "socket hang up");
        else if (got.length > headMostBytes) refuse("its answer is too long");
        return;
      }
      const [status, ...lines] = got.toString("latin1", 0, end).split("\r\n");
      const [, digits] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(status ?? "") ?? [];
      if (digits === undefined) return refuse("its answer is no HTTP");
      const fields = new Map(
        lines.map((line) => {
          const colon = line.indexOf(":");
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      );
      const body = got.subarray(end + 4);
      if (digits !== "101") {
        const length = Number(fields.get("content-length") ?? Number.POSITIVE_INFINITY);
        if (!isWhole && body.length < Math.min(length, answerMost)) return;
        const contentType = fields.get("content-type") ?? "";
        const headers = { contentType, location: fields.get("location") };
        return fail(refusalOf(url, Number(digits), headers, body.toString("utf8", 0, answerMost)));
      }
      if (fields.get("upgrade")?.toLowerCase() !== "websocket")
        return refuse("Invalid Upgrade header");
      if ((fields.get("sec-websocket-protocol") ?? "") !== protocol)
        return refuse("Server sent an invalid subprotocol");
      if (fields.has("sec-websocket-extensions"))
        return refuse(
          "Server sent a Sec-WebSocket-Extensions header but no extension was requested",
        );
      socket.pause(); // what comes now is the link's
      socket.off("data", take).off("end", isAll).off("close", isAll);
      void welcome(fields.get("sec-websocket-accept"), Buffer.from(body));
    };
    const take = (data: Buffer): void => {
      got = Buffer.concat([got, data]);
      hear(false);
    };
    const isAll = (): void => hear(true);
    const broke = (error: Error): void => fail(failure(url, error));
    socket.on("data", take).on("end", isAll).on("close", isAll).on("error", broke);
    if (signal.aborted) return abort();
    socket.write(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${protocol && `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`,
    );
  });
}

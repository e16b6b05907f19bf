/**
 * Http server: the relay's one port. Pages and JSON are fastify's; upgrades go to who upgrades.
 * It knows no session: what it shows is handed in as functions.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext } from "node:tls";
import Fastify, { type FastifyInstance } from "fastify";
import type { Clock } from "../../../actors/clock.ts";
import { confine, faultsIn } from "../../../actors/confine.ts";
import { ConvergeError, reasonOf } from "../../../actors/errors.ts";
import type { Log } from "../../../actors/ports.ts";
import { watchFiles } from "../../file-watch.ts";
import { version } from "../../version.ts";
import type { MetricsAnswer } from "./metrics-server.ts";
import type { PlainHttp } from "./plain-http.ts";

export interface HttpServerConfig {
  readonly host: string;
  readonly port: number;
  /** `""` or `/x`. */
  readonly contextPath: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
}

export interface HttpServerViews {
  isDraining(): boolean;
  /** Null when metrics have a port of their own. */
  readonly metrics: MetricsAnswer | null;
  readonly plain: PlainHttp;
  /** Adds the pages. */
  addPages(app: FastifyInstance): Promise<void>;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HttpServer {
  readonly host: string;
  /** The port in use, also when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

/** Paths, below the context path, that are for machines which look whether the relay is well. */
export const probes = ["/healthz", "/readyz", "/metrics"] as const;

/** A request that comes slowly, or stops, is cut: headers after 10 s, all of it after 15 s. */
const limits = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 2_000,
} as const;
const handshakeMs = 10_000;
/** At the end, what connections get to close by themselves, websockets too. */
const lastMs = 3_000;

/** Reads a key pair; an unusable one is `CONVERGE_USAGE` with the file named. */
export function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }) {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new ConvergeError("CONVERGE_USAGE", `Cannot read ${file}: ${reasonOf(error)}.`, error);
    }
  };
  const pair = { cert: read(certFile), key: read(keyFile) };
  try {
    createSecureContext(pair);
  } catch (error) {
    const why = `The certificate ${certFile} and the key ${keyFile} cannot be used: ${reasonOf(error)}.`;
    throw new ConvergeError("CONVERGE_USAGE", why, error);
  }
  return pair;
}

/** Listens; `CONVERGE_LISTEN` when the address cannot be had, `CONVERGE_USAGE` for bad TLS files. */
export async function listen(
  config: HttpServerConfig,
  views: HttpServerViews,
  clock: Clock,
  log: Log,
): Promise<HttpServer> {
  const { plain } = views;
  const fault = faultsIn(log);
  const app = Fastify({
    logger: false,
    bodyLimit: 1024,
    forceCloseConnections: true,
    serverFactory: (answer) => {
      const handler = confine(
        fault,
        "request",
        (request: IncomingMessage, response: ServerResponse) => {
          if (plain.mayAsk(request, response)) answer(request, response);
        },
        (_request, response) => void response.destroy(),
      );
      const server = config.tls
        ? createTlsServer(
            { ...limits, handshakeTimeout: handshakeMs, ...readTls(config.tls) },
            handler,
          )
        : createServer(limits, handler);
      const drop = (socket: Socket): void => void socket.destroy();
      return server.on("connection", confine(fault, "connection", plain.came, drop));
    },
  });
  app.addHook("onSend", (_request, reply, _payload, done) => {
    reply.header("x-content-type-options", "nosniff");
    done();
  });
  await views.addPages(app);
  // Alive as long as it answers: who restarts what is not, must not cut a relay that drains.
  app.get(`${config.contextPath}/healthz`, (_request, reply) =>
    reply.header("cache-control", "no-store").send({ status: "ok" }),
  );
  app.get(`${config.contextPath}/readyz`, (_request, reply) => {
    const isDraining = views.isDraining();
    return reply
      .code(isDraining ? 503 : 200)
      .header("cache-control", "no-store")
      .send({ status: isDraining ? "draining" : "ready", version });
  });
  const { metrics } = views;
  if (metrics)
    app.get(`${config.contextPath}/metrics`, async (_request, reply) => {
      const text = await metrics.text();
      return reply.header("cache-control", "no-store").type(metrics.contentType).send(text);
    });
  app.setErrorHandler((error: { statusCode?: number; message: string }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) log.error({ reason: error.message }, "request failed");
    return reply
      .code(status)
      .send({ error: status < 500 ? error.message : "Something went wrong inside the relay." });
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: "There is nothing at this path." }),
  );
  const upgrade = confine(
    fault,
    "upgrade",
    (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      plain.upgrades(request);
      views.upgrade(request, socket, head);
    },
    (_request, socket) => void socket.destroy(),
  );
  app.server.on("upgrade", upgrade);

  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    throw new ConvergeError("CONVERGE_LISTEN", `${config.host}:${config.port}`, error);
  }
  const stopWatching = config.tls
    ? reloadOnChange(app.server as TlsServer, config.tls, clock, log)
    : null;
  const { address, port } = app.server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: async () => {
      stopWatching?.();
      const late = setTimeout(plain.destroyAll, lastMs);
      await app.close();
      clearTimeout(late);
    },
  };
}

/** New connections get the new certificate; a pair that does not work is reported and left out. */
function reloadOnChange(
  server: TlsServer,
  tls: { certFile: string; keyFile: string },
  clock: Clock,
  log: Log,
): () => void {
  const reload = (): void => {
    try {
      server.setSecureContext(readTls(tls));
      log.info({ certificate: tls.certFile }, "certificate reloaded");
    } catch (error) {
      log.warn({ certificate: tls.certFile, reason: reasonOf(error) }, "certificate not reloaded");
    }
  };
  return watchFiles([tls.certFile, tls.keyFile], clock, reload).close;
}

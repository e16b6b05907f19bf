/**
 * Metrics server: `/metrics` alone on a port of its own, which need not be reachable for those
 * who use the relay. What is measured is not its business.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConvergeError } from "../../../actors/errors.ts";

export interface MetricsAnswer {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface MetricsServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A few that scrape, each every few seconds. */
const connectionsMost = 100;
/** A scraper that takes nothing of its answer for so long has given up. */
const idleMs = 30_000;

/** Listens; `CONVERGE_LISTEN` when the address cannot be had. Nothing but GET /metrics is answered. */
export async function serveMetrics(
  where: { readonly host: string; readonly port: number },
  { contentType, text }: MetricsAnswer,
): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: 15_000, headersTimeout: 10_000 },
    (request, response) => {
      const isRight = request.url?.split("?", 1)[0] === "/metrics" && request.method === "GET";
      response.setHeader("cache-control", "no-store");
      response.setHeader("x-content-type-options", "nosniff");
      if (!isRight) {
        response.writeHead(404, { "content-type": "text/plain" });
        return response.end("Only GET /metrics is answered here.\n");
      }
      return text().then(
        (body) => response.writeHead(200, { "content-type": contentType }).end(body),
        () => response.writeHead(500).end(),
      );
    },
  );
  server.maxConnections = connectionsMost;
  server.timeout = idleMs;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const address = `${where.host}:${where.port}`;
      reject(new ConvergeError("CONVERGE_LISTEN_METRICS", address, error));
    });
    server.listen(where, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Mirror: passes requests on to a relay, counts what is fetched, and damages it when told to. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

export interface Mirror {
  readonly url: string;
  /** What was fetched of the downloads, in its order. */
  fetched: string[];
  isDamaging: boolean;
  close(): void;
}

export async function openMirror(relay: { readonly port: number }): Promise<Mirror> {
  const server = createServer((incoming, answer) => {
    if (incoming.url?.startsWith("/static/")) mirror.fetched.push(incoming.url);
    const onward = request(
      { port: relay.port, host: "127.0.0.1", path: incoming.url, headers: incoming.headers },
      (response) => {
        answer.writeHead(response.statusCode ?? 500, response.headers);
        let isFirst = mirror.isDamaging && incoming.url?.startsWith("/static/");
        response.on("data", (data: Buffer) => {
          if (isFirst) data.writeUInt8(data.readUInt8(data.length >> 1) ^ 1, data.length >> 1);
          isFirst = false;
          answer.write(data);
        });
        response.on("end", () => answer.end());
      },
    );
    incoming.pipe(onward);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const mirror: Mirror = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fetched: [],
    isDamaging: false,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return mirror;
}

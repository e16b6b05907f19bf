/**
 * Forwarder: a TCP port in front of a relay, whose connections a test can cut or freeze, each
 * known by its first line. What happens to them is what a network does.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Passage {
  /** The first line of the request, such as `GET /agent/x HTTP/1.1`. */
  firstLine(): string;
  /** The near side sees a reset; so does the far side. */
  cut(): void;
  /** Nothing passes any more, and nobody is told. */
  freeze(): void;
  /** The near side is cut, the far side is told nothing. */
  halfOpen(): void;
  isOpen(): boolean;
}

export interface Forwarder {
  readonly port: number;
  readonly passages: Passage[];
  /** Those still open whose first line holds this. */
  open(what: string): Passage[];
  close(): Promise<void>;
}

/** `tap` gets every byte that passes, either way. */
export async function forwarder(
  to: () => number,
  tap: (data: Buffer) => void = () => {},
): Promise<Forwarder> {
  const passages: Passage[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to(), "127.0.0.1");
    let first = "";
    let isOpen = true;
    let isFrozen = false;
    near.once("data", (data) => {
      first = data.toString("latin1").split("\r\n")[0] ?? "";
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => {});
      one.on("data", (data) => {
        tap(data);
        if (!isFrozen) other.write(data);
      });
      one.on("close", () => {
        sockets.delete(one);
        if (isFrozen) return;
        isOpen = false;
        other.destroy();
      });
    }
    passages.push({
      firstLine: () => first,
      cut: () => {
        near.resetAndDestroy();
        far.resetAndDestroy();
      },
      freeze: () => {
        isFrozen = true;
      },
      halfOpen: () => {
        isFrozen = true;
        isOpen = false;
        near.resetAndDestroy();
      },
      isOpen: () => isOpen,
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    passages,
    open: (what) => passages.filter((one) => one.isOpen() && one.firstLine().includes(what)),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

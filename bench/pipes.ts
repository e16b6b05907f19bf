/**
 * Pipes: both ends of one path through a relay, as raw sockets that a cheap driver can write to
 * and count on. Websocket frames are made once, with a zero mask, so that the driver costs the
 * same for every peer.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { WebSocket } from "ws";
import { derivedId, newIdentity } from "../src/io/protocol/identity.ts";
import { subprotocols } from "../src/io/protocol/wire.ts";
import { readInto } from "../src/io/tcp-socket.ts";

export interface Pipe {
  readonly from: Socket;
  readonly to: Socket;
  /** What is written again and again. */
  readonly chunk: Buffer;
  /** One byte, from either end. */
  readonly crumb: Buffer;
  readonly answer: Buffer;
  close(): void;
}

const payload = Buffer.alloc(64 * 1024, 1);

/** RFC 6455 5.2: a binary frame from a client, with a mask of zeros or another. */
function frame(data: Buffer, mask = Buffer.alloc(4)): Buffer {
  const head =
    data.length > 65_535
      ? Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, data.length >> 16, data.length >> 8, data.length])
      : data.length > 125
        ? Buffer.from([0x82, 0xfe, data.length >> 8, data.length])
        : Buffer.from([0x82, 0x80 | data.length]);
  return Buffer.concat([head, mask, data.map((byte, n) => byte ^ (mask[n & 3] ?? 0))]);
}

/** 64 KiB each, in one frame, in 64, and in one that has to be unmasked. */
export const payloads = {
  large: frame(payload),
  small: Buffer.concat(Array.from({ length: 64 }, () => frame(payload.subarray(0, 1_024)))),
  masked: frame(payload, Buffer.from([0x12, 0x34, 0x56, 0x78])),
} as const;

const rawOf = (socket: WebSocket): Socket => {
  const raw = (socket as unknown as { _socket: Socket })._socket;
  raw.removeAllListeners("data");
  raw.setNoDelay(true);
  return raw;
};

const destroy = (...ends: (Socket | WebSocket)[]): void => {
  for (const end of ends) end instanceof WebSocket ? end.terminate() : end.destroy();
};

const opened = (url: string, protocol?: string): Promise<WebSocket> =>
  new Promise((done, fail) => {
    const socket = new WebSocket(url, protocol ? [protocol] : [], { perMessageDeflate: false });
    socket.once("open", () => done(socket));
    socket.once("error", fail);
  });

/** A sink that hands out its next connection. */
export async function openSink(): Promise<{
  port: number;
  next(): Promise<Socket>;
  server: Server;
}> {
  const waiting: ((socket: Socket) => void)[] = [];
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    const taker = waiting.shift();
    if (taker) taker(socket);
    else socket.destroy();
  }).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    next: () => new Promise((done) => waiting.push(done)),
    server,
  };
}

/** Through a plain TCP relay. */
export async function tcpPipe(port: number, sink: { next(): Promise<Socket> }): Promise<Pipe> {
  const arriving = sink.next();
  const from = connect(port, "127.0.0.1");
  from.setNoDelay(true);
  const to = await arriving;
  const crumb = Buffer.from("x");
  return { from, to, chunk: payload, crumb, answer: crumb, close: () => destroy(from, to) };
}

const crumb = frame(Buffer.from("x"));
let goPairs = 0;

/** Through the Go relay, which joins what comes with the same path. */
export async function goPipe(port: number): Promise<Pipe> {
  goPairs += 1;
  const url = `ws://127.0.0.1:${port}/${goPairs}`;
  const one = await opened(url);
  const other = await opened(url);
  return {
    from: rawOf(one),
    to: rawOf(other),
    chunk: payloads.large,
    crumb,
    answer: crumb,
    close: () => destroy(one, other),
  };
}

/** An agent of our own protocol that only dials back. */
export async function openDialler(relay: string) {
  const base = relay.replace("http", "ws");
  const identity = newIdentity();
  const id = derivedId(identity.key);
  // Heard from the start: the challenge may come in the same packet as the upgrade.
  const control = new WebSocket(`${base}/agent/${id}`, [subprotocols.agent]);
  const waiting: ((ticket: string) => void)[] = [];
  const { host } = new URL(relay);
  const facts = {
    host: "h",
    user: "u",
    os: "o",
    arch: "a",
    shell: "s",
    version: "0",
    fingerprint: "f",
  };
  await new Promise<void>((done) => {
    control.on("message", (text) => {
      const message = JSON.parse(String(text));
      if (message.type === "challenge") {
        const signature = identity.answer(message.nonce, host, id);
        control.send(
          JSON.stringify({ type: "register", id, host, key: identity.key, signature, facts }),
        );
      } else if (message.type === "registered") done();
      else if (message.type === "summon") waiting.shift()?.(message.ticket);
    });
  });
  return {
    close: () => control.terminate(),
    /** A fresh pair of links, spliced. */
    pipe: async (chunk: Buffer): Promise<Pipe> => {
      const summoned = new Promise<string>((done) => waiting.push(done));
      const client = new WebSocket(`${base}/client/${id}`, [subprotocols.client], {
        perMessageDeflate: false,
      });
      const spliced = new Promise<void>((done, fail) => {
        client.once("close", (code) => fail(new Error(`a client was closed with ${code}`)));
        client.on("message", (text) => {
          if (JSON.parse(String(text)).type === "spliced") done();
        });
      });
      const agent = await opened(`${base}/dial/${await summoned}`, subprotocols.data);
      await spliced;
      return {
        from: rawOf(agent),
        to: rawOf(client),
        chunk,
        crumb,
        answer: crumb,
        close: () => destroy(agent, client),
      };
    },
  };
}

/** Where all that comes out is read to. */
const drain = Buffer.alloc(256 * 1024);
/** So many chunks are written at once. */
const together = 4;

/** Writes `bytes` into each pipe at once and waits until all came out; seconds. */
export async function push(pipes: readonly Pipe[], bytes: number): Promise<number> {
  const start = performance.now();
  await Promise.all(
    pipes.map(({ from, to, chunk }) => {
      const parcel = Buffer.concat(Array.from({ length: together }, () => chunk));
      let left = Math.ceil(bytes / (together * payload.length));
      const want = left * together * payload.length;
      let got = 0;
      const arrived = new Promise<void>((done) => {
        const onRead = (length: number): void => {
          got += length;
          if (got >= want) done();
        };
        readInto(to, { back: drain, onRead });
      });
      const write = (): void => {
        while (left > 0) {
          left -= 1;
          if (!from.write(parcel)) return void from.once("drain", write);
        }
      };
      write();
      return arrived;
    }),
  );
  return (performance.now() - start) / 1_000;
}

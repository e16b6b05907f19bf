/**
 * Raw client: an ssh client that is logged in, and then says what no honest one would. ssh2's own
 * client makes the connection; packets are put together by hand (RFC 4253, RFC 4254).
 */
import { readFileSync } from "node:fs";
import ssh2, { type Client } from "ssh2";
import { createWebSocketStream, WebSocket } from "ws";
import { string } from "./raw-ssh.ts";
import { until } from "./until.ts";

/** RFC 4250 4.1.2, as far as they are used. */
export const messages = {
  unimplemented: 3,
  globalRequest: 80,
  requestFailure: 82,
  channelOpen: 90,
  openConfirmation: 91,
  openFailure: 92,
  windowAdjust: 93,
  channelData: 94,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
  ping: 192,
  pong: 193,
} as const;

interface Private {
  _protocol: {
    _cipher: { encrypt(packet: Buffer): void };
    _packetRW: {
      write: {
        allocStart: number;
        alloc(bytes: number): Buffer;
        finalize(packet: Buffer): Buffer;
      };
    };
    _onPayload: (payload: Buffer) => unknown;
    _decipher: { _onPayload: (payload: Buffer) => unknown };
  };
}

export interface RawClient {
  readonly client: Client;
  readonly socket: WebSocket;
  /** Every payload that came since the login, in order. */
  readonly heard: Buffer[];
  /** Sends a payload; numbers are bytes if they are first, and uint32 else. */
  send(message: number, ...fields: (number | string | Buffer)[]): void;
  /** Waits for a payload of this kind, after those that were waited for before. */
  hear(message: number): Promise<Buffer>;
  isOver(): boolean;
  end(): void;
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Logs in at `clientUrl` with a private key's file, and takes the packets over from ssh2. */
export async function rawClient(clientUrl: string, keyFile: string): Promise<RawClient> {
  const socket = new WebSocket(clientUrl.replace(/^http/, "ws"), [], { perMessageDeflate: false });
  const client = new ssh2.Client();
  let isOver = false;
  client.on("error", () => {});
  socket.on("close", () => {
    isOver = true;
  });
  const isReady = new Promise<void>((resolve, reject) => {
    client.once("ready", resolve);
    client.once("error", reject);
  });
  const sock = createWebSocketStream(socket);
  sock.on("error", () => {});
  client.connect({ sock, username: "x", privateKey: readFileSync(keyFile) });
  await isReady;
  const { _protocol: protocol } = client as unknown as Private;
  const heard: Buffer[] = [];
  let at = 0;
  protocol._decipher._onPayload = (payload) => {
    heard.push(Buffer.from(payload));
    return undefined;
  };
  return {
    client,
    socket,
    heard,
    send: (message, ...fields) => {
      const payload = Buffer.concat([
        Buffer.of(message),
        ...fields.map((field) =>
          typeof field === "number"
            ? u32(field)
            : typeof field === "string"
              ? string(field)
              : field,
        ),
      ]);
      const { write } = protocol._packetRW;
      const packet = write.alloc(payload.length);
      packet.set(payload, write.allocStart);
      protocol._cipher.encrypt(write.finalize(packet));
    },
    hear: (message) =>
      until(`message ${message}`, () => {
        const found = heard.findIndex((payload, index) => index >= at && payload[0] === message);
        if (found < 0) return isOver ? Buffer.alloc(0) : null;
        at = found + 1;
        return heard[found];
      }),
    isOver: () => isOver,
    end: () => socket.terminate(),
  };
}

/** Opens a session channel under the client's number; the agent's number for it. */
export async function openSession(
  raw: RawClient,
  { number = 0, window = 1 << 21, packet = 1 << 15 } = {},
): Promise<number> {
  raw.send(messages.channelOpen, "session", number, window, packet);
  const answer = await raw.hear(messages.openConfirmation);
  return answer.readUInt32BE(5);
}

/**
 * Lives: of clients that mean harm, from the first byte to a link that is dropped, wherever they are
 * then. Each resolves when its link is gone. What they say is the same for the same random; when it
 * arrives is not.
 */
import { readFileSync } from "node:fs";
import ssh2, { type ClientChannel } from "ssh2";
import { createWebSocketStream, WebSocket } from "ws";
import { brokenSpeech, loginSpeech, noise, sessionSpeech } from "./broken-speech.ts";
import type { Random } from "./random.ts";
import { rawClient } from "./raw-client.ts";
import { kexInit, packet, string } from "./raw-ssh.ts";
import { stranger } from "./stranger.ts";
import { until } from "./until.ts";

/** Where they go, and with what. */
export interface Aim {
  readonly clientUrl: string;
  readonly keyFile: string;
  /** A server on 127.0.0.1 that sends back what it is sent. */
  readonly echoPort: number;
}
export type Life = (aim: Aim, random: Random) => Promise<void>;

/** Some milliseconds, so that messages meet the agent's answers at every point of their way. */
const moment = (random: Random, most = 30): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, random.below(most));
  });

/** The link goes, in one of the ways in which links go. */
async function drop(socket: WebSocket, random: Random): Promise<void> {
  socket.on("error", () => {});
  if (socket.readyState === WebSocket.CLOSED) return;
  const gone = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  if (random.isSo(0.3)) socket.close(1000);
  if (random.isSo(0.2)) await moment(random);
  socket.terminate();
  await gone;
}

/** Before there are keys: greetings and key exchanges, over frames that are cut anywhere. */
const stranded: Life = async ({ clientUrl }, random) => {
  const link = stranger(clientUrl, "converge.client.v1");
  if (random.isSo(0.9)) await until("a link", () => link.isOpen() || link.closed());
  const kex = random.pick(["curve25519-sha256", "ecdh-sha2-nistp256", "mlkem768x25519-sha256"]);
  const key = Buffer.from(
    Array.from({ length: random.pick([32, 65, 1216]) }, () => random.below(256)),
  );
  const speech = [
    Buffer.from(random.isSo(0.9) ? "SSH-2.0-x\r\n" : `SSH-${"1".repeat(random.below(999))}\r\n`),
    packet(kexInit(random.isSo(0.8) ? `${kex},ext-info-c` : `${kex},kex-strict-c-v00@openssh.com`)),
    packet(Buffer.concat([Buffer.of(30), string(key)])),
    packet(Buffer.of(21)),
    packet(Buffer.concat([Buffer.of(5), string("ssh-userauth")])),
    noise(random, 200),
  ].slice(0, random.below(7));
  const all = Buffer.concat(brokenSpeech(random, speech, 4));
  for (let at = 0; at < all.length && link.isOpen(); ) {
    const end = at + 1 + random.below(random.isSo(0.5) ? all.length : 40);
    link.socket.send(random.isSo(0.02) ? "text" : all.subarray(at, end));
    at = end;
    if (random.isSo(0.2)) await moment(random);
  }
  if (random.isSo(0.5)) await moment(random, 100);
  await drop(link.socket, random);
};

/** A client of ssh2's over a websocket of ours; what goes wrong with it ends it and nothing else. */
function honest({ clientUrl, keyFile }: Aim, how: ssh2.ConnectConfig = {}) {
  const socket = new WebSocket(clientUrl.replace(/^http/, "ws"), [], { perMessageDeflate: false });
  const sock = createWebSocketStream(socket);
  sock.on("error", () => {});
  const client = new ssh2.Client();
  client.on("error", () => {});
  const ready = new Promise<void>((resolve) => {
    client.once("ready", resolve).once("close", resolve);
  });
  client.connect({ sock, username: "x", privateKey: readFileSync(keyFile), ...how });
  return { socket, client, ready };
}

interface Protocol {
  rekey(): void;
  _cipher: { encrypt(packet: Buffer): void };
  _packetRW: {
    write: { allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer };
  };
  _decipher: { _onPayload: (payload: Buffer) => unknown };
}
const protocolOf = (client: ssh2.Client): Protocol =>
  (client as unknown as { _protocol: Protocol })._protocol;

/** With keys and no login: whatever is asked for, and logins of every kind. */
const uninvited: Life = async (aim, random) => {
  const asked = { isSo: false };
  const { socket, client } = honest(aim, {
    // It is asked and never answers: from then on the words are ours.
    authHandler: () => {
      asked.isSo = true;
    },
  });
  await until("logins are asked for", () => asked.isSo || socket.readyState === WebSocket.CLOSED);
  const protocol = protocolOf(client);
  if (socket.readyState === WebSocket.OPEN) protocol._decipher._onPayload = () => undefined;
  for (const message of brokenSpeech(random, loginSpeech(random))) {
    if (socket.readyState !== WebSocket.OPEN) break;
    const { write } = protocol._packetRW;
    const bytes = write.alloc(message.length);
    bytes.set(message, write.allocStart);
    protocol._cipher.encrypt(write.finalize(bytes));
    if (random.isSo(0.3)) await moment(random);
  }
  await drop(socket, random);
};

/** Logged in: terminals, commands, sftp and forwards, some at once, in words that are broken. */
const insolent: Life = async ({ clientUrl, keyFile, echoPort }, random) => {
  const raw = await rawClient(clientUrl, keyFile);
  for (const message of brokenSpeech(
    random,
    sessionSpeech(random, echoPort),
    random.pick([4, 50]),
  )) {
    if (raw.isOver() || raw.socket.readyState !== WebSocket.OPEN) break;
    raw.send(message[0] ?? 0, message.subarray(1));
    if (random.isSo(0.01)) raw.socket.pause();
    if (random.isSo(0.2)) await moment(random);
  }
  if (random.isSo(0.5)) await moment(random, 200);
  await drop(raw.socket, random);
};

/** An honest client at work, that renews its keys; its link is dropped, or its bytes are not its own. */
const interrupted: Life = async (aim, random) => {
  const { socket, client, ready } = honest(aim);
  const early = random.isSo(0.2);
  if (early) await moment(random, 100);
  else {
    await ready;
    const use = (_error: Error | undefined, channel: ClientChannel | undefined): void => {
      channel?.on("error", () => {});
      channel?.resume();
      if (channel?.writable) channel.write(noise(random, 20_000));
    };
    const acts: readonly (() => unknown)[] = [
      () => client.exec("yes", use),
      () => client.exec("cat", { pty: true }, use),
      () => client.shell(use),
      () => client.forwardOut("127.0.0.1", 1, "127.0.0.1", aim.echoPort, use),
      () => client.forwardIn("localhost", 0, () => {}),
      () =>
        client.sftp((_error, sftp) => {
          sftp?.on("error", () => {});
          sftp?.readdir(".", () => {});
          sftp?.writeFile("f1", noise(random, 90_000), () => {});
        }),
      () => protocolOf(client).rekey(),
      () => socket.send(noise(random, 100)),
      () => moment(random),
    ];
    for (let n = random.below(12); n > 0 && socket.readyState === WebSocket.OPEN; n -= 1) {
      try {
        await random.pick(acts)();
      } catch (error) {
        if (!/Not connected/.test(String(error))) throw error;
      }
      if (random.isSo(0.4)) await moment(random);
    }
  }
  await drop(socket, random);
};

/** The login is where most of the code is not yet reached: after it is most of what is done. */
export const lives: readonly Life[] = [stranded, uninvited, insolent, insolent, interrupted];

/**
 * Floods: everything at once that strangers do to a relay, and that a hostile relay does to agents
 * and to wsproxy, each at a rate that leaves the machine time. A program of its own, so that who
 * measures is not held up: `floods.ts RELAY-URL ID-OF-AN-AGENT
 * ADDRESS-OF-A-TRUSTED-PROXY`. It says the port of its hostile relay
 * as a line of JSON, and when it stops how often it did what, as another.
 *
 * Each flood has addresses of its own out of 127.0.0.0/8, one per kind unless it says why.
 */
import { Agent, get } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { newIdentity } from "../../src/io/protocol/identity.ts";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { register, type Stranger, stranger } from "./stranger.ts";

const [relayUrl = "", openId = "", proxyAddress = ""] = process.argv.slice(2);
const relay = new URL(relayUrl);
const base = relay.href.replace(/\/$/, "");
const turnMs = 100;
const counts = { B1: 0, B2: 0, B3: 0, B4: 0, B5: 0, B6: 0, B7: 0, A5: 0, C1: 0 };

const times = (n: number, act: (n: number) => void): void => {
  for (let i = 0; i < n; i += 1) act(i);
};
/** Of what is open the oldest goes when there are more than so many. */
const keep = <T>(open: T[], most: number, end: (one: T) => void): void => {
  for (const one of open.splice(0, Math.max(0, open.length - most))) end(one);
};
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

/** B1: agents that say that they stay for 300 days, and drop; and somebody who reads the list. */
const identity = newIdentity();
const forever = { state: "waiting", leftMs: 300 * 86_400_000, held: false, clients: [] };
async function comeAndGo(n: number): Promise<void> {
  const options = { localAddress: "127.0.2.1" };
  const agent = await register(relay, `gone-${n}`, { identity, options });
  if (agent.id === null) return;
  counts.B1 += 1;
  agent.say({ type: "status", status: forever });
  agent.socket.close();
}
const readList = (): void =>
  void get(`${base}/api/sessions`, { localAddress: "127.0.2.2" }, (answer) => answer.resume()).on(
    "error",
    () => {},
  );

/** B2: a large file asked for and never read; ten addresses, since each has its bound. */
const unread: Socket[] = [];
function download(): void {
  counts.B2 += 1;
  const localAddress = `127.0.3.${1 + (counts.B2 % 10)}`;
  const socket = connect({ host: relay.hostname, port: Number(relay.port), localAddress });
  socket.on("error", () => {});
  socket.pause();
  socket.write("GET /static/agent-linux-x64 HTTP/1.1\r\nHost: x\r\n\r\n");
  unread.push(socket);
  keep(unread, 400, (one) => one.destroy());
}

/** B3: a foreign page's requests, all on one connection. */
const foreign = new Agent({ keepAlive: true, maxSockets: 1 });
let asked = 0;
function askFromAfar(): void {
  if (asked >= 10) return;
  asked += 1;
  const over = (): void => {
    asked -= 1;
  };
  const headers = { origin: "http://evil.example" };
  get(`${base}/sessions`, { agent: foreign, localAddress: "127.0.4.1", headers }, (answer) => {
    counts.B3 += answer.statusCode === 403 ? 1 : 0;
    answer.resume().on("close", over);
  }).on("error", over);
}

const byte = Buffer.of(1);
/** B4: clients that wait, and meanwhile send bytes one by one. */
const parked: Stranger[] = [];
function park(): void {
  const n = parked.length;
  const options = { localAddress: "127.0.5.1" };
  const url = `${base}/client/awaited-${n % 20}?wait=3600000`;
  parked.push(stranger(url, subprotocols.client, options));
}
function sendBytes(): void {
  for (const link of parked) {
    if (!link.isOpen()) continue;
    link.socket.send(byte);
    counts.B4 += 1;
  }
  for (let n = 0; n < parked.length; n += 1) if (parked[n]?.closed()) parked.splice(n, 1);
  if (parked.length < 100) times(5, park);
}

/** B5: knocks at an id that everybody may know. */
const knocking: Stranger[] = [];
function knock(): void {
  const options = { localAddress: "127.0.6.1" };
  knocking.push(stranger(`${base}/client/${openId}`, subprotocols.client, options));
  counts.B5 += 1;
  keep(knocking, 40, (link) => link.socket.terminate());
}

/** B6: statuses of 60 KB, from three agents; they are sent as they are taken. */
const ticket = (n: number): string => `A${n}`.padEnd(22, "A");
const clients = Array.from({ length: 600 }, (_, n) => ({
  ticket: ticket(n),
  kinds: [],
  login: null,
}));
const large = JSON.stringify({ type: "status", status: { ...forever, clients } });
const talkers: Stranger[] = [];
async function talk(n: number): Promise<void> {
  const options = { localAddress: "127.0.7.1" };
  talkers.push(await register(relay, `talker-${n}`, { options }));
}
function sendStatus(): void {
  const agent = talkers[counts.B6 % talkers.length];
  if (!agent?.isOpen() || agent.socket.bufferedAmount > 1 << 20) return;
  agent.socket.send(large);
  counts.B6 += 1;
}

/** B7: live feeds of twenty addresses of one network, by a proxy that the relay believes. */
const feeds: { destroy(): void }[] = [];
function feed(): void {
  counts.B7 += 1;
  const headers = { "x-forwarded-for": `2001:db8::${1 + (counts.B7 % 20)}` };
  const request = get(
    `${base}/api/sessions/live`,
    { localAddress: proxyAddress, headers },
    (answer) => answer.resume().on("error", () => {}),
  );
  request.on("error", () => {});
  feeds.push(request);
  keep(feeds, 300, (one) => one.destroy());
}

/** A5 and C1: a relay that announces its end for ever, and that pings and reads no answer. */
const hostile = new WebSocketServer({
  port: 0,
  host: "127.0.0.1",
  perMessageDeflate: false,
  handleProtocols: ([name]) => name ?? false,
});
const agents: WebSocket[] = [];
const deaf: WebSocket[] = [];
hostile.on("connection", (socket, request) => {
  const [, kind, id] = request.url?.split("/") ?? [];
  socket.on("error", () => {});
  if (kind === "client") {
    socket.pause();
    deaf.push(socket);
    return;
  }
  socket.once("message", () => {
    const { port } = hostile.address() as AddressInfo;
    const clientUrl = `http://127.0.0.1:${port}/client/${id}`;
    socket.send(JSON.stringify({ type: "registered", id, clientUrl }));
    agents.push(socket);
  });
  socket.send(JSON.stringify({ type: "challenge", nonce: "AAAA" }));
});
const ending = JSON.stringify({ type: "ending", leftMs: 30_000 });
const chaff = Buffer.alloc(125);
function flood(): void {
  for (const socket of agents)
    times(50, () => {
      if (socket.bufferedAmount > 1 << 20) return;
      socket.send(ending);
      counts.A5 += 1;
    });
  for (const socket of deaf)
    times(500, () => {
      if (socket.bufferedAmount > 1 << 20) return;
      socket.ping(chaff);
      counts.C1 += 1;
    });
}

hostile.on("listening", () => {
  say({ hostile: (hostile.address() as AddressInfo).port });
});
let turn: NodeJS.Timeout | undefined;
let gone = 0;
// A word of its starter begins it, the next one stops it; it ends with its input, so with its starter.
/** All that is open goes at once, but the hostile relay, whose guests are still looked at. */
function stop(): void {
  clearInterval(turn);
  for (const { socket } of [...parked, ...knocking, ...talkers]) socket.terminate();
  for (const one of [...unread, ...feeds]) one.destroy();
  foreign.destroy();
  say({ counts });
}
process.stdin.once("data", () => {
  process.stdin.once("data", stop);
  times(3, (n) => void talk(n));
  turn = setInterval(() => {
    times(3, () => void comeAndGo(++gone).catch(() => {}));
    readList();
    download();
    times(10, askFromAfar);
    sendBytes();
    times(4, knock);
    sendStatus();
    times(2, feed);
    flood();
  }, turnMs);
});
process.stdin.on("end", () => process.exit(0));

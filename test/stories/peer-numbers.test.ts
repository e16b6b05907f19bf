/**
 * Peer numbers: whatever number a client chooses has a bound, and a breach ends the request, or the
 * channel, and not the agent nor anybody else. After each one the same connection goes on.
 */
import assert from "node:assert/strict";
import { createServer, connect as dial, type Server } from "node:net";
import { after, before, test } from "node:test";
import { endPrograms, finished } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  type RelayProgram,
  relayProgram,
  ssh,
} from "../support/programs.ts";
import { messages, openSession, type RawClient, rawClient, u32 } from "../support/raw-client.ts";
import { string } from "../support/raw-ssh.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";
import { rssMiB } from "../support/used.ts";

let relay: RelayProgram;
let agent: AgentProgram;
let endless: Server;
before(async () => {
  endless = createServer((socket) => {
    const more = (): void => {
      while (socket.writable && socket.write(Buffer.alloc(65_536)));
    };
    socket.on("error", () => {}).on("drain", more);
    more();
  });
  await new Promise<void>((done) => endless.listen(0, "127.0.0.1", () => done()));
  relay = await relayProgram();
  agent = await agentProgram(relay.url, ["--linger", "10m", "--log-level", "info"], {}, [
    process.execPath,
    shippedFile("agent.cjs"),
  ]);
});
after(async () => {
  await endPrograms();
  endless.close();
});

const connect = (): Promise<RawClient> => rawClient(agent.ready.clientUrl, agent.keyFile);
const most = 0xffff_ffff;

/** A command on a channel of its own; its output, until it has ended. */
async function run(raw: RawClient, number: number, command: string, how = {}): Promise<string> {
  const channel = await openSession(raw, { number, ...how });
  const from = raw.heard.length;
  raw.send(messages.channelRequest, channel, "exec", Buffer.of(1), command);
  const isOf = (payload: Buffer, message: number): boolean =>
    payload[0] === message && payload.readUInt32BE(1) === number;
  await until("it has ended", () =>
    raw.heard.slice(from).some((one) => isOf(one, messages.channelClose)),
  );
  raw.send(messages.channelClose, channel);
  return raw.heard
    .slice(from)
    .filter((one) => isOf(one, messages.channelData))
    .map((one) => one.toString("latin1", 9))
    .join("");
}

for (const [what, packet] of [
  ["0", 0],
  ["1", 1],
  ["1023", 1023],
] as const)
  test(`a channel whose packets may have ${what} bytes is refused, with a reason`, async () => {
    const raw = await connect();
    raw.send(messages.channelOpen, "session", 5, 1 << 21, packet);
    const answer = await raw.hear(messages.openFailure);
    assert.deepEqual([answer.readUInt32BE(1), answer.readUInt32BE(5)], [5, 1]);
    assert.match(answer.toString("latin1"), /maximum packet size below 1024/);
    assert.equal(await run(raw, 6, "echo on"), "on\n");
    raw.end();
  });

test("small and huge packets and windows are served, byte for byte", async () => {
  const raw = await connect();
  const want = Array.from({ length: 20_000 }, (_, n) => `${n + 1}\n`).join("");
  for (const [packet, window] of [
    [1024, most],
    [most, most],
    [1024, 1 << 21],
  ] as const)
    assert.equal(await run(raw, packet === 1024 ? 1 : 2, "seq 20000", { packet, window }), want);
  raw.end();
});

for (const [name, type] of [["tcpip-forward", "forwarded-tcpip"]] as const)
  test(`${type}: a client that confirms it with packets of no bytes has its channel closed`, async () => {
    const raw = await connect();
    raw.send(messages.globalRequest, name, Buffer.of(1), "localhost", 0);
    const port = (await raw.hear(81)).readUInt32BE(1);
    const socket = dial(port, "127.0.0.1").resume();
    const open = await raw.hear(messages.channelOpen);
    const channel = open.readUInt32BE(5 + open.readUInt32BE(1));
    raw.send(messages.openConfirmation, channel, 77, 1 << 21, 0);
    assert.equal((await raw.hear(messages.channelClose)).readUInt32BE(1), 77);
    await until("it is closed", () => socket.destroyed);
    assert.equal(await run(raw, 1, "echo on"), "on\n");
    raw.end();
  });

test("data beyond the window is thrown away, and a window beyond 32 bits is one of 32 bits", async () => {
  const raw = await connect();
  const channel = await openSession(raw);
  raw.send(messages.channelRequest, channel, "exec", Buffer.of(1), "sleep 300");
  await raw.hear(messages.channelSuccess);
  const rss = (): number => rssMiB(agent.pid);
  const before = rss();
  for (let n = 0; n < 6_000; n += 1) {
    raw.send(messages.channelData, channel, u32(30_000), Buffer.alloc(30_000));
    raw.send(messages.windowAdjust, channel, most);
    if (n % 50 === 0) await until("it is on its way", () => raw.socket.bufferedAmount < 1 << 20);
  }
  assert.equal(await run(raw, 1, "echo on"), "on\n");
  const grown = rss() - before;
  assert.ok(grown < 64, `${grown} MiB more for 2 MiB of window, and 180 MB sent`);
  raw.end();
});

for (const [name, fields] of [
  ["a terminal of no size", ["pty-req", Buffer.of(1), "xterm", 0, 0, 0, 0, ""]],
  ["a terminal of huge size", ["pty-req", Buffer.of(1), "xterm", most, most, most, most, ""]],
  [
    "terminal modes that nobody knows",
    ["pty-req", Buffer.of(1), "xterm", 80, 24, 0, 0, Buffer.from("00000005630000000100", "hex")],
  ],
  [
    "terminal modes that are cut",
    ["pty-req", Buffer.of(1), "x", 80, 24, 0, 0, u32(2), Buffer.of(1, 0)],
  ],
  ["a terminal cut short", ["pty-req", Buffer.of(1), "xterm", 80]],
  ["a size cut short", ["window-change", Buffer.of(0), 80]],
  ["a length beyond the packet", ["env", Buffer.of(1), "LANG", u32(most)]],
  ["a signal that is none", ["signal", Buffer.of(0), "9; rm"]],
] as const)
  test(`${name}: the connection goes on`, async () => {
    const raw = await connect();
    const channel = await openSession(raw, { number: 3 });
    raw.send(messages.channelRequest, channel, ...fields);
    if (fields[1][0] === 1)
      await until("its answer", () =>
        raw.heard.some(
          (one) =>
            (one[0] === messages.channelFailure || one[0] === messages.channelSuccess) &&
            one.readUInt32BE(1) === 3,
        ),
      );
    assert.equal(await run(raw, 4, "echo on"), "on\n");
    raw.end();
  });

test("a request after the session has begun is answered, and so is one that makes no sense", async () => {
  const raw = await connect();
  const channel = await openSession(raw, { number: 3 });
  raw.send(messages.channelRequest, channel, "exec", Buffer.of(1), "sleep 300");
  await raw.hear(messages.channelSuccess);
  for (const type of ["exec", "shell", "pty-req", "nonsense", "subsystem"]) {
    raw.send(messages.channelRequest, channel, type, Buffer.of(1), "x");
    assert.equal((await raw.hear(messages.channelFailure)).readUInt32BE(1), 3, type);
  }
  raw.send(messages.globalRequest, "tcpip-forward", Buffer.of(1));
  await raw.hear(messages.requestFailure);
  raw.end();
});

test("more channels than a connection may have are refused, and one that closes makes room", async () => {
  const raw = await connect();
  for (let n = 0; n < 65; n += 1) raw.send(messages.channelOpen, "session", n, 1 << 21, 1 << 15);
  const refused = await raw.hear(messages.openFailure);
  assert.deepEqual([refused.readUInt32BE(1), refused.readUInt32BE(5)], [64, 2]);
  const first = raw.heard.find((one) => one[0] === messages.openConfirmation);
  raw.send(messages.channelClose, first?.readUInt32BE(5) ?? 0);
  await raw.hear(messages.channelClose);
  await openSession(raw, { number: 100 });
  raw.end();
});

test("pings are answered in the same words, and messages that nobody knows as unknown", async () => {
  const raw = await connect();
  raw.send(messages.ping, "chaff");
  assert.equal((await raw.hear(messages.pong)).toString("latin1", 5), "chaff");
  raw.send(191, "x");
  const answer = await raw.hear(messages.unimplemented);
  assert.equal(answer.length, 5);
  raw.end();
});

test("who asks without end and reads no answer is cut, and costs some megabytes", async () => {
  const raw = await connect();
  raw.socket.pause();
  for (let n = 0; n < 4_000 && !raw.isOver(); n += 1) {
    raw.send(messages.ping, Buffer.alloc(8_192));
    if (n % 20 === 0)
      await until("it is on its way", () => raw.socket.bufferedAmount < 1 << 20 || raw.isOver());
  }
  await agent.see("It does not read what it is answered");
  raw.end();
  const { status, out } = await finished(ssh(agent, ["echo I am in"]));
  assert.deepEqual([status, out], [0, "I am in\n"]);
});

/** Begins something that sends as much as it may, on a channel with a window of 4 GiB. */
const senders: Record<string, (raw: RawClient) => Promise<void>> = {
  "a command": async (raw) => {
    const channel = await openSession(raw, { window: most });
    raw.send(messages.channelRequest, channel, "exec", Buffer.of(1), "yes");
  },
  "a forward": (raw) => {
    const address = endless.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const to = ["127.0.0.1", port, "127.0.0.1", 1] as const;
    raw.send(messages.channelOpen, "direct-tcpip", 0, most, 1 << 15, ...to);
    return Promise.resolve();
  },
  sftp: async (raw) => {
    const channel = await openSession(raw, { window: most });
    raw.send(messages.channelRequest, channel, "subsystem", Buffer.of(1), "sftp");
    const say = (...fields: (Buffer | number)[]): void => {
      const body = Buffer.concat(
        fields.map((field) => (typeof field === "number" ? u32(field) : field)),
      );
      raw.send(messages.channelData, channel, u32(body.length + 4), body.length, body);
    };
    say(Buffer.of(1), 3);
    say(Buffer.of(3), 1, string("/dev/zero"), 1, 0);
    // The reply to OPEN ends with the handle: its length, 4 bytes or more.
    const reply = await until("a handle", () => {
      const all = raw.heard.filter((one) => one[0] === messages.channelData);
      const text = Buffer.concat(all.map((one) => one.subarray(9)));
      const at = text.indexOf(Buffer.from("6600000001", "hex"));
      return at < 0 ? null : text.subarray(at + 5);
    });
    for (let n = 2; n < 2_000; n += 1) say(Buffer.of(5), n, reply, 0, 0, 250_000);
  },
};

for (const [name, begin] of Object.entries(senders))
  test(`twenty clients with huge windows that read nothing of ${name} cost less than 64 MiB together`, async () => {
    const peak = (): number => rssMiB(agent.pid);
    const before = peak();
    const clients: RawClient[] = [];
    for (let n = 0; n < 20; n += 1) {
      const raw = await connect();
      clients.push(raw);
      await begin(raw);
      await raw.hear(messages.channelData);
      raw.socket.pause();
    }
    // What the agent has sent stays the same: everybody waits.
    const sent = (): number => relay.lines().length + peak();
    let last = -1;
    let same = 0;
    await until("the agent sends no more", () => {
      const now = sent();
      same = Math.abs(now - last) < 0.5 ? same + 1 : 0;
      last = now;
      return same > 40;
    });
    const grown = peak() - before;
    assert.ok(grown < 64, `${grown} MiB more`);
    const { status, out } = await finished(ssh(agent, ["echo I am in"]));
    assert.deepEqual([status, out], [0, "I am in\n"]);
    for (const raw of clients) raw.end();
  });

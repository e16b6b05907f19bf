/**
 * Noise on every public endpoint: bytes of no protocol, requests and frames that are nearly right.
 * The relay goes on, its memory stays where it was, and somebody who works notices nothing.
 */
import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms, finished } from "../support/child.ts";
import { agentProgram, relayProgram, ssh } from "../support/programs.ts";
import { until } from "../support/until.ts";

after(endPrograms);

/** The full size is 20 000 on each; a tenth finds what is wrong at once. */
const times = process.env["CONVERGE_TEST_LONG"] ? 20_000 : 2_000;
const atOnce = 25;

const pick = (of: readonly string[]): string => of[randomInt(of.length)] ?? "";
const noise = (): Buffer => randomBytes(randomInt(1, 600));
const request = (path: string): Buffer =>
  Buffer.concat([
    Buffer.from(`${pick(["GET", "POST", "HEAD", "OPTIONS", "PUT"])} ${path} HTTP/1.1\r\n`),
    Buffer.from(`Host: ${pick(["x", "", "a b", "[::1", "x:99999", "'$(x)"])}\r\n`),
    Buffer.from(`${pick(["Cookie", "X-Forwarded-For", "Range", "If-None-Match", "Accept"])}: `),
    Buffer.from(
      noise()
        .toString("latin1")
        .replace(/[\r\n]/g, ""),
      "latin1",
    ),
    Buffer.from(`\r\n${pick(["", "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"])}\r\n`),
    noise(),
  ]);
const upgrade = (path: string): Buffer =>
  Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Protocol: ${pick(["converge.agent.v1", "converge.client.v1", "converge.data.v1", "converge.agent.v9", "x"])}\r\n\r\n`,
  );
/** A masked frame, RFC 6455 5.2, of any opcode and of a length that may be a lie. */
const frame = (): Buffer => {
  const payload = noise();
  const head = Buffer.from([randomInt(256), 0x80 | 126, 0, 0]);
  head.writeUInt16BE(randomInt(8) === 0 ? 65_535 : payload.length, 2);
  return Buffer.concat([head, randomBytes(4), payload]);
};
const json = (): Buffer => {
  const text = Buffer.from(
    JSON.stringify({
      type: pick(["register", "status", "summon", "client", "x"]),
      id: noise().toString("latin1"),
      status: pick(["", "held"]),
    }).slice(0, randomInt(20, 125)),
  ).subarray(0, 125);
  const mask = Buffer.alloc(4);
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, text]);
};

const kinds: Record<string, () => Buffer> = {
  "bytes of no protocol": noise,
  "requests for pages": () =>
    request(
      pick(["/", "/usage?id=%ff", "/sessions", "/static/%00", "/metrics", "/agent.sh", "/x"]),
    ),
  "requests for the feed": () => request("/api/sessions/live"),
  "frames at the agents' door": () =>
    Buffer.concat([upgrade("/agent/noise"), json(), frame(), frame()]),
  "frames at the clients' door": () =>
    Buffer.concat([upgrade("/client/noise?wait=1000"), frame(), frame()]),
  "frames at the dial-back door": () =>
    Buffer.concat([upgrade(`/dial/${randomBytes(8).toString("hex")}`), frame()]),
};

const residentMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;

/** Sends it, ends its side, and waits until the relay has closed, or a second. */
function send(port: number, bytes: Buffer): Promise<void> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on("error", () => {});
    socket.once("close", () => done());
    socket.resume();
    socket.write(bytes);
    setImmediate(() => socket.destroySoon());
  });
}

test("noise on each endpoint ends nothing, keeps nothing, and disturbs nobody", async () => {
  // The noise and who works have one address here: by default its rate would stop both.
  const relay = await relayProgram(["--connections-per-second", "100000"]);
  const agent = await agentProgram(relay.url, ["--log-level", "error"]);
  writeFileSync(join(agent.dir, ".hold"), "");
  const flood = async (make: () => Buffer, count: number): Promise<void> => {
    const worker = async (): Promise<void> => {
      for (let n = 0; n < count / atOnce; n += 1) await send(relay.port, make());
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  };
  for (const make of Object.values(kinds)) await flood(make, times / 4); // warm
  const before = residentMiB(relay.pid);
  for (const [name, make] of Object.entries(kinds)) {
    const [work] = await Promise.all([finished(ssh(agent, ["echo hello"])), flood(make, times)]);
    assert.deepEqual([work.status, work.out], [0, "hello\n"], `${name}: ${work.err}`);
    assert.equal(relay.ended(), null, name);
  }
  // What is left behind is collected once it is quiet.
  await until("no more memory than before", () => residentMiB(relay.pid) - before < 60, 60_000);
  assert.doesNotMatch(
    relay.err(),
    /[Uu]nhandled|uncaught|TypeError|RangeError|"level":"(?:error|fatal)"/,
  );
  const { clients } = (await (await fetch(`${relay.url}/api/sessions`)).json()) as {
    clients: number;
  };
  assert.equal(clients, 0);
});

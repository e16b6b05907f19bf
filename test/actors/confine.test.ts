/** Confine: what is thrown where one thing is handled ends that thing, is told once, and no more. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { WebSocketServer } from "ws";
import { confine, confineEvents, confineTimers, faultsIn } from "../../src/actors/confine.ts";
import { pingMs, pingTurnMs } from "../../src/io/protocol/wire.ts";
import { SpliceEnd } from "../../src/io/relay/splice.ts";
import { openPinger, type Pinged } from "../../src/io/websocket/keep-alive.ts";
import { ServerLink } from "../../src/io/websocket/server-link.ts";
import { frame } from "../support/client-frame.ts";
import { handClock } from "../support/clock.ts";
import { lines } from "../support/lines.ts";
import { until } from "../support/until.ts";

const boom = (): never => {
  throw new Error("boom");
};
const clock = handClock();
after(() => clock.stop());

test("what is thrown is noted with its place, and the end is called with what was to be handled", () => {
  const log = lines();
  const ended: unknown[] = [];
  const handle = confine(faultsIn(log), "message", boom as (n: number) => string, (n) => {
    ended.push(n);
    return "ended";
  });
  assert.equal(handle(7), "ended");
  assert.deepEqual(ended, [7]);
  const [{ message, fields } = { message: "", fields: {} }, ...more] = log.lines;
  const { frames, ...said } = fields as { frames: string[] };
  assert.deepEqual(
    [message, said, more],
    ["fault confined", { what: "message", reason: "boom" }, []],
  );
  assert.match(frames[0] ?? "", /boom .*confine\.test/);
});

test("what is thrown is one bounded line, and a log that throws ends nothing", () => {
  const log = lines();
  faultsIn(log)("message", new Error("x".repeat(100_000)));
  faultsIn(log)("message", "no error at all");
  assert.ok(JSON.stringify(log.lines[0]).length < 2_000);
  assert.deepEqual(log.lines[1]?.fields, {
    what: "message",
    reason: "no error at all",
    frames: [],
  });
  faultsIn({ ...log, error: boom })("message", new Error("lost"));
});

test("listeners and timers are confined, and those after them are called", async () => {
  const noted: string[] = [];
  const note = (what: string): void => void noted.push(what);
  const emitter = new EventEmitter();
  let isEnded = false;
  confineEvents(emitter, note, "control link", () => {
    isEnded = true;
  });
  emitter.on("message", boom);
  assert.equal(emitter.emit("message"), true);
  assert.ok(isEnded);
  const confined = confineTimers(clock, note);
  let rang = 0;
  confined.setTimeout(boom, 1);
  confined.setTimeout(() => {
    rang += 1;
  }, 2);
  await clock.advance(5);
  assert.deepEqual([noted, rang], [["control link", "timer"], 1]);
});

test("a link that cannot be pinged is let go, and the others are pinged for ever", async () => {
  const noted: unknown[] = [];
  const pinger = openPinger(clock, (what) => noted.push(what));
  const link = (write: () => void): Pinged & { ended: boolean; pings: number } => ({
    ...{ ended: false, pings: 0, isPaused: false, bufferedAmount: 0, readyState: 1, OPEN: 1 },
    bytesRead: 0,
    write,
    terminate() {
      this.ended = true;
    },
  });
  const first = link(boom);
  const second = link(() => {
    second.pings += 1;
  });
  for (const each of [first, second]) pinger.add(each);
  await clock.advance(2 * pingMs + 2 * pingTurnMs);
  assert.deepEqual([first.ended, second.ended, second.pings], [true, false, 2]);
  assert.deepEqual(noted, ["ping"]);
});

/** Two data links, with what takes what they send. */
async function dataLinks(sinks: (link: ServerLink) => ConstructorParameters<typeof SpliceEnd>[1]) {
  const http = createServer();
  const server = new WebSocketServer({
    server: http,
    clientTracking: false,
    WebSocket: ServerLink as never,
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const noted: unknown[] = [];
  const open = async (): Promise<{ far: Socket; near: ServerLink; end: SpliceEnd }> => {
    const far = connect((http.address() as AddressInfo).port, "127.0.0.1");
    far.on("error", () => {});
    const arrival = once(server, "connection");
    far.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    await once(far, "data");
    const [near] = (await arrival) as unknown as [ServerLink];
    const end = new SpliceEnd(near, sinks(near), (what) => noted.push(what));
    near.begin(end, 1024, clock);
    return { far, near, end };
  };
  const [one, other] = [await open(), await open()];
  return {
    ...{ one, other, noted },
    close: () => {
      for (const { far } of [one, other]) far.destroy();
      http.close();
    },
  };
}

test("a data link whose bytes cannot be taken ends, and no other", async () => {
  const { one, other, noted, close } = await dataLinks(() => () => {});
  one.end.take = boom;
  const ended = once(one.far, "close");
  one.far.write(frame(0x82, "x"));
  await ended;
  assert.deepEqual([noted, one.near.readyState], [["data link"], 3]);
  other.far.write(frame(0x89, "still there?"));
  assert.match(String(await once(other.far, "data")), /still there/);
  close();
});

test("a data link whose end cannot be told is told as a fault, and no other", async () => {
  let links = 0;
  const { one, other, noted, close } = await dataLinks(() => {
    links += 1;
    return links === 1 ? boom : () => {};
  });
  one.far.destroy();
  await until("it is noted", () => noted.length > 0);
  assert.deepEqual(noted, ["data link"]);
  other.far.write(frame(0x89, "still there?"));
  assert.match(String(await once(other.far, "data")), /still there/);
  close();
});

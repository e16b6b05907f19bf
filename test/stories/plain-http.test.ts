/**
 * Plain HTTP: downloads that nobody reads, connections that say nothing, requests by the dozen. They
 * cost their address its share, and nobody else a page, a probe or an ssh session.
 */
import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { openFilesIn } from "../../src/io/open-files.ts";
import {
  answersMost,
  answersPerAddress,
  unreadMs,
  waitingPerAddress,
  websocketsIn,
} from "../../src/io/relay/http/plain-http.ts";
import { certificates } from "../support/certificates.ts";
import { endPrograms, program } from "../support/child.ts";
import { handClock } from "../support/clock.ts";
import { built } from "../support/shipped.ts";
import { type Stranger, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

/** Far more than two systems hold for a connection that nobody reads. */
const largeBytes = 100 * 1024 * 1024;
const downloads = mkdtempSync(join(tmpdir(), "converge-downloads-"));
writeFileSync(join(downloads, "large"), "");
truncateSync(join(downloads, "large"), largeBytes);
after(() => rmSync(downloads, { recursive: true }));
const large = "/static/large";
const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});
after(endPrograms);

/** A connection that has sent so much and reads nothing until it is told to. */
function caller(port: number, text: string, from = "127.0.0.1", isTls = false): Socket {
  const where = { port, host: "127.0.0.1", localAddress: from };
  const socket = isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
  socket.on("error", () => {});
  socket.pause();
  socket.write(text);
  open.push(socket);
  return socket;
}
const get = (path: string, ...more: string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: x", ...more, "", ""].join("\r\n");

/** The first line of the answer; null before it, empty when the connection ended without one. */
function statusOf(socket: Socket): () => string | null {
  let text = "";
  let isOver = false;
  socket.on("data", (data: Buffer) => {
    if (text.length < 100) text += data.toString("latin1");
  });
  socket.on("close", () => {
    isOver = true;
  });
  return () => (text.includes("\r\n") || isOver ? (text.split("\r\n")[0] ?? "") : null);
}
const answerTo = (socket: Socket): Promise<string> => {
  const status = statusOf(socket.resume());
  return until("an answer", () => (status() === null ? null : { is: status() ?? "" })).then(
    ({ is }) => is,
  );
};

/** How often this process, in which the relay runs, has the large file open. */
const filesOpen = (pid: number | "self" = "self"): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(downloads);
    } catch {
      return false; // closed meanwhile
    }
  }).length;

async function inWorld(
  origin: Parameters<typeof meet>[1],
  act: (world: World, port: number) => Promise<void>,
): Promise<void> {
  const world = await meet(null, { downloads, ...origin }, handClock({ pings: false }));
  try {
    await act(world, Number(world.relay.url.port));
  } finally {
    for (const socket of open.splice(0)) socket.destroy();
    await world.close();
  }
}
const reasonsOf = (world: World): unknown[] =>
  world.relay.log.lines
    .filter(({ message }) => message === "connection refused")
    .map(({ fields }) => fields["reason"]);

const stalls = async (tls?: { certFile: string; keyFile: string }): Promise<void> =>
  inWorld(tls ? { tls } : {}, async (world, port) => {
    const [unread, slow] = [1, 2].map(() => caller(port, get(large), "127.0.0.1", Boolean(tls)));
    assert.ok(unread && slow);
    await until("both are under way", () => filesOpen() === 2);
    const gone = new Set<Socket>();
    for (const socket of [unread, slow]) socket.once("close", () => gone.add(socket));
    let read = 0;
    let goal = 0;
    slow.on("data", (data: Buffer) => {
      read += data.length;
      if (read >= goal) slow.pause();
    });
    // What the two systems hold for it is taken at some time, and then nothing is.
    for (let ms = 0; ms < 2 * unreadMs; ms += unreadMs / 4) {
      goal += 8 * 1024 * 1024;
      slow.resume();
      await until("some MiB more", () => read >= goal);
      await world.clock.advance(unreadMs / 4);
    }
    await until("the file of one is closed", () => filesOpen() === 1);
    unread.resume();
    await until("it is cut", () => gone.has(unread));
    assert.ok(!gone.has(slow));
    assert.deepEqual(reasonsOf(world), ["unread"]);
    goal = Number.POSITIVE_INFINITY;
    slow.resume();
    await until("the other has all of it", () => read > largeBytes);
  });
test("a download that nobody reads is cut and its file closed; one that is read slowly goes on", () =>
  stalls());
test("the same over TLS", () => stalls(certificates(downloads).issue("relay", "IP:127.0.0.1")));

test("requests without waiting for the answer keep no file open", () =>
  inWorld({}, async (world, port) => {
    const socket = caller(port, get(large).repeat(50));
    await until("they were read", () => reasonsOf(world).length > 0);
    assert.deepEqual(reasonsOf(world), ["bad request"]);
    assert.match(await answerTo(socket), /^$|200/);
    await until("no file is open", () => filesOpen() === 0);
    const two = caller(port, get("/healthz") + get("/readyz", "Connection: close")).resume();
    let said = "";
    two.on("data", (data: Buffer) => {
      said += data;
    });
    await until("both answers, in their order", () => /"ok".*"ready"/s.test(said));
  }));

test("an address has so many answers under way; its probes and websockets, and others, get in", () =>
  inWorld({ trustProxy: ["127.0.0.9"] }, async (world, port) => {
    for (let n = 0; n < answersPerAddress; n += 1) caller(port, get(large));
    await until("all are under way", () => filesOpen() === answersPerAddress);
    assert.equal(await answerTo(caller(port, get("/faq"))), "HTTP/1.1 429 Too Many Requests");
    assert.deepEqual(reasonsOf(world), ["too many requests"]);
    const ok = "HTTP/1.1 200 OK";
    assert.equal(await answerTo(caller(port, get("/healthz"))), ok);
    assert.equal(await answerTo(caller(port, get("/faq"), "127.0.0.2")), ok);
    const socket = stranger(`${world.relay.url}agent/some-id`, "converge.agent.v1");
    await until("a websocket", () => socket.isOpen());
    socket.socket.terminate();
    // Who comes by a proxy that is believed is who it says, the first half of an IPv6 address.
    const by = (address: string): string => get("/faq", `X-Forwarded-For: ${address}`);
    assert.equal(
      await answerTo(caller(port, by("127.0.0.1"), "127.0.0.9")),
      "HTTP/1.1 429 Too Many Requests",
    );
    assert.equal(await answerTo(caller(port, by("2001:db8::1"), "127.0.0.9")), ok);
    open[0]?.destroy();
    await until("one is over", () => filesOpen() === answersPerAddress - 1);
    assert.equal(await answerTo(caller(port, get("/faq"))), ok);
  }));

test("of connections that say nothing the oldest goes, and a proxy's are its clients'", () =>
  inWorld({ trustProxy: ["127.0.0.9"] }, async (_world, port) => {
    const gone = new Set<Socket>();
    const come = (from: string): Socket => {
      const socket = caller(port, "", from).resume();
      socket.once("close", () => gone.add(socket));
      return socket;
    };
    const proxied = come("127.0.0.9");
    const first = come("127.0.0.1");
    for (let n = 0; n < waitingPerAddress; n += 1) {
      come("127.0.0.1");
      come("127.0.0.9");
    }
    await until("the oldest is gone", () => gone.has(first));
    assert.equal(await answerTo(caller(port, get("/healthz"))), "HTTP/1.1 200 OK");
    assert.ok(gone.size <= 2 && !gone.has(proxied), `${gone.size} are gone`);
  }));

test("when files run out plain requests are refused first: probes and websockets get in", async () => {
  const files = 400;
  const run = program("prlimit", [
    `--nofile=${files}`,
    ...[process.execPath, built("converge"), "--listen", "127.0.0.1:0", "--downloads", downloads],
  ]);
  await run.see("relay listening");
  const [, digits] = /"port":(\d+)/.exec(run.err()) ?? [];
  const port = Number(digits);
  const seen: string[] = [];
  for (let n = 0; n < 200; n += 1) {
    const socket = caller(port, get(large), `127.0.1.${1 + (n % 20)}`);
    socket.once("data", (data: Buffer) => {
      seen.push(data.toString("latin1", 9, 12));
      socket.pause(); // the rest is not read
    });
    socket.resume();
    // A few at a time: of many that have said nothing yet the oldest would have to go.
    if (n % 20 === 19) await until("they have an answer", () => seen.length === n + 1);
  }
  const count = (status: string): number => seen.filter((one) => one === status).length;
  assert.deepEqual([count("200"), count("503")], [files / 8, 200 - files / 8]);
  assert.equal(filesOpen(run.pid), files / 8);
  for (let n = 0; n < 400; n += 1) caller(port, "", `127.0.2.${1 + (n % 100)}`);
  assert.equal(await answerTo(caller(port, get("/healthz"))), "HTTP/1.1 200 OK");
  // What downloads hold they keep; all the rest is for websockets.
  const links: Stranger[] = [];
  for (let n = 0; n < websocketsIn(files) - (2 * files) / 8; n += 1) {
    links.push(stranger(`http://127.0.0.1:${port}/agent/id-${n}`, "converge.agent.v1"));
    if (n % 10 === 9) await until("they are let in", () => links.every((link) => link.isOpen()));
  }
  assert.equal(await answerTo(caller(port, get("/readyz"))), "HTTP/1.1 200 OK");
  assert.ok(readdirSync(`/proc/${run.pid}/fd`).length < files);
  for (const link of links) link.socket.terminate();
});

test("the limit of open files is read as the system writes it", () => {
  for (const [line, most] of [
    ["Max open files            1024                 524288               files     \n", 1024],
    ["Max open files            unlimited            unlimited            files     \n", Infinity],
    ["", Infinity],
  ] as const)
    assert.equal(
      openFilesIn(`Max processes 5 5 processes\n${line}Max locked memory 8 8 bytes\n`),
      most,
    );
  assert.deepEqual([1_024, 65_536, 100, Infinity].map(websocketsIn), [896, 65_408, 50, Infinity]);
  assert.ok(answersMost >= 2 * answersPerAddress);
});

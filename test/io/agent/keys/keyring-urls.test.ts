/** Keys from URLs: those that answer, fail and hang, and a hand on the clock. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { SimulatedClock } from "xstate";
import type { Clock } from "../../../../src/actors/clock.ts";
import { downloadKeys, nextHop } from "../../../../src/io/agent/keys/key-download.ts";
import { type FetchText, type KeySet, openKeyring } from "../../../../src/io/agent/keys/keyring.ts";
import { ed25519Pair } from "../../../support/ed25519-pair.ts";

const key = (name: string): string => `${ed25519Pair().public.trim()} ${name}\n`;
const [anna, ben, carol] = [key("anna"), key("ben"), key("carol")];

const folder = mkdtempSync(join(tmpdir(), "converge-keyring-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function fileWith(text: string): string {
  const path = join(folder, `keys-${files++}`);
  writeFileSync(path, text);
  return path;
}

class Hand extends SimulatedClock implements Clock {
  wall(): number {
    return this.now();
  }
}

function names({ keys, problems }: KeySet): { who: string[]; problems: string[] } {
  return { who: keys.map(({ comment }) => comment), problems: [...problems] };
}

const page = "https://forge.example/anna.keys";

/** A keyring on URLs whose every fetch the test answers by hand. */
function onPages(urls: readonly string[], file: string | null = null) {
  const clock = new Hand();
  const told: string[] = [];
  const asked: { url: string; answer: (text: string) => void; fail: (error: Error) => void }[] = [];
  const fetchText: FetchText = (url, signal) =>
    new Promise((answer, fail) => {
      signal.addEventListener("abort", () => fail(signal.reason as Error));
      asked.push({ url, answer, fail });
    });
  const keyring = openKeyring({ file, urls }, clock, (what) => told.push(what), fetchText);
  return { clock, keyring, told, asked, read: async () => names(await keyring.read()) };
}

describe("keys from URLs", () => {
  test("are fetched at start, after the file's, each URL once", async () => {
    const file = fileWith(carol);
    const { keyring, asked, read, told } = onPages([page, `${page}2`, page], file);
    assert.deepEqual(
      asked.map(({ url }) => url),
      [page, `${page}2`],
    );
    assert.deepEqual(await read(), {
      who: ["carol"],
      problems: [
        `The keys from ${page} cannot be fetched: they have not been fetched yet.`,
        `The keys from ${page}2 cannot be fetched: they have not been fetched yet.`,
      ],
    });
    asked[0]?.answer(anna);
    asked[1]?.answer(`${ben}restrict\n`);
    await keyring.ready;
    assert.deepEqual(await read(), {
      who: ["carol", "anna", "ben"],
      problems: [`Line 2 of ${page}2 is refused: it has options but no key.`],
    });
    assert.deepEqual(told, []);
    keyring.close();
  });

  test("are refreshed every five minutes; a failure keeps the last good ones; a change is told", async () => {
    const { clock, keyring, asked, read, told } = onPages([page]);
    asked[0]?.answer(anna);
    await keyring.ready;
    clock.increment(5 * 60_000 - 1);
    assert.equal(asked.length, 1);
    clock.increment(1);
    assert.equal(asked.length, 2);
    asked[1]?.fail(new Error("fetch failed", { cause: new Error("it is on fire") }));
    await turn();
    assert.deepEqual(await read(), {
      who: ["anna"],
      problems: [
        `The keys from ${page} cannot be fetched: it is on fire. The last good ones stay in force.`,
      ],
    });
    clock.increment(5 * 60_000);
    asked[2]?.answer(anna);
    await turn();
    assert.deepEqual([await read(), told], [{ who: ["anna"], problems: [] }, []]);
    clock.increment(5 * 60_000);
    asked[3]?.answer("");
    await turn();
    assert.deepEqual(await read(), { who: [], problems: [] });
    assert.deepEqual(told, [`keys from ${page} changed`]);
    keyring.close();
  });

  test("that first fail and then come are told", async () => {
    const { clock, keyring, asked, told, read } = onPages([page]);
    asked[0]?.fail(new Error("it answered 503"));
    await keyring.ready;
    assert.deepEqual(await read(), {
      who: [],
      problems: [`The keys from ${page} cannot be fetched: it answered 503.`],
    });
    clock.increment(5 * 60_000);
    asked[1]?.answer(anna);
    await turn();
    assert.deepEqual(told, [`keys from ${page} changed`]);
    keyring.close();
  });

  test("are given up after ten seconds", async () => {
    const { clock, keyring, read } = onPages([page]);
    clock.increment(10_000);
    await keyring.ready;
    assert.deepEqual((await read()).problems, [
      `The keys from ${page} cannot be fetched: it gave no answer within 10 s.`,
    ]);
    keyring.close();
  });

  test("are never fetched twice at once", async () => {
    const clock = new Hand();
    let asked = 0;
    const fetchText: FetchText = () => {
      asked++;
      return new Promise(() => undefined);
    };
    const keyring = openKeyring(
      { file: null, urls: [page], refreshMs: 1_000 },
      clock,
      () => undefined,
      fetchText,
    );
    for (let n = 0; n < 50; n++) clock.increment(1_000);
    await turn();
    assert.equal(asked, 1);
    keyring.close();
  });

  test("are given up on close, and no more are fetched", async () => {
    const { clock, keyring, asked, told } = onPages([page]);
    keyring.close();
    await keyring.ready;
    clock.increment(60 * 60_000);
    assert.deepEqual([asked.length, told], [1, []]);
  });

  for (const [url, problem] of [
    [
      "ftp://forge.example/anna.keys",
      "The keys from ftp://forge.example/anna.keys cannot be fetched: only https and http are fetched.",
    ],
    [
      "file:///etc/passwd",
      "The keys from file:///etc/passwd cannot be fetched: only https and http are fetched.",
    ],
    ["anna", "The keys from anna cannot be fetched: it is no URL."],
    [
      "https://me:secret@forge.example/keys?token=secret#secret",
      "The keys from https://forge.example/keys cannot be fetched: a user name or password in it is not supported.",
    ],
  ] as const) {
    test(`are never asked of ${url}`, async () => {
      const { keyring, asked, read } = onPages([url]);
      await keyring.ready;
      assert.deepEqual(await read(), { who: [], problems: [problem] });
      assert.equal(asked.length, 0);
      keyring.close();
    });
  }
});

describe("a download", () => {
  const server = createServer((request, response) => pages[request.url ?? ""]?.(response));
  const redirect = (to: string) => (response: ServerResponse) =>
    void response.writeHead(302, { location: to }).end();
  const pages: Record<string, (response: ServerResponse) => void> = {
    "/anna.keys": (response) => void response.end(`${anna}é`),
    "/moved": redirect("/moved2"),
    "/moved2": redirect("anna.keys"),
    "/loop": redirect("/loop"),
    "/ftp": redirect("ftp://forge.example/anna.keys"),
    "/none": (response) => void response.writeHead(404).end("Not Found"),
    "/login": (response) =>
      void response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>"),
    "/full": (response) => void response.end("#".repeat(256 * 1024)),
    "/large": (response) => void response.end("#".repeat(256 * 1024 + 1)),
    "/hangs": (response) => void response.write("#"),
  };
  server.listen(0, "127.0.0.1");
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const get = async (path: string, signal = new AbortController().signal): Promise<string> => {
    if (!server.listening) await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return downloadKeys(`http://127.0.0.1:${port}${path}`, signal);
  };

  for (const [path, want] of [
    ["/anna.keys", `${anna}é`],
    ["/moved", `${anna}é`],
    ["/full", "#".repeat(256 * 1024)],
  ] as const) {
    test(`of ${path} gives its text`, async () => assert.equal(await get(path), want));
  }

  for (const [path, message] of [
    ["/loop", "it redirects more than 5 times"],
    ["/ftp", "it redirects to ftp"],
    ["/none", "it answered 404"],
    ["/login", "it answered with a web page instead of keys"],
    ["/large", "its answer is larger than 256 KiB"],
  ] as const) {
    test(`of ${path} fails: ${message}`, () => assert.rejects(get(path), { message }));
  }

  test("ends when it is told to", async () => {
    const stop = new AbortController();
    const asked = get("/hangs", stop.signal);
    await once(server, "request");
    stop.abort(new Error("enough"));
    await assert.rejects(asked, { message: "enough" });
  });

  for (const [from, location, want] of [
    ["https://forge.example/a", "/b", "https://forge.example/b"],
    ["http://forge.example/a", "https://forge.example/a", "https://forge.example/a"],
    ["http://forge.example/a", "b", "http://forge.example/b"],
  ] as const) {
    test(`a redirect from ${from} to ${location} is followed`, () =>
      assert.equal(nextHop(new URL(from), location).href, want));
  }

  for (const [from, location, message] of [
    [page, "http://forge.example/anna.keys", "it redirects to http"],
    [page, "file:///etc/passwd", "it redirects to file"],
    ["http://forge.example/a", "data:,x", "it redirects to data"],
  ] as const) {
    test(`a redirect from ${from} to ${location} is not followed`, () =>
      assert.throws(() => nextHop(new URL(from), location), { message }));
  }
});

/** When a notice comes, what it takes, and how long it keeps that. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type NoticesConfig, openNotices } from "../../../../src/io/agent/ssh/notices.ts";
import { handClock } from "../../../support/clock.ts";

const clock = handClock();
after(() => clock.stop());

/** Notices over streams, with what the person sees and what size the programs have. */
function opened(more: Partial<NoticesConfig> = {}) {
  const output = new PassThrough();
  const channel = new PassThrough();
  const sizes: string[] = [];
  const bytes: Buffer[] = [];
  channel.on("data", (data: Buffer) => bytes.push(data));
  const seen = (): string => Buffer.concat(bytes).toString();
  output.pipe(channel);
  const looks = { term: "xterm", cols: 80, rows: 24, bell: false, title: false };
  const resize = (cols: number, rows: number): void => void sizes.push(`${cols}x${rows}`);
  const greet = (text: string): void => void output.push(text);
  const notices = openNotices({ output, channel, resize, greet, ...looks, ...more }, clock);
  return {
    notices,
    sizes,
    seen,
    has: (text: string) => seen().includes(text),
    say: async (text: string | Buffer) => {
      output.write(text);
      await setImmediate();
      await setImmediate();
    },
  };
}
test("a greeting is cleaned, whatever is in it", async () => {
  for (const [term, prefix] of [
    ["xterm", "\x1b[1m[converge]\x1b[0m"],
    ["dumb", "[converge]"],
  ] as const) {
    const { notices, seen, say } = opened({ term });
    notices.greet("[converge] \x1b]0;owned\x07\u202eevil\r\n");
    await say("");
    assert.equal(seen(), `${prefix} ]0;ownedevil\r\n`);
  }
});

const hello = { text: "hello", title: null };

test("the programs get a row less, draw themselves, and then the line comes; after ten seconds it goes", async () => {
  const { notices, sizes, has, say } = opened();
  await say("\x1b[?1049h");
  notices.show(hello);
  assert.deepEqual(sizes, ["80x23"]);
  assert.ok(!has("hello"));
  await clock.advance(200);
  assert.ok(has("hello"));
  await clock.advance(9_500);
  assert.deepEqual(sizes, ["80x23"]);
  await clock.advance(1_000);
  assert.deepEqual(sizes, ["80x23", "80x24"]);
});

for (const [name, screen, early, late] of [
  ["on the other screen it stands for two seconds", "\x1b[?1049h", ["80x23"], ["80x23", "80x24"]],
  ["on the main screen it has its own row", "$ ", ["80x23", "80x24"], ["80x23", "80x24"]],
] as const)
  test(`a key puts the size back: ${name}`, async () => {
    const { notices, sizes, say } = opened();
    await say(screen);
    notices.typed();
    notices.show(hello);
    await clock.advance(200);
    notices.typed();
    assert.deepEqual(sizes, early);
    await clock.advance(2_100);
    assert.deepEqual(sizes, late);
  });

test("a second notice stands in the same row, and the row is given back once", async () => {
  const { notices, sizes, has, say } = opened();
  await say("\x1b[?1049h");
  notices.show(hello);
  await clock.advance(5_000);
  notices.show({ text: "again", title: null });
  assert.ok(has("again"));
  await clock.advance(9_000);
  notices.resize(100, 30);
  await clock.advance(2_000);
  assert.deepEqual(sizes, ["80x23", "100x29", "100x30"]);
});

for (const [name, begun, ended] of [
  ["a control sequence", "\x1b[3", "8;5;1m"],
  ["a title", "\x1b]0;my ti", "tle\x07"],
  ["a cursor that is kept", "\x1b7\x1b[1;1H", "top\x1b8"],
] as const)
  test(`a notice waits for the end of ${name}, but not for ever`, async () => {
    const { notices, has, say } = opened();
    await say(begun);
    notices.show(hello);
    await clock.advance(500);
    assert.ok(!has("hello"));
    await say(ended);
    await clock.advance(300);
    assert.ok(has(`${begun}${ended}`) && has("hello"));
    await say(begun);
    notices.show({ text: "never mind", title: null });
    await clock.advance(1_400);
    assert.ok(has("never mind"));
  });

test("half a character is waited for", async () => {
  const { notices, has, say } = opened();
  await say(Buffer.from([0xe2, 0x82]));
  notices.show(hello);
  await clock.advance(500);
  assert.ok(!has("hello"));
  await say(Buffer.from([0xac]));
  await clock.advance(300);
  assert.ok(has("€") && has("hello"));
});

test("a terminal of which nothing is known gets its line at once, and keeps its size", async () => {
  const { notices, seen, sizes } = opened({ term: "dumb" });
  notices.show(hello);
  await setImmediate();
  assert.equal(seen(), "\r\n[converge] hello\r\n");
  assert.deepEqual(sizes, []);
});

test("the bell and the title, where they are asked for", async () => {
  const { notices, seen, has } = opened({ bell: true, title: true });
  notices.show({ text: "soon", title: "ends in 4m" });
  await clock.advance(200);
  await setImmediate();
  assert.ok(has("\x07\x1b[22;2t\x1b]2;ends in 4m\x07"), JSON.stringify(seen()));
  notices.show({ text: "extended", title: "" });
  await setImmediate();
  assert.ok(seen().endsWith("\x07\x1b[23;2t"), JSON.stringify(seen()));
  notices.show({ text: "sooner", title: "ends in 1m" });
  notices.close(null);
  await setImmediate();
  assert.ok(seen().endsWith("\x1b]2;ends in 1m\x07\x1b[23;2t"), JSON.stringify(seen()));
});

test("and not where they are not", async () => {
  const { notices, has } = opened();
  notices.show({ text: "soon", title: "ends in 4m" });
  await clock.advance(200);
  assert.ok(has("soon") && !has("\x07") && !has("ends in"));
});

test("a last line comes on the main screen, and nothing after it", async () => {
  const { notices, seen, say, sizes } = opened();
  await say("\x1b[?1049h\x1b[?1000hhalf");
  notices.show(hello);
  notices.close("Over.");
  notices.show(hello);
  await clock.advance(20_000);
  const end = "\x1b[?1049l\x1b[0m\r\x1b[K\x1b[1m[converge]\x1b[0m Over.\r\n";
  assert.ok(seen().endsWith(end), JSON.stringify(seen()));
  assert.deepEqual(sizes, ["80x23"]);
});

test("what nobody reads is not kept: neither many notices nor a full channel", async () => {
  const channel = new PassThrough({ highWaterMark: 1 });
  const { notices, say } = opened({ channel, term: "dumb" });
  await say("");
  for (let count = 0; count < 5_000; count++) notices.show({ text: "x".repeat(70), title: null });
  assert.ok(channel.readableLength + channel.writableLength < 100_000);
});

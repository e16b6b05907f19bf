/** SFTP on the wire: how sessions end, and what of them is left open. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readlink, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { serveSftp } from "../../../../src/io/agent/sftp/server.ts";
import {
  maxTransfer,
  packet,
  string,
  types,
  u32,
  u64,
} from "../../../../src/io/agent/sftp/wire.ts";
import { CREAT, meet, noAttrs, pair, R, W } from "../../../support/sftp-peer.ts";

/** Those that sftp may have opened: the test runner opens and closes some of its own meanwhile. */
async function openFiles(): Promise<number> {
  const names = await readdir("/proc/self/fd");
  const targets = await Promise.all(
    names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")),
  );
  return targets.filter((target) => target.startsWith(join(tmpdir(), "converge-sftp-"))).length;
}

for (const how of ["ends", "ends within a packet", "talks nonsense"]) {
  test(`nothing is left open when the peer ${how}`, async (t) => {
    const before = await openFiles();
    const peer = await meet(t);
    for (let i = 0; i < 20; i += 1) await peer.open(`f${i}`, W | CREAT);
    for (let i = 0; i < 20; i += 1) await peer.ask(types.OPENDIR, string("."));
    assert.equal(await openFiles(), before + 40);
    for (let i = 0; i < 20; i += 1) peer.send(types.OPEN, i, string("f0"), u32(R), noAttrs);
    if (how === "ends") peer.stream.end();
    if (how === "ends within a packet") peer.stream.end(u32(77));
    if (how === "talks nonsense") peer.stream.write(u32(1));
    await peer.served;
    assert.equal(await openFiles(), before);
  });
}

test("a channel that breaks ends the session, unread requests or not", async (t) => {
  const before = await openFiles();
  const home = await mkdtemp(join(tmpdir(), "converge-sftp-"));
  t.after(() => rm(home, { recursive: true }));
  await writeFile(join(home, "x"), Buffer.alloc(1_000_000));
  const [stream, channel] = pair(1_024);
  let replies = 0;
  let answered = (): void => {};
  const some = new Promise<void>((resolve) => {
    answered = resolve;
  });
  const served = serveSftp(channel, {
    home,
    software: "OpenSSH_9.2p1",
    readOnly: false,
    onReply: () => {
      replies += 1;
      if (replies === 2) answered();
    },
  });
  stream.write(packet(types.INIT, u32(3)));
  for (let i = 0; i < 300; i += 1) {
    stream.write(packet(types.OPEN, u32(i), string("x"), u32(R), noAttrs));
  }
  await some;
  channel.destroy(new Error("broken"));
  await served;
  assert.equal(await openFiles(), before);
});

test("memory stays flat while the peer reads nothing, and nothing is lost", async (t) => {
  const peer = await meet(t);
  await writeFile(join(peer.home, "x"), "");
  await truncate(join(peer.home, "x"), 2_000 * maxTransfer);
  const handle = await peer.open("x", R);
  const { arrayBuffers: before } = process.memoryUsage();
  const before0 = peer.replied();
  for (let i = 0; i < 1_000; i += 1) {
    peer.send(types.READ, i, handle, u64(i * maxTransfer), u32(maxTransfer));
  }
  // Longer than the server would need to read the lot, were it not held back.
  for (let i = 0; i < 3_000; i += 1) await stat(peer.home);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 16 * 1024 * 1024, `${grown} bytes are kept`);
  assert.ok(peer.replied() - before0 < 2 * maxTransfer, `${peer.replied()} bytes were sent`);
  const seen = new Set<number>();
  while (seen.size < 1_000) {
    const answer = await peer.next();
    assert.equal(answer?.type, types.DATA);
    seen.add(answer.id);
  }
});

/** Much data: every byte up and down each way, and memory that does not grow with a slow reader. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, before, test } from "node:test";
import { endPrograms, program, result, run } from "../support/child.ts";
import { hold, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const MiB = 1024 * 1024;
const isLong = Boolean(process.env["CONVERGE_TEST_LONG"]);
const size = isLong ? 1024 * MiB : 24 * MiB;
const limitMs = isLong ? 900_000 : 60_000;

let world: World;
/** A file of random bytes in the test's own folder, and what they hash to. */
let source: { path: string; sha: string };
before(async () => {
  world = await meet({ id: "bulk" });
  hold(world.agent);
  source = await randomFile(size);
});
after(async () => {
  await endPrograms();
  await world.close();
});

async function randomFile(bytes: number): Promise<{ path: string; sha: string }> {
  const path = join(world.dir, "source");
  const hash = createHash("sha256");
  function* blocks(): Generator<Buffer> {
    for (let at = 0; at < bytes; at += 4 * MiB) {
      const block = randomBytes(Math.min(4 * MiB, bytes - at));
      hash.update(block);
      yield block;
    }
  }
  await pipeline(Readable.from(blocks()), createWriteStream(path));
  return { path, sha: hash.digest("hex") };
}

async function shaOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

const there = (name: string): string => join(world.agent.dir, name);
const client = (file: "scp" | "sftp", args: string[], input = "") =>
  run(file, [...world.options(), "-i", world.keyFile, ...args], { input, limitMs });

test("exec takes and gives every byte", async () => {
  const up = startSsh(world, ["cat > exec"], { limitMs });
  assert.ok(up.child.stdin);
  await pipeline(createReadStream(source.path), up.child.stdin);
  const { status, stderr } = await result(up);
  assert.equal(status, 0, stderr);
  assert.equal(await shaOf(there("exec")), source.sha);
  const down = startSsh(world, ["cat exec"], { limitMs, streams: true });
  down.end();
  const hash = createHash("sha256");
  assert.ok(down.child.stdout);
  await pipeline(down.child.stdout, hash);
  assert.equal(hash.digest("hex"), source.sha);
  assert.equal((await down.exited).status, 0);
});

test("exec takes and gives at the same time", async () => {
  const both = startSsh(world, ["cat"], { limitMs, streams: true });
  assert.ok(both.child.stdin && both.child.stdout);
  const hash = createHash("sha256");
  await Promise.all([
    pipeline(createReadStream(source.path), both.child.stdin),
    pipeline(both.child.stdout, hash),
  ]);
  assert.equal(hash.digest("hex"), source.sha);
  assert.equal((await both.exited).status, 0);
});

test("sftp takes and gives every byte", async () => {
  const back = join(world.dir, "sftp-back");
  const up = await client("sftp", ["-b", "-", "job@agent"], `put ${source.path} sftp\n`);
  assert.equal(up.status, 0, up.stderr);
  assert.equal(await shaOf(there("sftp")), source.sha);
  const down = await client("sftp", ["-b", "-", "job@agent"], `get sftp ${back}\n`);
  assert.equal(down.status, 0, down.stderr);
  assert.equal(await shaOf(back), source.sha);
});

for (const protocol of ["-s", "-O"]) {
  test(`scp ${protocol} takes and gives every byte`, async () => {
    const back = join(world.dir, `scp-back${protocol}`);
    const up = await client("scp", [protocol, source.path, `job@agent:scp${protocol}`]);
    assert.equal(up.status, 0, up.stderr);
    assert.equal(await shaOf(there(`scp${protocol}`)), source.sha);
    const down = await client("scp", [protocol, `job@agent:scp${protocol}`, back]);
    assert.equal(down.status, 0, down.stderr);
    assert.equal(await shaOf(back), source.sha);
  });
}

/** A packet of sftp: its length, its type, and the rest (draft-ietf-secsh-filexfer-02, 3). */
function packet(type: number, ...parts: (number | bigint | Buffer)[]): Buffer {
  const fields = parts.map((part) => {
    if (typeof part === "number") {
      const word = Buffer.alloc(4);
      word.writeUInt32BE(part);
      return word;
    }
    if (typeof part === "bigint") {
      const long = Buffer.alloc(8);
      long.writeBigUInt64BE(part);
      return long;
    }
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return Buffer.concat([length, part]);
  });
  const body = Buffer.concat([Buffer.from([type]), ...fields]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** The packets in some bytes, without their lengths. */
function packetsIn(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    found.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return found;
}

test("READs are answered in their order, or OpenSSH 9.2 cuts the file off without a word", async () => {
  const ssh = startSsh(world, ["-s", "sftp"]);
  const [INIT, OPEN, READ, DATA, HANDLE] = [1, 3, 5, 103, 102];
  ssh.type(packet(INIT, 3));
  ssh.type(packet(OPEN, 7, Buffer.from(source.path), 1, 0));
  const opened = await until("the handle", () => packetsIn(ssh.bytes())[1]);
  assert.equal(opened[0], HANDLE);
  const handle = Buffer.from(opened.subarray(9));
  const ids = Array.from({ length: 600 }, (_, n) => 100 + n);
  // Large ones take longer than the small ones behind them.
  const reads = ids.map((id) => packet(READ, id, handle, 0n, id % 8 === 0 ? 200_000 : 1));
  ssh.type(Buffer.concat(reads));
  const replies = await until("all replies", () => {
    const found = packetsIn(ssh.bytes()).filter((reply) => reply[0] === DATA);
    return found.length === ids.length ? found : null;
  });
  assert.deepEqual(
    replies.map((reply) => reply.readUInt32BE(1)),
    ids,
  );
  ssh.end();
  assert.equal((await ssh.exited).status, 0);
});

/** What of this process, relay and agent together, grew while `act` ran. */
async function growth(act: (sample: () => void) => Promise<void>): Promise<number> {
  const before = process.memoryUsage().rss;
  let most = before;
  await act(() => {
    most = Math.max(most, process.memoryUsage().rss);
  });
  return (most - before) / MiB;
}

/** Waits until no more bytes flow although more could, sampling memory all the while. */
async function stalled(side: "agentBytes" | "clientBytes", sample: () => void): Promise<void> {
  let last = -1;
  let same = 0;
  await until("nothing flows any more", () => {
    sample();
    const now = world.relay.rows()[0]?.clients[0]?.[side] ?? 0;
    same = now === last && now > MiB ? same + 1 : 0;
    last = now;
    return same >= 20;
  });
  assert.ok(last < 64 * MiB, `${last} bytes went to somebody who does not read`);
}

test("memory stays where it is while a reader of much output is slow", async () => {
  const grown = await growth(async (sample) => {
    const ssh = startSsh(world, ["cat /dev/zero"], { streams: true, limitMs });
    ssh.end();
    await stalled("agentBytes", sample);
    const slow = new PassThrough();
    ssh.child.stdout?.pipe(slow);
    let read = 0;
    await until("half as much is read slowly", () => {
      sample();
      read += slow.read(64 * 1024)?.length ?? 0;
      return read > 8 * MiB;
    });
    ssh.child.kill("SIGKILL");
    ssh.child.stdout?.destroy();
    await ssh.exited;
  });
  assert.ok(grown < 150, `${grown} MiB`);
});

test("memory stays where it is while a command is slow to read much input", async () => {
  const grown = await growth(async (sample) => {
    const ssh = startSsh(world, ["sleep 1000"], { limitMs });
    ssh.child.stdin?.on("error", () => {});
    assert.ok(ssh.child.stdin);
    createReadStream("/dev/zero")
      .on("error", () => {})
      .pipe(ssh.child.stdin);
    await stalled("clientBytes", sample);
    ssh.child.kill("SIGKILL");
    await ssh.exited;
  });
  assert.ok(grown < 150, `${grown} MiB`);
});

test("memory stays where it is while an sftp client stops in the middle of a download", async () => {
  const path = there("large");
  const made = await run("truncate", ["-s", "200M", path]);
  assert.equal(made.status, 0);
  const grown = await growth(async (sample) => {
    const args = [...world.options(), "-i", world.keyFile, "job@agent:large", "/dev/null"];
    const scp = program("scp", args, { limitMs });
    const flows = (): number => world.relay.rows()[0]?.clients[0]?.agentBytes ?? 0;
    await until("it is under way", () => flows() > 2 * MiB);
    scp.child.kill("SIGSTOP");
    await stalled("agentBytes", sample);
    scp.child.kill("SIGCONT");
    scp.child.kill("SIGTERM");
    await scp.exited;
  });
  assert.ok(grown < 150, `${grown} MiB`);
});

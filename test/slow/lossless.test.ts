/** Not a byte is lost: new keys, stopped readers, ends under way, and two outputs at once. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, program, result, run } from "../support/child.ts";
import { runs } from "../support/processes.ts";
import { hold, startMaster, startSsh } from "../support/started.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const MB = 1_000_000;
let world: World;
before(async () => {
  world = await meet({
    id: "channels",
    job: { CONVERGE_SECRET: "hush", JOB_NAME: "build", NODE_OPTIONS: "--no-warnings" },
  });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

const sha = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** Bytes in which every place differs from its neighbours, so that loss and repetition show. */
function counted(lines: number, word: string): Buffer {
  return Buffer.from(Array.from({ length: lines }, (_, n) => `${word} ${n}\n`).join(""));
}

for (const cipher of [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "chacha20-poly1305@openssh.com",
  "aes128-ctr",
  "aes256-ctr",
])
  test(`${cipher}: the keys change every megabyte, and no byte is lost`, async () => {
    const input = randomBytes(8 * MB);
    const args = ["-v", "-c", cipher, "-oRekeyLimit=1M", "cat"];
    const { status, stdout, stderr } = await world.ssh(args, { input });
    assert.equal(status, 0);
    assert.equal(sha(stdout), sha(input));
    assert.match(stderr, new RegExp(`server->client cipher: ${cipher}`));
    const changes = stderr.match(/SSH2_MSG_NEWKEYS received/g)?.length ?? 0;
    assert.ok(changes > 5, `${changes} key exchanges`);
  });

test("200 commands that print 30 KB on a terminal and end: not a byte is lost", async () => {
  const { master, options } = await startMaster(world);
  const command = "head -c 30000 /dev/zero | tr '\\0' x; exit 6";
  const lost: string[] = [];
  let left = 200;
  const worker = async (): Promise<void> => {
    for (; left > 0; ) {
      left -= 1;
      const { status, stdout } = await run("ssh", [...options, "-tt", "job@agent", command]);
      if (status !== 6 || stdout.toString() !== "x".repeat(30_000))
        lost.push(`status ${status}, ${stdout.length} bytes`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  assert.deepEqual(lost, []);
  await program("ssh", [...options, "-O", "exit", "job@agent"]).exited;
  await master.exited;
});

/** What the agent has sent, once it stays the same although nobody reads. */
async function stalled(): Promise<void> {
  let last = -1;
  let same = 0;
  await until("the agent stopped sending", () => {
    const now = world.relay.rows()[0]?.clients[0]?.agentBytes ?? 0;
    same = now === last && now > MB ? same + 1 : 0;
    last = now;
    return same >= 10;
  });
}

test("megabytes of both outputs, unread for a while, arrive whole and in order", async () => {
  const [out, err] = [counted(400_000, "stdout"), counted(400_000, "error!")];
  writeFileSync(join(world.agent.dir, "out"), out);
  writeFileSync(join(world.agent.dir, "err"), err);
  const ssh = startSsh(world, ["-q", "cat err >&2 & cat out; wait; exit 8"], { paused: true });
  ssh.end();
  await stalled();
  // Each in turn: what waits for the one must neither hold up nor repeat the other for ever.
  ssh.child.stderr?.resume();
  ssh.child.stdout?.resume();
  const { status, stdout, stderr } = await result(ssh);
  assert.equal(status, 8);
  assert.equal(sha(stdout), sha(out));
  assert.ok(stderr.endsWith(err.toString()));
});

for (const [how, size, tty] of [
  ["prints 200 KB", 200_000, false],
  ["prints 200 KB on a terminal", 200_000, true],
  // The window is 2 MiB, for a terminal 1 MiB: what is beyond waits inside the agent while the command exits.
  ["prints 2.2 MB", 2.2 * MB, false],
  ["prints 1.15 MB on a terminal", 1.15 * MB, true],
  ["prints 3 MB", 3 * MB, false],
  ["prints 3 MB on a terminal", 3 * MB, true],
] as const) {
  test(`ssh is stopped while a command ${how} and exits: not a byte is lost`, async () => {
    const name = `stop-${size}-${tty}`;
    const go = join(world.agent.dir, `${name}.go`);
    const data = counted(Math.ceil(size / 6), "line").subarray(0, size);
    writeFileSync(join(world.agent.dir, name), data);
    const command = `stty -opost 2>/dev/null; echo pid=$$=; until [ -e ${go} ]; do sleep 0.01; done; cat ${name}; exit 11`;
    const ssh = startSsh(world, [tty ? "-tt" : "-T", command]);
    if (!tty) ssh.end();
    const line = await ssh.see(/pid=\d+=\n/);
    ssh.child.kill("SIGSTOP");
    writeFileSync(go, "");
    const pid = Number(/\d+/.exec(line)?.[0]);
    if (size < 3 * MB) await until("the command is gone", () => !runs(pid));
    if (size > MB) await stalled();
    ssh.child.kill("SIGCONT");
    const { status, stdout } = await result(ssh);
    assert.equal(status, 11);
    assert.equal(sha(stdout.subarray(line.length)), sha(data));
  });
}

/** Keyboards of terminals whose programs do not read: nobody else waits, and nothing typed is lost. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { statOf } from "../../../../src/io/agent/shell/proc.ts";
import type { Process } from "../../../../src/io/agent/shell/process.ts";
import { openTerminal } from "../../../../src/io/agent/shell/terminal.ts";
import { env, heard, killStrays, until } from "../../../support/processes.ts";

const folder = mkdtempSync(join(tmpdir(), "keyboard-"));
after(() => {
  killStrays();
  rmSync(folder, { recursive: true });
});

const sh = (script: string): Process =>
  openTerminal({ file: "/bin/sh", args: ["-c", script], cwd: folder, env, cols: 80, rows: 24 });

const isStopped = (pid: number | null) => () => statOf(pid ?? 0)?.state === "T";

for (const [name, script, first, isReady] of [
  ["never reads", "echo ready; exec sleep 1000", "", null],
  ["never reads, without echo", "stty raw -echo; echo ready; exec sleep 1000", "", null],
  ["is stopped by ^S", "echo ready; exec cat", "\x13", null],
  ["is stopped by SIGSTOP", "echo ready; kill -STOP $$", "", isStopped],
] as const)
  test(`a program that ${name}: what is typed waits, and everybody else works`, async () => {
    const stuck = sh(script);
    const output = heard(stuck.stdout);
    await until("it is there", () => output.text().includes("ready"));
    if (isReady) await until("it is stopped", isReady(stuck.pid));
    stuck.stdin.write(first);
    // A busy loop would never come back from the first of these.
    let taken = 0;
    for (let sent = 0; sent < 64; sent += 1)
      stuck.stdin.write(Buffer.alloc(4096, "y\n"), () => {
        taken += 1;
      });
    const other = sh("read line; echo got $line; exit 3");
    const answer = heard(other.stdout);
    other.stdin.write("this\n");
    assert.deepEqual(await other.exited, { code: 3, signal: null });
    assert.match(answer.text(), /got this/);
    assert.ok(taken < 16, `${taken} of 64 blocks were taken`);
    assert.equal(stuck.stdin.writableNeedDrain, true);
    stuck.abandon();
    await stuck.exited;
    await until("nothing waits any more", () => taken === 64);
  });

test("a program that reads late gets every byte, once", async () => {
  const bytes = randomBytes(300_000);
  const late = sh("stty raw -echo; echo ready; kill -STOP $$; head -c 300000 | sha256sum");
  const output = heard(late.stdout);
  await until("it is stopped", isStopped(late.pid));
  late.stdin.write(bytes);
  process.kill(late.pid ?? 0, "SIGCONT");
  await late.exited;
  assert.match(output.text(), new RegExp(createHash("sha256").update(bytes).digest("hex")));
});

/** What a newcomer does first: `npm start`, with a terminal and without. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms, finished, program } from "../support/child.ts";
import { screen } from "../support/screen.ts";
import { root } from "../support/shipped.ts";
import { until } from "../support/until.ts";

after(endPrograms);

const script = join(root, "scripts/start.mjs");
const folderIn = (text: string): string => /job folder\s+(\S+)\/job/.exec(text)?.[1] ?? "";

test("npm start without a terminal runs one command over real ssh and serves until it is told to stop", async () => {
  const start = program(process.execPath, [script]);
  await until("it serves", () => start.out().includes("Serving until Ctrl-C"), 60_000);
  const said = start.out();
  const folder = folderIn(said);
  assert.match(said, /relay {8}http:\/\/127\.0\.0\.1:\d+/);
  assert.match(said, /host key {5}SHA256:[\w+/]{43}/);
  assert.ok(said.includes(`Hello from the job, in ${folder}/job`));
  const relay = /relay\s+(\S+)/.exec(said)?.[1] ?? "";
  const command = /^ {2}(ssh .*)$/m.exec(said)?.[1] ?? "";
  const pasted = await finished(program("sh", ["-c", `${command} 'echo pasted; exit 5'`]));
  assert.equal(pasted.out, "pasted\n", pasted.err);
  start.kill("SIGINT");
  assert.equal((await start.exited).status, 0);
  assert.equal(existsSync(folder), false);
  await assert.rejects(fetch(relay), "the relay is gone too");
});

test("npm start on a terminal opens a shell, and everything ends with it", async () => {
  const shown = screen(process.execPath, [script], { HOME: "/nonexistent", PS1: "$ " });
  await shown.see("Here is a shell in the job.");
  const folder = folderIn(shown.text().replaceAll("\r\n", "\n"));
  await shown.see("agentdir is");
  shown.type("echo in $agentdir; exit 3\r");
  await shown.see(`in ${folder}/job`);
  assert.equal(await shown.exited, 3);
  assert.equal(existsSync(folder), false);
});

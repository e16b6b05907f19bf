/** What a newcomer does first: `npm start`, with a terminal and without. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../support/until.ts";
import { root, screen } from "../support/world.ts";

const script = join(root, "scripts/start.mjs");
const folderIn = (text: string): string => /job folder\s+(\S+)\/job/.exec(text)?.[1] ?? "";

test("npm start without a terminal runs one command over real ssh and serves until it is told to stop", async () => {
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (data) => {
    said += data;
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await until("it serves", () => said.includes("Serving until Ctrl-C"), 60_000);
  const folder = folderIn(said);
  assert.match(said, /relay {8}http:\/\/127\.0\.0\.1:\d+/);
  assert.match(said, /host key {5}SHA256:[\w+/]{43}/);
  assert.ok(said.includes(`Hello from the job, in ${folder}/job`));
  const relay = /relay\s+(\S+)/.exec(said)?.[1] ?? "";
  const command = /^ {2}(ssh .*)$/m.exec(said)?.[1] ?? "";
  const pasted = spawn("sh", ["-c", `${command} 'echo pasted; exit 5'`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await new Response(pasted.stdout as never).text();
  assert.equal(output, "pasted\n");
  child.kill("SIGINT");
  assert.equal(await exited, 0);
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

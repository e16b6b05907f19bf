/**
 * What `agent.ps1` and `wsproxy.ps1` lead to on Windows: no PowerShell runs here, so what each line of
 * the script is for stands in a table, and what it starts is started, under Wine.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { folder, result } from "../support/child.ts";
import { type RelayProgram, relayProgram, ssh } from "../support/programs.ts";
import { root, shippedFile } from "../support/shipped.ts";
import { endWine, nodeThere, windows, windowsAgent, windowsPath } from "../support/wine.ts";

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram();
});
after(endWine);

/** The script without its comments: how each part begins, how many lines it has, what it is for. */
const walk: readonly (readonly [first: string, lines: number, why: string])[] = [
  ["$ErrorActionPreference", 2, "the first failure ends it, and no bar is drawn"],
  ["$program =", 5, "the relay has filled in what is wanted, from where, and the hashes"],
  ["$given =", 1, "the flags, since a function has an $args of its own"],
  ["$extra =", 1, "Windows PowerShell would ask Internet Explorer to read a page"],
  ["if ($given -contains", 1, "only from 6 on can a certificate be left unchecked"],
  ["$cache =", 2, "what was fetched is kept, where a user may write"],
  ["function Get-Part", 5, "a part is taken from the cache while its hash is right"],
  ["  $new =", 2, "else it is fetched under a name of its own, as two may run"],
  ["  $got =", 5, "and one with another hash goes, and ends it all"],
  ["  Move-Item", 3, "with its hash in its name it is kept"],
  ["$major = 0", 7, "Node is asked for its version without the job's own options"],
  ["if ($major -ge 20)", 3, "from 20 on it runs the file, else the executable does"],
  ["if ($program -eq 'agent')", 5, "the relay unless told otherwise, the job's options apart"],
  ["  & $command[0]", 3, "the agent runs here, and its status is the script's"],
  ["$into =", 3, "wsproxy becomes a command in a folder, which may be named"],
  ["$words =", 3, "a file of cmd, since no program can be made here"],
  ["Write-Host", 4, "what remains to be done is said"],
];

test("each line of the script for PowerShell has its reason", () => {
  const lines = readFileSync(join(root, "web/bootstrap/run.ps1"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  for (const [first, count, why] of walk)
    assert.ok(lines.splice(0, count)[0]?.startsWith(first), `${first}: ${why}`);
  assert.deepEqual(lines, []);
});

test("what agent.ps1 starts is an agent of its relay, whose sessions have the job's options", async () => {
  const agent = await windowsAgent(null, ["--shells", "cmd"], {
    env: {
      CONVERGE_RELAY_URL: relay.url,
      CONVERGE_NODE_OPTIONS: "--no-deprecation",
      CONVERGE_PROGRAM: "agent",
    },
  });
  const { stdout } = await result(ssh(agent, ["-oLogLevel=ERROR", "echo %NODE_OPTIONS%"]));
  assert.equal(stdout.toString(), "--no-deprecation\r\n");
});

test("what wsproxy.ps1 installs is found as it is announced, and only so", async () => {
  const dir = folder();
  const into = join(dir, "it's here");
  mkdirSync(into);
  const words = [nodeThere, windowsPath(shippedFile("wsproxy.cjs"))].map((word) => `"${word}"`);
  const lines = ["@echo off", "setlocal", "set NODE_OPTIONS=", "set CONVERGE_PROGRAM=wsproxy"];
  writeFileSync(join(into, "wsproxy.cmd"), [...lines, `${words.join(" ")} %*`, ""].join("\r\n"));
  // As ssh does it there: a line for CreateProcess, without a shell.
  const script = `
    const [file, ...args] = process.argv.slice(2);
    const env = { ...process.env, Path: undefined, PATH: ${JSON.stringify(windowsPath(into))} + ";" + process.env.PATH };
    const { status, error } = require("child_process").spawnSync(file, args, { env, encoding: "utf8", stdio: "inherit" });
    console.log(error ? error.code : "status " + status);`;
  writeFileSync(join(dir, "start.js"), script);
  const run = async (...command: string[]) => {
    const started = windows(nodeThere, [windowsPath(join(dir, "start.js")), ...command]);
    await started.exited;
    return `${started.out()}${started.err()}`;
  };
  const url = `${relay.url}/client/nobody`;
  assert.match(
    await run("cmd", "/c", "wsproxy", url),
    /^status 7\n.*No agent is registered as nobody/,
  );
  assert.equal(await run("wsproxy", url), "ENOENT\n");
});

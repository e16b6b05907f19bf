/** What reaches a person's terminal beside the output of programs: cleaned, in one way, everywhere. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { spawnCommand } from "../../../src/io/agent/shell/child.ts";
import { openTerminal } from "../../../src/io/agent/shell/terminal.ts";
import { terminalText } from "../../../src/io/text.ts";
import { all, env } from "../../support/processes.ts";

const bad = "/nowhere/\u001b]0;owned\u0007\u202eeg\u009b31mnow";
const shown = "/nowhere/]0;ownedeg31mnow";

for (const [name, text, want, newline] of [
  ["lines end as a terminal in raw mode wants it", "\na\r\nb\n", "\r\na\r\nb\r\n"],
  ["and without a terminal as everywhere", "a\r\nb\n", "a\nb\n", "\n"],
  ["a lone return is none", "safe\rover", "safeover"],
  ["controls and what turns text round", `[converge] ${bad}\n`, `[converge] ${shown}\r\n`],
  ["the longest path of Linux fits", `is ${"/x".repeat(2_048)}`, `is ${"/x".repeat(2_048)}`],
  ["each line has a bound", "x".repeat(9_000), "x".repeat(5_000)],
] as const)
  test(`text for a terminal: ${name}`, () => assert.equal(terminalText(text, newline), want));

const folder = mkdtempSync(join(tmpdir(), "terminal-text-"));
after(() => rmSync(folder, { recursive: true }));

for (const [name, file, cwd, want] of [
  ["a file", bad, folder, `${shown}: not found`],
  ["a folder", "/bin/sh", bad, `${shown}: not a directory`],
] as const)
  test(`what cannot be started is named without controls: ${name}`, async () => {
    const start = { file, args: [], cwd, env };
    const command = spawnCommand(start);
    assert.ok(command.stderr);
    assert.equal((await all(command.stderr)).toString(), `${want}\n`);
    const terminal = openTerminal({ ...start, cols: 80, rows: 24 });
    assert.equal((await all(terminal.stdout)).toString(), `${want}\r\n`);
  });

/** What writes to somebody's terminal. */
const writer =
  /\b(?:stderr|stdout|standardError|standardOutput|channel)\.(?:write|push|end)\((?!\))|\bReadable\.from\(|\bdisconnect\(connection,/;

/** Writers that need no cleaning, by file, and why. */
const others: Record<string, readonly string[]> = {
  // Output of programs.
  "src/io/agent/shell/terminal.ts": [
    "stdout.push(null);",
    "stdout.push(chunk);",
    "stdout.push(chunk)) master",
    "stdout.push(text)", // a greeting, which `notices.ts` has cleaned
  ],
  "src/io/agent/shell/script-terminal.ts": ["stdout.write(text)"],
  "src/io/agent/shell/conpty.ts": [
    "stdout.push(Buffer.from(shown))) console.pause",
    "stdout.push(null);",
    "if (hasBegun) stdout.push(text);",
  ],
  // Cleaned where they come in, in sequences of ours.
  "src/io/agent/ssh/notices.ts": ["channel.write(text); // made of cleaned lines"],
  // Bytes of other protocols.
  "src/io/agent/ssh/forwarding.ts": ["channel.write(nothing, act)"],
  "src/io/agent/sftp/server.ts": ["channel.write(next.reply,"],
  // Cleaned in the line before it; and nothing at all.
  "src/io/agent/shell/process.ts": ["Readable.from([Buffer.from(text)]", "Readable.from([], {"],
  // A constant, as the name says.
  "src/io/agent/ssh/connection.ts": ["disconnect(connection, tooManyTries)"],
  // Help, which is ours, and the job's own log, whose names were cleaned where they came in.
  "cli/agent.ts": ["helpInformation()", "(flags.json ? jsonFor : textFor)(news, insecure)"],
  "cli/wsproxy-flags.ts": ["helpInformation()"],
  // Made of checked words, and of lines that are cleaned one by one.
  "cli/wsproxy-tools.ts": ["standardOutput.write("],
  "cli/exit.ts": ["lastFault(error)"],
};

test("nobody writes to a terminal past it", () => {
  const root = resolve(import.meta.dirname, "../../..");
  const files = ["src/io", "src/actors", "cli"].flatMap((layer) =>
    readdirSync(join(root, layer), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${layer}/${name}`),
  );
  const past = files.flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .filter((line) => writer.test(line) && !line.includes("terminalText("))
      .filter((line) => !others[file]?.some((known) => line.includes(known)))
      .map((line) => `${file}: ${line.trim()}`),
  );
  assert.deepEqual(past, []);
});

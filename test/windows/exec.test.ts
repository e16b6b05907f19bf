/** Commands on Windows: an agent under Wine with cmd, and OpenSSH outside. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type How, result } from "../support/child.ts";
import { type AgentProgram, relayProgram, ssh } from "../support/programs.ts";
import { endWine, nodeThere, windowsAgent, windowsPath } from "../support/wine.ts";

let agent: AgentProgram;
before(async () => {
  const env = { CONVERGE_RELAY_TOKEN: "secret", agent_of: "the job" };
  agent = await windowsAgent((await relayProgram()).url, undefined, { env });
  const scripts = {
    "words.js": "console.log(JSON.stringify(process.argv.slice(2)))",
    "echo.js": "process.stdin.pipe(process.stdout)",
  };
  for (const [name, text] of Object.entries(scripts)) writeFileSync(join(agent.dir, name), text);
});
after(endWine);

const run = (line: string, how?: How) => result(ssh(agent, ["-oLogLevel=ERROR", line], how));

for (const [name, line, want] of [
  ["two commands run in the job's folder", "echo hi& echo %CD%", () => `hi\r\n${here()}\r\n`],
  ["quotes and what cmd escapes stay", 'echo "a&b" ^& c^^d 100%', '"a&b" & c^d 100%\r\n'],
  ["a condition is cmd's", "if exist words.js (echo there) else echo not", "there\r\n"],
  [
    "words reach a program as they were quoted",
    `${nodeThere} words.js "a b" c"d"e "q\\"r" "" h\u00e9\u65e5`,
    '["a b","cde","q\\"r","","h\u00e9\u65e5"]\n',
  ],
  [
    "text beyond the code page is there in the one of UTF-8",
    "chcp 65001 >nul& echo h\u00e9ll\u00f6 \u65e5\u672c",
    "h\u00e9ll\u00f6 \u65e5\u672c\r\n",
  ],
  ["eight thousand characters arrive", `echo ${"x".repeat(8_000)}`, `${"x".repeat(8_000)}\r\n`],
  [
    "of the agent's own variables none is there, and the job's are",
    "set agent",
    () => `agent_of=the job\r\nagentdir=${here()}\r\n`,
  ],
] as const)
  test(name, async () => {
    const { status, stdout } = await run(line);
    assert.deepEqual([status, stdout.toString()], [0, typeof want === "string" ? want : want()]);
  });

const here = (): string => windowsPath(agent.dir);

test("the environment is the job's, with one of each name", async () => {
  const { stdout } = await run("set");
  const names = stdout
    .toString()
    .split("\r\n")
    .flatMap((line) => line.split("=")[0]?.toUpperCase() ?? [])
    .filter((name) => name !== "");
  assert.equal(new Set(names).size, names.length);
  for (const name of ["PATH", "PATHEXT", "SYSTEMROOT", "COMSPEC", "TEMP", "USERPROFILE"])
    assert.ok(names.includes(name), name);
  assert.deepEqual(
    names.filter((name) => name.startsWith("CONVERGE_")),
    ["CONVERGE_RENDEZVOUS_ID", "CONVERGE_SESSION"],
  );
});

describe("the status", () => {
  for (const [line, want] of [
    ["exit 0", 0],
    ["exit 1", 1],
    ["exit 255", 255],
    ["(echo a& exit 4)", 4],
    ["exit -1", 255],
    ["exit 259", 3],
    // Its low byte, which is all that a client may look at, would say that it went well.
    ["exit 256", 255],
    [`${nodeThere} -e "process.exit(77)"`, 77],
  ] as const)
    test(`of ${line.replace(nodeThere, "node")} is ${want}`, async () => {
      assert.equal((await run(line)).status, want);
    });

  test("of what is not there is not 0, and it is said on stderr", async () => {
    const { status, stdout, stderr } = await run("nosuchcommand");
    assert.notEqual(status, 0);
    assert.equal(stdout.length, 0);
    assert.match(stderr, /nosuchcommand/);
  });
});

test("output and errors are apart", async () => {
  const { stdout, stderr } = await run("echo out& echo err>&2");
  assert.deepEqual([stdout.toString(), stderr.split("\n").at(-2)], ["out\r\n", "err\r"]);
});

test("bytes go in and come out as they are, and the end of them too", async () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const input = Buffer.concat([every, Buffer.from("\r\n\n\r\x1a\0"), randomBytes(3_000_000)]);
  const { status, stdout } = await run(`${nodeThere} echo.js`, { input });
  assert.equal(status, 0);
  assert.ok(stdout.equals(input), `${stdout.length} bytes`);
});

test("a command that never reads ends all the same", async () => {
  const { status, stdout } = await run("echo done", { input: randomBytes(3_000_000) });
  assert.deepEqual([status, stdout.toString()], [0, "done\r\n"]);
});

test("a command longer than cmd takes is refused, with a sentence", async () => {
  const { status, stdout, stderr } = await run(`echo ${"x".repeat(8_300)}`);
  assert.deepEqual([status, stdout.toString()], [126, ""]);
  assert.match(stderr, /cmd\.exe: the command, or its environment, is longer than this system/);
});

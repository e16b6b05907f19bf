/**
 * A terminal on Windows: cmd on a pseudo-console, under Wine. There it has neither input nor output
 * (`docs/behaviour.md`) unless it opens the console by its name, so it is started that way.
 */
import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { folder } from "../support/child.ts";
import { type AgentProgram, relayProgram, sshArgs } from "../support/programs.ts";
import { type Screen, screen } from "../support/screen.ts";
import { stands, until } from "../support/until.ts";
import { endWine, nodeThere, windowsAgent, windowsPath } from "../support/wine.ts";

/** The addon's, but what it starts opens the console by its name. */
const opener = `
const { dlopen } = process;
process.dlopen = (module, name, ...more) => {
  dlopen(module, name, ...more);
  if (!name.endsWith("conpty.node")) return;
  const { connect } = module.exports;
  const opened = (line) => 'cmd.exe /d /s /c "' + line + ' <CON >CON 2>CON"';
  module.exports.connect = (pty, line, ...rest) => connect(pty, opened(line), ...rest);
};
`;

/** The environment of an agent that runs a file first, and whose sessions do not. */
const required = (file: string): Record<string, string> => ({
  NODE_OPTIONS: `--require ${windowsPath(file).replaceAll("\\", "/")}`,
  CONVERGE_NODE_OPTIONS: "",
});

let agent: AgentProgram;
let relay: string;
let openerFile: string;
before(async () => {
  relay = (await relayProgram()).url;
  openerFile = join(folder(), "opener.cjs");
  writeFileSync(openerFile, opener);
  agent = await windowsAgent(relay, undefined, { env: required(openerFile) });
});
after(endWine);

const here = (): string => windowsPath(agent.dir);

const shell = (of = agent): Screen =>
  screen("ssh", [...sshArgs(of).slice(0, -1), "-tt", "job@agent"]);

test("a shell shows the help, takes what is typed, and ends with its own status", async () => {
  const seen = shell();
  await seen.see("You are in the job.");
  await seen.see(here());
  await seen.see(`${here()}>`);
  seen.type("echo h\u00e9llo \u65e5\u672c\r");
  await seen.see("\r\n\u001b[?25h\u001b[?25lh\u00e9llo \u65e5\u672c");
  seen.type("exit 5\r");
  assert.equal(await seen.exited, 5);
  // What clears the screen comes before what is to be read.
  const text = seen.text();
  assert.ok(text.indexOf("\u001b[2J") < text.indexOf("You are in the job."), text);
});

test("its size is the client's, and another one ends nothing", async () => {
  const console =
    "new (require('tty').WriteStream)(require('fs').openSync('\\\\\\\\.\\\\CONOUT$', 'r+'))";
  const print = `console.log(${console}.getWindowSize().join("x"));`;
  writeFileSync(join(agent.dir, "size.js"), print);
  const seen = shell();
  await seen.see(`${here()}>`);
  seen.type(`${nodeThere} size.js\r`);
  await seen.see("80x24");
  // Wine's ResizePseudoConsole does nothing, with the addon alone too.
  seen.resize(101, 37);
  seen.type("echo st^ill here\r");
  await seen.see("still here");
  seen.type("exit\r");
  await seen.exited;
});

test("what the help shows for cmd makes a hold, and everybody reads so", async () => {
  const seen = shell();
  await seen.see("to make the job wait for you:  ");
  const line = await seen.see(/[^\r]+/);
  await seen.see(`${here()}>`);
  const other = shell();
  await other.see(`${here()}>`);
  seen.type(`${line}\r`);
  for (const one of [seen, other]) await one.see(".hold is set");
  assert.ok(existsSync(join(agent.dir, ".hold")));
  seen.type("del /a %agentdir%\\.hold\r");
  for (const one of [seen, other]) await one.see(".hold is gone");
  for (const one of [seen, other]) {
    one.type("exit\r");
    await one.exited;
  }
});

test("a command may have one, and its status is its own", async () => {
  const seen = screen("ssh", [...sshArgs(agent), "-tt", "echo there& exit 7"]);
  await seen.see("there");
  assert.equal(await seen.exited, 7);
});

test("a client that is gone takes along what runs on its terminal", async () => {
  const beat = join(agent.dir, "beat");
  writeFileSync(
    join(agent.dir, "beat.js"),
    'setInterval(() => require("fs").appendFileSync("beat", "."), 20);',
  );
  const seen = shell();
  await seen.see(`${here()}>`);
  seen.type(`${nodeThere} beat.js\r`);
  await until("a beat", () => existsSync(beat));
  process.kill(seen.pid, "SIGKILL");
  await stands("the beat", () => statSync(beat).size);
});

test("without the addon lines go out as they are, and it is said", async () => {
  const file = join(folder(), "no-addon.cjs");
  writeFileSync(file, 'process.dlopen = () => { throw new Error("no addon here"); };');
  const without = await windowsAgent(relay, undefined, { env: required(file) });
  const seen = screen("ssh", sshArgs(without));
  await seen.see("PTY allocation request failed on channel 0");
  await seen.see(
    /\[converge\] No terminal can be opened on this machine: .*no addon here.* What you type goes out line by line\./,
  );
  await seen.see(">");
  seen.type("echo one& cd\r");
  await seen.see(/^one\r$/m);
  seen.type("exit 6\r");
  assert.equal(await seen.exited, 6);
});

test("an agent that has opened a terminal ends in order, and says nothing more", async () => {
  const env = required(openerFile);
  const brief = await windowsAgent(relay, ["--shells", "cmd"], { env });
  const seen = shell(brief);
  await seen.see(">");
  seen.type("exit\r");
  assert.equal(await seen.exited, 0);
  assert.deepEqual(await brief.exited, { status: 0, signal: null }, brief.err());
  assert.equal(brief.err(), "");
});

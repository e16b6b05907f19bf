/** A job in a folder whose name is made to play with terminals: nobody's terminal gets it. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms } from "../support/child.ts";
import { agentProgram, jobFolder, relayProgram, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";

after(endPrograms);

test("a folder named with ESC, BEL and U+202E reaches no terminal through the help", async () => {
  const relay = await relayProgram();
  const { dir, keyFile } = jobFolder();
  const odd = join(dir, "job\u001b]0;owned\u0007\u202egpj.exe");
  mkdirSync(odd);
  copyFileSync(join(dir, ".authorized_keys"), join(odd, ".authorized_keys"));
  const agent = await agentProgram(relay.url, [], { cwd: odd, env: { HOME: dir } });
  const shell = screen("ssh", [...sshArgs({ ...agent, keyFile }).slice(0, -1), "-tt", "job@agent"]);
  await shell.see(`agentdir is ${dir}/job]0;ownedgpj.exe`);
  await shell.see("$ ");
  shell.type("exit 7\r");
  assert.equal(await shell.exited, 7);
  // The program's own terminal modes are its business: bash asks for pasted text to be marked.
  // The prefix of each line is ours, and bold.
  const own = ["\u001b[?2004h", "\u001b[?2004l", "\u001b[1m[converge]\u001b[0m"];
  const said = own.reduce((text, one) => text.replaceAll(one, ""), shell.text());
  for (const [name, text] of [
    ["ESC", "\u001b"],
    ["BEL", "\u0007"],
    ["U+202E", "\u202e"],
  ] as const)
    assert.ok(!said.includes(text), `${name} in ${JSON.stringify(said)}`);
});

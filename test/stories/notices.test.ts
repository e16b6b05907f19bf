/**
 * Notices in a person's terminal: what is open there is not hurt, the line fits, and who leaves is told
 * what the job does next. `test/slow/notices.test.ts` has many more programs.
 */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { endPrograms } from "../support/child.ts";
import { agentProgram, relayProgram, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { openTmux, type Tmux } from "../support/tmux.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
const open: Tmux[] = [];
before(async () => {
  world = await meet({ lingerMs: 3_600_000 });
});
afterEach(async () => {
  for (const tmux of open.splice(0)) tmux.close();
  await endPrograms();
});
after(() => world.close());

async function terminal(cols = 80): Promise<Tmux> {
  const args = [...world.options(), "-oLogLevel=ERROR", "-i", world.keyFile, "-tt", "job@agent"];
  const tmux = openTmux("ssh", args, { cols });
  open.push(tmux);
  await tmux.see(/^\$/);
  await tmux.settled();
  return tmux;
}

const holdFile = (): string => join(world.agent.dir, ".hold");

test("bash and a half-typed line: the notice stands above, cut to the width, and no more", async () => {
  const tmux = await terminal(50);
  tmux.type("clear");
  tmux.press("Enter");
  await tmux.settled();
  tmux.type("echo half typed");
  await tmux.settled();
  writeFileSync(holdFile(), "");
  await tmux.see("[converge] .hold is set");
  await tmux.settled();
  assert.deepEqual(tmux.rows().slice(0, 4), [
    "[converge] .hold is set: when all left the job w…",
    "$ echo half typed",
    "",
    "",
  ]);
  assert.equal(tmux.tell("#{cursor_x},#{cursor_y}"), "17,1");
  rmSync(holdFile());
  await tmux.see("[converge] .hold is gone");
  tmux.type(" and whole; stty size");
  tmux.press("Enter");
  await tmux.see(/^half typed and whole$/);
  await tmux.see(/^24 50$/);
});

test("vim: the notice has the last row, no line moves, and it goes at the next repaint", async () => {
  const tmux = await terminal();
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index + 1}`);
  writeFileSync(join(world.agent.dir, "file"), `${lines.join("\n")}\n`);
  tmux.type("vim -u NONE file");
  tmux.press("Enter");
  await tmux.see("line 23");
  tmux.press("C-l");
  const want = await tmux.settled();
  writeFileSync(holdFile(), "");
  await tmux.see("[converge] .hold is set");
  await tmux.settled();
  rmSync(holdFile());
  await tmux.see("[converge] .hold is gone");
  await tmux.settled();
  assert.deepEqual(tmux.rows(), [
    ...lines.slice(0, 22),
    "",
    "[converge] .hold is gone: the job ends when the last client leaves.",
  ]);
  tmux.press("C-l");
  await until("what was there before", () => tmux.rows(true).join("\n") === want.join("\n"));
});

test("who leaves is told what the job does next", async () => {
  const [one, two] = [world.terminal(), world.terminal()];
  await one.see("$ ");
  await two.see("$ ");
  one.type("exit\r");
  await one.see("[converge] You leave; the job waits for one other.\r\n");
  assert.equal(await one.exited, 0);
  // Made by the last command, and not seen by anybody yet.
  two.type("touch .hold; exit\r");
  await two.see(
    /\[converge\] You leave; \.hold is set: the job waits, (?:10m|9m 5\ds) at most\.\r\n/,
  );
  assert.equal(await two.exited, 0);
  const three = world.terminal();
  await three.see("$ ");
  three.type("rm .hold; exit\r");
  await three.see("[converge] You leave; the job goes on in 1h if nobody comes.\r\n");
  assert.equal(await three.exited, 0);
  // A command's output is the command's alone.
  const four = world.terminal(["echo done"]);
  assert.equal(await four.exited, 0);
  assert.doesNotMatch(four.text(), /You leave/);
});

test("the bell and the window's title come with their flags", async () => {
  const relay = await relayProgram();
  for (const [flags, rings] of [
    [["--bell", "--title"], true],
    [[], false],
  ] as const) {
    const agent = await agentProgram(relay.url, [...flags, "--timeout", "8s", "--warn", "6s"]);
    const shell = screen("ssh", ["-tt", ...sshArgs(agent)]);
    await shell.see(
      "[converge] The session ends in 6s without activity. Press any key to extend it.",
    );
    shell.type("x\u0015");
    await shell.see("[converge] Extended: ");
    shell.type("exit\r");
    await shell.exited;
    const wanted = ["\u0007", "\u001b[22;2t\u001b]2;ends in 6s\u0007", "\u001b[23;2t"];
    for (const bytes of wanted) assert.equal(shell.text().includes(bytes), rings, shell.text());
  }
});

/** Resumed in a terminal: what stands on the screen while the link is lost, and after it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms } from "../support/child.ts";
import { outage } from "../support/outage.ts";
import { sshArgs } from "../support/programs.ts";
import { openTmux } from "../support/tmux.ts";
import { until } from "../support/until.ts";

after(endPrograms);

const lost = "[converge] Connection lost; resuming.";
const back = /\[converge\] Your link is back after \d+s; nothing was lost\./;

test("at a prompt: one line while the link is lost, one when it is back, and what is half typed stays", async () => {
  const { agent, kill, revive } = await outage();
  const tmux = openTmux("ssh", ["-oLogLevel=ERROR", "-tt", ...sshArgs(agent, "")]);
  try {
    await tmux.see(/^\$ *$/m);
    tmux.type("echo half-$((1+1))");
    await tmux.see("echo half-$((1+1))");
    await kill();
    await tmux.see(lost);
    tmux.type("-typed-$((2+2))");
    await revive();
    await tmux.see(back);
    tmux.press("Enter");
    await tmux.see("half-2-typed-4");
    const rows = await tmux.settled();
    assert.equal(rows.filter((row) => row.includes(lost)).length, 0, rows.join("\n"));
  } finally {
    tmux.close();
  }
});

test("in vim: after two outages the screen is as it would be without them", async () => {
  const { agent, kill, revive } = await outage();
  const lines = Array.from({ length: 200 }, (_, n) => `line ${n + 1}`);
  writeFileSync(join(agent.dir, "file.txt"), `${lines.join("\n")}\n`);
  const screens: string[][] = [];
  for (const outages of [0, 2]) {
    const tmux = openTmux("ssh", ["-oLogLevel=ERROR", "-tt", ...sshArgs(agent, "")]);
    try {
      await tmux.see(/^\$ *$/m);
      tmux.type("vim -u NONE file.txt");
      tmux.press("Enter");
      await tmux.see("line 20");
      for (let n = 0; n < outages; n += 1) {
        await kill();
        await tmux.see(lost);
        tmux.type("jj");
        await revive();
        // What was typed meanwhile may wipe the line that says so.
        await until("it is back", () => !tmux.rows().join("\n").includes(lost));
        tmux.type("j");
      }
      if (outages === 0) tmux.type("jjjjjj");
      await until("the line goes away", () => !tmux.rows().join("\n").includes("[converge]"));
      tmux.press("C-l");
      screens.push(await tmux.settled());
    } finally {
      tmux.close();
    }
  }
  assert.deepEqual(screens[1], screens[0]);
});

/**
 * A terminal whose full-screen program is cut by an end of ours, be it one that the agent makes or one
 * that only wsproxy sees: it is handed back with every mode off, what was on the main screen before,
 * and the reason as the last line there. In tmux, with ssh from a shell.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { sh } from "../../src/actors/words/quoting.ts";
import { isHeldBySsh } from "../../src/io/client/hand-back.ts";
import { endPrograms } from "../support/child.ts";
import { agentProgram, relayProgram, sshArgs } from "../support/programs.ts";
import { openTmux, type Tmux } from "../support/tmux.ts";
import { meet } from "../support/world.ts";

const open: Tmux[] = [];
afterEach(async () => {
  for (const tmux of open.splice(0)) tmux.close();
  await endPrograms();
});

/** Everything that a program can leave on, and nothing that it would put off when it is hung up. */
const wild =
  "printf '\\033[?1049h\\033[?1003h\\033[?1006h\\033[?1004h\\033[?25l\\033[5;9r\\033=\\033[?1h\\033[?2004h\\033[4h\\033[?6h\\033[4;7mwild'; exec cat";

const flags =
  "alternate #{alternate_on} mouse #{mouse_any_flag}#{mouse_sgr_flag} keys #{keypad_flag}#{keypad_cursor_flag} hidden #{?cursor_flag,0,1} insert #{insert_flag} origin #{origin_flag} region #{scroll_region_upper}-#{scroll_region_lower}";
const off = "alternate 0 mouse 00 keys 00 hidden 0 insert 0 origin 0 region 0-23";

/** Ssh in a terminal, from a shell that says afterwards with what status it ended. */
function terminal(args: readonly string[]): Tmux {
  const line = `echo before; ssh -tt ${args.map(sh.word).join(" ")}; echo "status $?"; exec sleep 1000`;
  const tmux = openTmux("sh", ["-c", line], { term: "xterm-256color" });
  open.push(tmux);
  return tmux;
}

/** The lines of the screen after the command was typed, up to the status. */
async function lastLines(tmux: Tmux): Promise<string[]> {
  await tmux.see(/^status \d+$/);
  const rows = tmux.rows();
  const from = rows.findIndex((row) => row.startsWith("$ sh "));
  assert.ok(from >= 0, rows.join("\n"));
  return rows.slice(from + 1, rows.findIndex((row) => row.startsWith("status ")) + 1);
}

for (const [name, program, isUp] of [
  ["one that leaves everything on", `sh -c ${sh.word(wild)}`, "wild"],
  ["vim", "sh -c \"exec vim -u NONE -c 'set mouse=a' -c 'normal iwild'\"", "wild"],
] as const)
  test(`silence ends a full-screen program: ${name}`, async () => {
    const world = await meet({ timeoutMs: 60_000, warnAtMs: [] });
    try {
      writeFileSync(join(world.agent.dir, "wild"), `${program}\n`);
      const tmux = terminal([...world.options(), "-i", world.keyFile, "job@agent"]);
      await tmux.see(/^\$/);
      tmux.type("sh ./wild");
      tmux.press("Enter");
      await tmux.see(isUp);
      await tmux.settled();
      assert.notEqual(tmux.tell(flags), off);
      await world.clock.advance(61_000);
      const [said, ...rest] = (await lastLines(tmux)).filter((row) => !/^(?:Vim: .*)?$/.test(row));
      assert.equal(said, "[converge] Nobody was active: the session ends now. The job goes on.");
      assert.deepEqual(
        rest.filter((row) => row !== "Connection to agent closed."),
        ["status 129"],
      );
      assert.equal(tmux.tell(flags), off);
    } finally {
      await world.close();
    }
  });

for (const [name, kill] of [
  ["the agent", 0],
  ["the relay", 1],
] as const)
  test(`${name} is killed under a full-screen program`, async () => {
    const relay = await relayProgram();
    const agent = await agentProgram(relay.url);
    writeFileSync(join(agent.dir, "wild"), `${wild}\n`);
    const tmux = terminal(sshArgs(agent, "--resume-timeout 1s"));
    await tmux.see(/^\$/);
    tmux.type("sh ./wild");
    tmux.press("Enter");
    await tmux.see("wild");
    await tmux.settled();
    assert.notEqual(tmux.tell(flags), off);
    [agent, relay][kill]?.kill("SIGKILL");
    const lines = (await lastLines(tmux)).filter((row) => row !== "");
    assert.match(
      lines.join("\n"),
      /^converge: The connection was lost: [^\n]+(?:\n[^\n]+)*\nstatus 255$/,
    );
    assert.equal(tmux.tell(flags), off);
  });

for (const [name, settings, want] of [
  ["ssh's", "speed 38400 baud;\n-isig -icanon -iexten -echo\n-opost onlcr", true],
  ["vim's", "-isig -icanon -iexten -echo\nopost -onlcr", false],
  ["a shell's", "isig icanon iexten echo\nopost onlcr", false],
  ["none", "", false],
] as const)
  test(`whether ssh holds a terminal, by its settings: ${name}`, () =>
    assert.equal(isHeldBySsh(settings), want));

test("a terminal that ssh does not hold is left alone, and its last words end in a return", async () => {
  const relay = await relayProgram();
  const out = join((await agentProgram(relay.url)).dir, "said");
  const { built } = await import("../support/shipped.ts");
  const line = `script -qec ${sh.word(`${process.execPath} ${built("wsproxy")} ${relay.url}/client/nobody`)} ${out} </dev/null >/dev/null; echo done; sleep 1000`;
  const tmux = openTmux("sh", ["-c", line]);
  open.push(tmux);
  await tmux.see("done");
  const said = readFileSync(out, "utf8");
  assert.match(said, /\r\n/);
  assert.doesNotMatch(said, /\p{Cc}\[/u);
});

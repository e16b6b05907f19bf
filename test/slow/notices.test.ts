/**
 * Notices and the real programs, in tmux: what is on the screen after two notices and one repaint is
 * what would be there without them, cell by cell, with attributes and the cursor.
 */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openTmux, type Tmux } from "../support/tmux.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet({ lingerMs: 3_600_000, job: { PS1: "$ ", LC_ALL: "C.UTF-8", HISTFILE: "" } });
  const { dir } = world.agent;
  const lines = Array.from({ length: 200 }, (_, index) => `line ${index + 1}`);
  writeFileSync(join(dir, "file.txt"), `${lines.join("\n")}\n`);
  writeFileSync(join(dir, "page.1"), `.TH PAGE 1\n.SH NAME\n${lines.join("\n.br\n")}\n`);
  writeFileSync(join(dir, ".zshrc"), "PS1='$ '\n");
  writeFileSync(
    join(dir, "inner.conf"),
    "set -g status-right ''\nset -g default-shell /bin/dash\n",
  );
});
after(() => world.close());

interface Case {
  readonly name: string;
  /** What is typed at bash's prompt and entered; null goes on with bash itself. */
  readonly start: string | null;
  /** What is then on the screen. */
  readonly ready: string | RegExp;
  /** What is typed after that. */
  readonly typed?: string;
  /** Keys that make it draw itself, and change nothing. */
  readonly repaint: readonly string[];
  /** Keys that end it. */
  readonly leave: readonly string[];
  /** What may differ from one moment to the next. */
  readonly mask?: RegExp;
  readonly term?: string;
}

const half = "echo half typed";
/** Loads, times and their colours, of programs that show those. */
const measured = /(?:\p{Cc}\[[\d;]*m|[\d.,:%|]+|\s)+/gu;
const cases: readonly Case[] = [
  { name: "bash", start: null, ready: "$", typed: half, repaint: ["C-l"], leave: ["C-c"] },
  { name: "zsh", start: "zsh", ready: "$", typed: half, repaint: ["C-l"], leave: ["C-c"] },
  {
    name: "fish",
    start: "fish --no-config -C 'function fish_prompt; echo -n \"ready> \"; end'",
    ready: "ready>",
    typed: half,
    repaint: ["C-l"],
    leave: ["C-c", "C-d"],
  },
  {
    name: "python",
    start: "python3 -q",
    ready: ">>>",
    typed: "print('half",
    repaint: ["C-l"],
    leave: ["C-c", "C-d"],
  },
  {
    name: "vim",
    start: "vim -u NONE file.txt",
    ready: "line 20",
    repaint: ["C-l"],
    leave: [":", "q", "!", "Enter"],
  },
  {
    name: "vim in two windows, inserting",
    start: "vim -u NONE -c 'set nocp ruler' -c split file.txt",
    ready: "line 5",
    typed: "ione word",
    repaint: ["Escape", "C-l"],
    leave: [":", "q", "a", "!", "Enter"],
  },
  {
    name: "vim as in xterm",
    start: "vim -u NONE -c 'set mouse=a' file.txt",
    ready: "line 20",
    repaint: ["C-l"],
    leave: [":", "q", "!", "Enter"],
    term: "xterm-256color",
  },
  {
    name: "nano",
    start: "nano -U file.txt",
    ready: "line 9",
    typed: "one word ",
    repaint: ["C-l"],
    leave: ["C-x", "n"],
  },
  { name: "less", start: "less file.txt", ready: "line 20", repaint: ["C-l"], leave: ["q"] },
  {
    name: "less on the main screen",
    start: "less -X file.txt",
    ready: "line 20",
    repaint: ["C-l"],
    leave: ["q"],
  },
  { name: "man", start: "man ./page.1", ready: "line 2", repaint: ["C-l"], leave: ["q"] },
  {
    name: "htop",
    start: "htop -p $$ -d 100 --no-mouse",
    ready: "F10",
    repaint: ["C-l"],
    leave: ["q"],
    mask: measured,
  },
  {
    name: "top",
    start: "top -p $$ -d 1000",
    ready: "PID",
    repaint: ["Space"],
    leave: ["q"],
    mask: measured,
  },
  {
    name: "mc",
    start: "mc -u",
    ready: "10Quit",
    repaint: ["C-l"],
    leave: ["F10"],
    mask: /\d+G?\/\d+G? \(\d+%\)/g,
  },
  {
    name: "mc as in xterm",
    start: "mc -u",
    ready: "10Quit",
    repaint: ["C-l"],
    leave: ["F10"],
    term: "xterm-256color",
    mask: /\d+G?\/\d+G? \(\d+%\)/g,
  },
  {
    name: "tmux",
    start: "tmux -L inner$$ -f inner.conf new",
    ready: "[0]",
    typed: half,
    repaint: ["C-b", "r"],
    leave: ["C-c", "C-d"],
  },
  {
    name: "dialog",
    start: "dialog --clear --menu 'What now?' 15 50 5 one first two second three third",
    ready: "What now?",
    repaint: ["C-l"],
    leave: ["Escape", "Escape"],
  },
];

/** The screen as it can be compared: with its attributes and the cursor. */
function picture(tmux: Tmux, mask?: RegExp): string {
  const rows = tmux.rows(true).map((row) => (mask ? row.replace(mask, " ") : row).trimEnd());
  return [...rows, tmux.tell("#{cursor_x},#{cursor_y} #{alternate_on} #{cursor_flag}")].join("\n");
}

const holdFile = (): string => join(world.agent.dir, ".hold");

/** Two notices, a long one and a short one. */
async function noticed(tmux: Tmux): Promise<void> {
  writeFileSync(holdFile(), "");
  await tmux.see("[converge] .hold is set");
  await tmux.settled();
  rmSync(holdFile());
  await tmux.see("[converge] .hold is gone");
  await tmux.settled();
  for (const row of tmux.rows().filter((row) => row.includes("[converge] .hold is")))
    assert.match(row, /^\[converge\] \.hold is [ -~]*[.…]$/);
}

async function inTmux(term: string | undefined, act: (tmux: Tmux) => Promise<void>): Promise<void> {
  const args = [...world.options(), "-oLogLevel=ERROR", "-i", world.keyFile, "-tt", "job@agent"];
  const tmux = openTmux("ssh", args, term ? { term } : {});
  try {
    await tmux.see("agentdir");
    await tmux.see(/^\$/);
    await act(tmux);
  } finally {
    tmux.close();
  }
}

for (const { name, start, ready, typed, repaint, leave, mask, term } of cases)
  test(`a notice hurts nothing: ${name}`, () =>
    inTmux(term, async (tmux) => {
      if (start !== null) {
        tmux.type(`clear; ${start}`);
        tmux.press("Enter");
      }
      await tmux.see(ready);
      await tmux.settled();
      if (typed) tmux.type(typed);
      await tmux.settled();
      tmux.press(...repaint);
      await tmux.settled();
      const want = picture(tmux, mask);
      await noticed(tmux);
      tmux.press(...repaint);
      let now = "";
      await until("the same screen", () => {
        now = picture(tmux, mask);
        return now === want;
      }).catch(() => assert.equal(now, want));
      for (const key of leave) {
        tmux.press(key);
        await tmux.settled();
      }
      await tmux.see(/^\$/);
      tmux.type("echo o''ver; stty size");
      tmux.press("Enter");
      await tmux.see("over");
      await tmux.see("24 80");
    }));

test("a notice hurts nothing: dash, whose line the terminal keeps", () =>
  inTmux(undefined, async (tmux) => {
    tmux.type("clear; PS1='dash> ' exec dash");
    tmux.press("Enter");
    await tmux.see(/^dash>/);
    await tmux.settled();
    tmux.type(half);
    await tmux.see(half);
    await tmux.settled();
    await noticed(tmux);
    const [first, second, line] = tmux.rows();
    assert.match(`${first}\n${second}`, /^\[converge\] .*\n\[converge\] .*$/);
    assert.equal(line, `dash> ${half}`);
    assert.equal(tmux.tell("#{cursor_x},#{cursor_y}"), `${half.length + 6},2`);
    tmux.type(" and whole");
    tmux.press("Enter");
    await tmux.see(/^half typed and whole$/);
  }));

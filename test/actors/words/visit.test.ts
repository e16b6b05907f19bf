import assert from "node:assert/strict";
import { test } from "node:test";
import { helpText, leavingText } from "../../../src/actors/words/visit.ts";

const about = {
  platform: "linux",
  shell: "bash",
  agentdir: "/job",
  keysFile: "/job/.authorized_keys",
  rendezvous: "tuhav-kofir",
  leftMs: 595_000,
  timeoutMs: 600_000,
  held: false,
};

test("the help at login, whole", () => {
  assert.deepEqual(helpText(about).split("\r\n"), [
    "[converge] You are in the job. Others see that you are, not what you type.",
    "[converge] stay    any key gives 10m again; nobody active: it ends in 9m 55s",
    "[converge] leave   exit: the job goes on when the last one has left",
    "[converge] hold    to make the job wait for you:  touch $agentdir/.hold",
    "[converge] longer  for two hours:  touch -d '+2 hours' $agentdir/.hold",
    "[converge] let in  add a public key to $agentdir/.authorized_keys",
    "[converge] copy",
    "    on your side, with ssh's own options:",
    "    scp … job@tuhav-kofir:FILE .",
    "[converge] where   agentdir is /job",
    "",
  ]);
});

const long = "/home/runner/work".repeat(12);
const dated = "(ni $env:agentdir\\.hold -Force).LastWriteTime = (Get-Date).AddHours(2)";
for (const [platform, shell, command] of [
  ["linux", "fish", "touch -d '+2 hours' $agentdir/.hold"],
  ["darwin", "zsh", "touch -t $(date -v+2H +%Y%m%d%H%M) $agentdir/.hold"],
  ["win32", "powershell", dated],
  ["win32", "PWSH", dated],
  ["win32", "cmd", 'powershell "(ni $env:agentdir\\.hold -f).LastWriteTime=(date).AddHours(2)"'],
  ["win32", "bash", "touch -d '+2 hours' \"$agentdir/.hold\""],
] as const)
  for (const held of [false, true])
    for (const agentdir of ["/job", long, "x".repeat(300)])
      test(`the help on ${platform} for ${shell} in ${agentdir.slice(0, 6)}, ${held}: its words, 78 columns`, () => {
        const keysFile = `${agentdir}/.authorized_keys`;
        const rendezvous = "b".repeat(128);
        const help = helpText({ ...about, platform, shell, agentdir, keysFile, rendezvous, held });
        assert.ok(help.includes(command), help);
        for (const name of ["stay", "leave", "hold", "let in", "copy"])
          assert.ok(help.includes(`[converge] ${name}`), help);
        for (const line of help.split("\r\n")) assert.ok(line.length <= 78, line);
      });

for (const [others, held, lingerMs, want] of [
  [0, false, 0, "You leave; the job goes on."],
  [0, false, 60_000, "You leave; the job goes on in 1m if nobody comes."],
  [0, true, 60_000, "You leave; .hold is set: the job waits, 9m at most."],
  [1, true, 0, "You leave; the job waits for one other."],
  [3, false, 0, "You leave; the job waits for 3 others."],
] as const)
  test(`who leaves is told: ${want}`, () =>
    assert.equal(leavingText({ others, held, lingerMs, leftMs: 540_000 }), want));

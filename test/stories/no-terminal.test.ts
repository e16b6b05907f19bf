/** Machines where the addon for terminals does not load: `script` stands in, else none, and it is said. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { findScript } from "../../src/io/agent/shell/script-terminal.ts";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import {
  type AgentProgram,
  agentProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { built } from "../support/shipped.ts";
import { until } from "../support/until.ts";

let relay: string;
let broken: Record<string, string>;
before(async () => {
  relay = (await relayProgram()).url;
  const file = join(folder(), "no-addon.cjs");
  writeFileSync(
    file,
    `process.dlopen = (_module, name) => { throw new Error("cannot load " + require("path").basename(name)); };\n`,
  );
  broken = { NODE_OPTIONS: `--require ${file}` };
});
after(endPrograms);

const left = (): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith("converge-tty-"));

describe("with util-linux's script", () => {
  let agent: AgentProgram;
  before(async () => {
    agent = await agentProgram(relay, [], { env: broken });
    writeFileSync(join(agent.dir, ".hold"), "");
  });

  test("there is a terminal with a size, signals and an exit status", async () => {
    const before = left();
    const shell = screen("ssh", [...sshArgs(agent).slice(0, -1), "-tt", "job@agent"]);
    await shell.see("$ ");
    shell.type("stty size; tty; echo $SHELL\r");
    await shell.see("24 80");
    await shell.see(/\/dev\/pts\/\d+/);
    await shell.see("/bin/bash");
    shell.resize(101, 37);
    shell.type("while [ \"$(stty size)\" != '37 101' ]; do sleep 0.05; done; echo re''sized\r");
    await shell.see("resized");
    shell.type("sleep 100\r");
    await shell.see("sleep 100");
    shell.type("\x03");
    await shell.see("$ ");
    shell.type("exit 7\r");
    assert.equal(await shell.exited, 7);
    assert.deepEqual(left(), before);
  });

  test("output arrives whole, and words with quotes as they are", async () => {
    const args = ["-tt", `stty -opost; printf '%s|' "it's" 'a "b" $c'; seq 20000`];
    const run = await finished(ssh(agent, args));
    const want = Array.from({ length: 20_000 }, (_, i) => i + 1).join("\n");
    assert.deepEqual([run.status, run.out], [0, `it's|a "b" $c|${want}\n`]);
  });

  test("a client that is gone takes its terminal's processes with it", async () => {
    const shell = screen("ssh", [...sshArgs(agent).slice(0, -1), "-tt", "job@agent"]);
    await shell.see("$ ");
    shell.type("echo pid=$$\r");
    const pid = Number(/pid=(\d+)/.exec(await shell.see(/pid=\d+/))?.[1]);
    process.kill(shell.pid, "SIGKILL");
    await until("the shell has gone", () => !existsSync(`/proc/${pid}`));
  });
});

/** An agent in a mount namespace whose /dev/pts is empty, as in a bare chroot. */
const withoutPts = [
  "unshare",
  ...["--mount", "sh", "-ec", 'mount -t tmpfs none /dev/pts; exec "$@"', "sh"],
  ...[process.execPath, built("agent")],
] as const;

for (const [how, isBroken, why] of [
  ["the addon", false, "openpty(3) failed"],
  ["script", true, "ENODEV: no such device, open '/dev/ptmx'"],
] as const)
  test(`without /dev/pts the terminal is refused, and a shell works line by line: ${how}`, async () => {
    const env = isBroken ? broken : {};
    const agent = await agentProgram(relay, [], { env }, withoutPts);
    writeFileSync(join(agent.dir, ".hold"), "");
    const shell = screen("ssh", sshArgs(agent));
    await shell.see("PTY allocation request failed on channel 0");
    await shell.see(
      `[converge] No terminal can be opened on this machine: ${why}. What you type goes out line by line.`,
    );
    shell.type("echo $((40+2))\r");
    await shell.see(/^42\r$/m);
    shell.type("exit 7\r");
    assert.equal(await shell.exited, 7);
    // Nothing is remembered of it: with /dev/pts back there are terminals.
    await finished(program("nsenter", ["-m", "-t", String(agent.pid), "umount", "/dev/pts"]));
    const again = await finished(ssh(agent, ["-tt", "tty"]));
    assert.match(again.out, /^\/dev\/pts\/\d+/);
  });

test("a script that cannot be executed is not there", () => {
  const dir = folder();
  const file = join(dir, "script");
  writeFileSync(file, "#!/bin/sh\n", { mode: 0o644 });
  assert.equal(findScript(dir), null);
  chmodSync(file, 0o755);
  assert.equal(findScript(`/nowhere:${dir}`), file);
});

test("without script ssh is told that there is no terminal, and works line by line", async () => {
  const bin = join(folder(), "bin");
  mkdirSync(bin);
  for (const name of ["sh", "bash", "cat", "tty"]) symlinkSync(`/bin/${name}`, join(bin, name));
  const agent = await agentProgram(relay, [], { env: { ...broken, PATH: bin } });
  const shell = screen("ssh", sshArgs(agent));
  await shell.see("PTY allocation request failed on channel 0");
  await shell.see(
    // The file that is shipped has the addon inside, and says where it tried to put it.
    /\[converge\] No terminal can be opened on this machine: .*cannot load pty\.node.* What you type goes out line by line\./,
  );
  shell.type("echo $((40+2))\r");
  await shell.see(/^42\r$/m);
  shell.type("tty\r");
  await shell.see("not a tty");
  shell.type("exit 7\r");
  assert.equal(await shell.exited, 7);
});

/** A person's own terminal modes are those of the terminal in the job, as with sshd (RFC 4254 8). */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { type AgentProgram, agentProgram, relayProgram, sshArgs } from "../support/programs.ts";
import { screen } from "../support/screen.ts";

let relay: string;
let agent: AgentProgram;
before(async () => {
  relay = (await relayProgram()).url;
  agent = await agentProgram(relay);
  writeFileSync(join(agent.dir, ".hold"), "");
});
after(endPrograms);

const plain = (args: readonly string[]): string[] => [...args.slice(0, -1), "-tt", "job@agent"];

/** What `stty -a` says in a session from a terminal that was set up before. */
async function modes(setting: string, ssh: readonly string[]): Promise<string> {
  const line = `stty ${setting}; exec "$@" 'stty -a; echo ov""er'`;
  const shown = screen("/bin/sh", ["-c", line, "sh", "ssh", ...ssh]);
  const text = await shown.see(/speed [\s\S]*over/);
  assert.equal(await shown.exited, 0, text);
  // What a client does not send, and where servers differ: nobody will notice.
  return text
    .replaceAll("\r", "")
    .replace(/-?\bhupcl /, "")
    .replace(/-?\bbrkint /, "");
}

/** Arguments that lead to one of Debian's sshd for one connection. */
async function toSshd(): Promise<string[]> {
  const dir = folder();
  const hostKey = join(dir, "host");
  const made = program("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", hostKey]);
  assert.equal((await finished(made)).status, 0);
  const config = join(dir, "config");
  const lines = [
    `AuthorizedKeysFile ${join(agent.dir, ".authorized_keys")}`,
    ...["StrictModes no", "UsePAM no", "PermitRootLogin yes", "PidFile none"],
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  // It wants a folder below /run, which is made where nobody else sees it.
  const line = `mount -t tmpfs none /run; mkdir /run/sshd; exec /usr/sbin/sshd -i -f ${config} -h ${hostKey}`;
  const options = sshArgs(agent).filter((one) => !one.startsWith("-oProxyCommand"));
  return [
    `-oProxyCommand=unshare --mount sh -ec '${line}'`,
    ...options.slice(0, -1),
    "-tt",
    "root@sshd",
  ];
}

for (const setting of [
  "erase ^H intr ^X -echo -icrnl",
  "sane",
  "-ixon ixoff tostop -echoctl kill ^- eol ';' eol2 '$' start 200 werase 8 ispeed 9600 ospeed 9600",
  "-icanon -isig -iexten -opost istrip -iutf8",
])
  test(`stty ${setting}: the terminal in the job is the same as with sshd`, async () => {
    const [with_, ours] = [
      await modes(setting, await toSshd()),
      await modes(setting, plain(sshArgs(agent))),
    ];
    assert.equal(ours, with_);
    if (setting.startsWith("erase"))
      for (const word of ["erase = ^H;", "intr = ^X;", " -echo ", " -icrnl "])
        assert.ok(ours.includes(word), `${word} in ${ours}`);
  });

for (const [name, hasAddon] of [
  ["the addon's", true],
  ["util-linux's script", false],
] as const)
  test(`scripts find ssh's variables as they expect them: a terminal of ${name}`, async () => {
    const file = join(folder(), "no-addon.cjs");
    writeFileSync(file, 'process.dlopen = () => { throw new Error("no addon"); };\n');
    const env: Record<string, string> = hasAddon ? {} : { NODE_OPTIONS: `--require ${file}` };
    const other = await agentProgram(relay, [], { env });
    const line = 'test "$SSH_TTY" = "$(tty)" && echo "$SSH_TTY, $SSH_CLIENT, $SSH_CONNECTION."';
    const shown = screen("ssh", [...plain(sshArgs(other)), line]);
    await shown.see(/\/dev\/pts\/\d+, 127\.0\.0\.1 65535 22, 127\.0\.0\.1 65535 127\.0\.0\.1 22\./);
    assert.equal(await shown.exited, 0);
  });

test("the same on a terminal of util-linux's script", async () => {
  const file = join(folder(), "no-addon.cjs");
  writeFileSync(file, 'process.dlopen = () => { throw new Error("no addon"); };\n');
  const other = await agentProgram(relay, [], { env: { NODE_OPTIONS: `--require ${file}` } });
  const said = await modes("erase ^H intr ^X -echo -icrnl", plain(sshArgs(other)));
  for (const word of ["erase = ^H;", "intr = ^X;", " -echo ", " -icrnl "])
    assert.ok(said.includes(word), `${word} in ${said}`);
});

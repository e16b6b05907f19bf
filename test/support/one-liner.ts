/** One-liner: what a job pastes to let people in, and a person who comes in by it. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { finished, type Program } from "./child.ts";
import { jobFolder, type RelayProgram } from "./programs.ts";
import { screen } from "./screen.ts";
import { built } from "./shipped.ts";

type Relay = Pick<RelayProgram, "url">;

export const clean = { PATH: "/usr/local/bin:/usr/bin:/bin" };
/** The line that the usage page prints for a job. */
export const oneLiner = (url: string, args: string): string =>
  `{ curl -fsSL ${url}/agent.sh || wget -qO- ${url}/agent.sh || echo exit 3; } | sh -s -- ${args}`;

/** ssh's arguments for an agent under an id that allows the key. */
export const sshTo = (relay: Relay, id: string, keyFile: string): string[] => [
  "-F/dev/null",
  `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${relay.url}/client/${id}`,
  "-oUserKnownHostsFile=/dev/null",
  "-oStrictHostKeyChecking=accept-new",
  "-oIdentitiesOnly=yes",
  "-i",
  keyFile,
  `job@${id}`,
];

/** A person in the session: a terminal that is resized, and a shell that ends with 7. */
export async function useTerminal(relay: Relay, id: string, keyFile: string): Promise<void> {
  const shell = screen("ssh", ["-tt", ...sshTo(relay, id, keyFile)]);
  try {
    await shell.see(/[$#] /);
    shell.type("stty size; tty\r");
    await shell.see("24 80");
    await shell.see("/dev/pts/");
    shell.resize(101, 37);
    shell.type("while [ \"$(stty size)\" != '37 101' ]; do sleep 0.05; done; echo re''sized\r");
    await shell.see("resized");
    shell.type("echo $((40+2)) in $agentdir; exit 7\r");
    await shell.see(/42 in \S+/);
    assert.equal(await shell.exited, 7);
  } finally {
    try {
      process.kill(shell.pid, "SIGKILL");
    } catch {
      // it ended by itself, as it should
    }
  }
}

/** A root with a key for the job, and the key. */
export function withKey(dir: string): string {
  const { dir: keys, keyFile } = jobFolder();
  writeFileSync(
    join(dir, "job/.authorized_keys"),
    readFileSync(join(keys, ".authorized_keys"), "utf8"),
  );
  return keyFile;
}

export const ended = async (agent: Program): Promise<void> => {
  const { status, err, out } = await finished(agent);
  assert.equal(status, 0, err + out);
};

/** Ssh through: an ssh through wsproxy, with the flags and environment that a story is about. */
import type { Agent } from "./agent.ts";
import { program } from "./child.ts";
import { built } from "./shipped.ts";
import type { World } from "./world.ts";

export function sshWith(
  world: World,
  agent: Agent,
  how: {
    flags?: string;
    env?: Record<string, string>;
    pin?: string | null;
    command?: string[];
    input?: "open";
    /** Say wsproxy's own status on stderr. */
    tellStatus?: boolean;
  },
) {
  const { flags = "", env = {}, pin = agent.fingerprint, command = ["echo in"] } = how;
  const proxy = `${process.execPath} ${built("wsproxy")} ${flags} ${pin === null ? "" : `--fingerprint ${pin}`} ${world.relay.url.href.replace(/\/$/, "")}/client/${agent.rendezvous()}`;
  const args = [
    "-F/dev/null",
    `-oProxyCommand=${how.tellStatus ? `sh -c '${proxy}; echo status $? >&2'` : proxy}`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-oBatchMode=yes",
    "-i",
    world.keyFile,
    "job@agent",
    ...command,
  ];
  return program("ssh", args, { env, ...(how.input && { input: how.input }) });
}

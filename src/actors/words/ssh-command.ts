/**
 * Ssh command: what leads an OpenSSH client to an agent, as the text of its options. Pure; quoting
 * for a shell is `quoting.ts`'s.
 */
import { sh, sshText } from "./quoting.ts";

export interface Destination {
  /** The relay's URL for the client, up to and including the id; or the relay's own, with a host. */
  readonly clientUrl: string;
  /** `SHA256:…`; null for none, and then nobody checks the agent's key. */
  readonly fingerprint: string | null;
  readonly insecure: boolean;
  /** On unix ssh gives its proxy command to a shell, on Windows to none. */
  readonly system: "unix" | "windows";
  /** More flags of wsproxy, as words. */
  readonly more?: readonly string[];
}

/**
 * What starts wsproxy. On Windows ssh gives its proxy command to CreateProcess, which completes a name
 * with `.exe` alone, and what is installed there is wsproxy.cmd.
 */
export const wsproxyOn = (system: Destination["system"]): string =>
  system === "unix" ? "wsproxy" : "cmd /c wsproxy";

/** The value of ProxyCommand (ssh_config(5)), where `%` begins an expansion. */
export function proxyCommand(to: Destination): string {
  const { clientUrl, fingerprint, insecure, system, more = [] } = to;
  const word = (text: string): string => sshText(system === "unix" ? sh.word(text) : text);
  return [
    wsproxyOn(system),
    ...(insecure ? ["--insecure"] : []),
    ...more.map(word),
    ...(fingerprint ? ["--fingerprint", fingerprint] : []),
    word(clientUrl),
  ].join(" ");
}

/** The file that swallows the new key of each run; the pin does the checking. */
export const nowhere = (system: Destination["system"]): string =>
  system === "unix" ? "/dev/null" : "NUL";

/**
 * A block for `~/.ssh/config`: for one agent, with which `ssh <alias>` works; or for all agents of a
 * relay, when `host` is a pattern and `id` null. ssh's own "Permanently added" would come at each login,
 * since each run has a new key. And its own signs of life would end it while the link is lost, which is
 * what wsproxy goes on without.
 */
export function sshConfig(host: string, id: string | null, to: Destination): string {
  // As it was typed, since ssh lower-cases %h; for a shell in quotes, which no valid name can end.
  const typed = to.system === "unix" ? "'%n'" : "%n";
  return [
    `Host ${host}`,
    ...(to.fingerprint === null
      ? ["  # unchecked: nothing tells whether the host key is the job's own; --fingerprint does"]
      : []),
    ...(id === null ? [] : [`  HostName ${id}`]),
    "  User job",
    `  ProxyCommand ${proxyCommand(to)}${id === null ? ` --host ${typed}` : ""}`,
    `  UserKnownHostsFile ${nowhere(to.system)}`,
    "  StrictHostKeyChecking accept-new",
    "  LogLevel ERROR",
    "  ServerAliveInterval 0",
    "",
  ].join("\n");
}

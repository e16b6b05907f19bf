/**
 * Ssh command: what leads an OpenSSH client to an agent, as the text of its options. Pure; quoting
 * for a shell is `quoting.ts`'s.
 */
import { sh, sshText } from "./quoting.ts";

export interface Destination {
  /** The relay's URL for the client, up to and including the id. */
  readonly clientUrl: string;
  /** `SHA256:…`; null for none, and then nobody checks the agent's key. */
  readonly fingerprint: string | null;
  readonly insecure: boolean;
  /** On unix ssh gives its proxy command to a shell, on Windows to none. */
  readonly system: "unix" | "windows";
  /** More flags of wsproxy, as words. */
  readonly more?: readonly string[];
}

/** The value of ProxyCommand (ssh_config(5)), where `%` begins an expansion. */
export function proxyCommand(to: Destination): string {
  const { clientUrl, fingerprint, insecure, system, more = [] } = to;
  const word = (text: string): string => sshText(system === "unix" ? sh.word(text) : text);
  return [
    "wsproxy",
    ...(insecure ? ["--insecure"] : []),
    ...more.map(word),
    ...(fingerprint ? ["--fingerprint", fingerprint] : []),
    word(clientUrl),
  ].join(" ");
}

/** The file that swallows the new key of each run; the pin does the checking. */
export const nowhere = (system: Destination["system"]): string =>
  system === "unix" ? "/dev/null" : "NUL";

/** A block for `~/.ssh/config`, so that `ssh <alias>` works. */
export function sshConfig(alias: string, id: string, to: Destination): string {
  return [
    `Host ${alias}`,
    `  HostName ${id}`,
    "  User job",
    `  ProxyCommand ${proxyCommand(to)}`,
    `  UserKnownHostsFile ${nowhere(to.system)}`,
    "  StrictHostKeyChecking accept-new",
    "",
  ].join("\n");
}

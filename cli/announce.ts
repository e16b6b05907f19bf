/**
 * Announce: what the agent says on stdout, as text for the people who read the job's log or as
 * JSON, one object a line, for programs.
 */
import type { AgentNews } from "../src/actors/ports.ts";
import { spoken } from "../src/actors/words/sentences.ts";

const rule = "=".repeat(78);

/** The ssh command that reaches this agent, to be pasted as it is. */
export function sshCommand(
  { id, clientUrl, fingerprint }: Extract<AgentNews, { event: "ready" }>,
  system: "unix" | "windows",
  insecure: boolean,
): string {
  const none = system === "windows" ? "NUL" : "/dev/null";
  const proxy = `wsproxy${insecure ? " --insecure" : ""} --fingerprint ${fingerprint} ${clientUrl}`;
  return `ssh -oProxyCommand="${proxy}" -oUserKnownHostsFile=${none} -oStrictHostKeyChecking=accept-new job@${id}`;
}

/** Text for people. */
export function textFor(news: AgentNews, insecure: boolean): string {
  switch (news.event) {
    case "ready": {
      const isOther = news.id !== news.asked;
      return [
        rule,
        "  Converge: this job can be entered by ssh",
        ...(isOther ? [`  NOTE: the id ${news.asked} is taken. Use the one below!`] : []),
        "",
        `  rendez-vous id   ${news.id}`,
        `  host key         ${news.fingerprint}`,
        "",
        "  Linux, macOS:",
        `  ${sshCommand(news, "unix", insecure)}`,
        "",
        "  Windows:",
        `  ${sshCommand(news, "windows", insecure)}`,
        rule,
      ].join("\n");
    }
    case "client joined":
    case "client left":
    case "client lost":
      return `converge: ${news.event}: ${news.who}`;
    case "warning":
      return `converge: ends in ${spoken(news.leftMs)} (${news.cause})`;
    case "relay lost":
      return `converge: relay lost (${news.why}), looking for it`;
    case "relay found":
      return "converge: the relay is back";
    case "relay ending": {
      const often = news.times ? ` (said ${news.times} times)` : "";
      return `converge: the relay restarts in ${spoken(news.leftMs)}; sessions are cut then, and the agent comes back${often}`;
    }
    case "ended":
      return `converge: ended: ${news.ending}`;
  }
}

/** One JSON object for programs; `ready` carries the commands too. */
export function jsonFor(news: AgentNews, insecure: boolean): string {
  if (news.event !== "ready") return JSON.stringify(news);
  return JSON.stringify({
    ...news,
    ssh: sshCommand(news, "unix", insecure),
    sshWindows: sshCommand(news, "windows", insecure),
  });
}

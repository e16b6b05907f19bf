/**
 * Announce: what the agent says on stdout, as text for the people who read the job's log or as
 * JSON, one object a line, for programs.
 */
import type { AgentNews, MayLogIn } from "../src/actors/ports.ts";
import { sh } from "../src/actors/words/quoting.ts";
import { spoken } from "../src/actors/words/sentences.ts";
import { wsproxyOn } from "../src/actors/words/ssh-command.ts";

const rule = "=".repeat(78);
/** Keys that are named; how many more there are is told. */
const keysNamed = 10;

type Ready = Extract<AgentNews, { event: "ready" }>;

/**
 * The ssh command that reaches this agent, to be pasted as it is. ssh would else say at each login that
 * it permanently added a key.
 */
export function sshCommand(
  { id, clientUrl, fingerprint }: Ready,
  system: "unix" | "windows",
  insecure: boolean,
): string {
  const none = system === "windows" ? "NUL" : "/dev/null";
  const proxy = `${wsproxyOn(system)}${insecure ? " --insecure" : ""} --fingerprint ${fingerprint} ${clientUrl}`;
  return `ssh -oProxyCommand="${proxy}" -oUserKnownHostsFile=${none} -oStrictHostKeyChecking=accept-new -oLogLevel=ERROR -oServerAliveInterval=0 job@${id}`;
}

/** The relay's URL, of which the client's is one, without a slash at the end. */
const relayOf = ({ clientUrl }: Ready): string => clientUrl.replace(/\/client\/[^/]*$/, "");

/** The lines that get wsproxy from the relay. */
export function installCommand(
  ready: Ready,
  system: "unix" | "windows",
  insecure: boolean,
): string {
  const script = `${relayOf(ready)}/wsproxy.${system === "unix" ? "sh" : "ps1"}`;
  if (system === "unix") return `curl -fsSL${insecure ? "k" : ""} ${sh.word(script)} | sh`;
  const skip = insecure ? "-SkipCertificateCheck " : "";
  return `& ([scriptblock]::Create((irm ${skip}'${script}')))`;
}

/** The relay's page that writes every other command for this very agent. */
function usagePage(ready: Ready): string {
  const query = new URLSearchParams({ id: ready.id, fingerprint: ready.fingerprint });
  return `${relayOf(ready)}/usage?${query}`;
}

/** `14:05 UTC`, and the day when it is another than today's. */
function clockTime(iso: string, now = new Date()): string {
  const time = `${iso.slice(11, 16)} UTC`;
  return iso.slice(0, 10) === now.toISOString().slice(0, 10) ? time : `${iso.slice(0, 10)} ${time}`;
}

function keyLines(keys: readonly MayLogIn[]): string[] {
  const named = keys
    .slice(0, keysNamed)
    .map(({ comment, fingerprint }) => `    ${fingerprint}${comment && ` ${comment}`}`);
  const more = keys.length - keysNamed;
  return [
    `  Who may log in: ${keys.length === 1 ? "one key" : `${keys.length} keys`}`,
    ...named,
    ...(more > 0 ? [`    and ${more} more`] : []),
  ];
}

/** All that somebody needs who has nothing but this log. */
function box(ready: Ready, insecure: boolean): string {
  const isOther = ready.id !== ready.asked;
  return [
    rule,
    "  Converge: this job can be entered by ssh",
    ...(isOther ? [`  NOTE: the id ${ready.asked} is taken. Use the one below!`] : []),
    "",
    `  rendez-vous id   ${ready.id}`,
    `  host key         ${ready.fingerprint}`,
    "",
    "  Linux, macOS: once, to get wsproxy; then to come in",
    `  ${installCommand(ready, "unix", insecure)}`,
    `  ${sshCommand(ready, "unix", insecure)}`,
    "",
    "  Windows: once, in PowerShell; then to come in",
    `  ${installCommand(ready, "windows", insecure)}`,
    `  ${sshCommand(ready, "windows", insecure)}`,
    "",
    "  sftp, scp, rsync, VS Code:",
    `  ${usagePage(ready)}`,
    "",
    ...keyLines(ready.keys),
    "",
    `  It ends at ${clockTime(ready.endsAt)} if nobody comes, and when the last one leaves.`,
    "  To end it before that: cancel this step, or come in and leave.",
    rule,
  ].join("\n");
}

const waits: Record<Extract<AgentNews, { event: "waiting" }>["why"], string> = {
  held: ".hold is set",
  lost: "the last one's connection broke",
  lingering: "it lingers",
};

/** Text for people. */
export function textFor(news: AgentNews, insecure: boolean): string {
  switch (news.event) {
    case "ready":
      return box(news, insecure);
    case "client joined":
    case "client left":
    case "client lost":
    case "client detached":
    case "client resumed":
      return `converge: ${news.event}: ${news.who}`;
    case "waiting":
      return `converge: nobody is in; waiting until ${clockTime(news.endsAt)} (${waits[news.why]})`;
    case "hold set":
      return `converge: hold set: waits when everybody left, until ${clockTime(news.endsAt)} without activity`;
    case "hold cleared":
      return "converge: hold cleared: ends when the last one leaves";
    case "extended":
      return `converge: extended: ends at ${clockTime(news.endsAt)} without activity`;
    case "warning":
      return `converge: ends in ${spoken(news.leftMs)} (${news.cause})`;
    case "relay lost":
      return `converge: relay lost (${news.why}), looking for it`;
    case "relay found":
      return "converge: the relay is back";
    case "relay ending": {
      const often = news.times ? ` (said ${news.times} times)` : "";
      return `converge: the relay restarts in ${spoken(news.leftMs)}; sessions pause then, and go on when the agent is back${often}`;
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
    install: installCommand(news, "unix", insecure),
    installWindows: installCommand(news, "windows", insecure),
    usage: usagePage(news),
  });
}

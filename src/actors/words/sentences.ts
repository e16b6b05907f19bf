/**
 * Words: every sentence that a person reads in a terminal of a session, one line each.
 * It knows what is to be said, and not to whom.
 */
import type { Ending, Notice } from "../../machines/vocabulary.ts";

/** `2h 5m`, `10m`, `45s`: the two largest units that are not zero. */
export function spoken(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${unit}`)
    .join(" ");
}

/** A notice as one line, without the `[converge]` in front. */
export function wordsFor(notice: Notice): string {
  switch (notice.about) {
    case "expiry near":
      return notice.cause === "hard cap"
        ? `The job ends in ${spoken(notice.leftMs)}, its longest duration. Nothing extends it: save your work.`
        : `The session ends in ${spoken(notice.leftMs)} without activity. Press any key to extend it.`;
    case "expiry extended":
      return `Extended: the session now ends in ${spoken(notice.leftMs)} without activity.`;
    case "client joined":
      return `${notice.who} joined.`;
    case "client left":
      return `${notice.who} left.`;
    case "client lost":
      return `The connection of ${notice.who} was lost.`;
    case "hold set":
      return `.hold is set: the job waits when the last client leaves, and ends in ${spoken(notice.leftMs)} without activity.`;
    case "hold cleared":
      return ".hold is gone: the job ends when the last client leaves.";
    case "relay lost":
      return "The relay is lost; the agent is looking for it. This session goes on while its own connection does.";
    case "relay found":
      return "The relay is back: others can connect again.";
    case "relay ending":
      return `The relay restarts in ${spoken(notice.leftMs)}: this connection is cut then. Save your work and connect again afterwards; the agent waits.`;
    case "keys changed":
      return `${sentence(notice.what)} The next login obeys it.`;
    case "ending":
      return `${endingWords(notice.ending)} The job goes on without this session.`;
  }
}

/** Why an agent ended, as a sentence. */
export function endingWords(ending: Ending): string {
  switch (ending.kind) {
    case "last client left":
      return "The last client left.";
    case "inactivity":
      return "Nobody was active: the session ends now.";
    case "hard cap":
      return "The longest duration is reached: the session ends now.";
    case "interrupted":
      return "The agent was told to stop: the session ends now.";
  }
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

/** How to make a hold, and one that lasts. */
interface HoldCommands {
  readonly hold: string;
  readonly longer: string;
}

const gnuHold: HoldCommands = {
  hold: "touch $agentdir/.hold",
  longer: "touch -d '+2 hours' $agentdir/.hold",
};
const macHold: HoldCommands = {
  hold: "touch $agentdir/.hold",
  longer: "touch -t $(date -v+2H +%Y%m%d%H%M) $agentdir/.hold",
};
const powershellHold: HoldCommands = {
  hold: "ni $env:agentdir\\.hold -Force",
  longer: "(ni $env:agentdir\\.hold -Force).LastWriteTime = (Get-Date).AddHours(2)",
};
const cmdHold: HoldCommands = {
  hold: 'echo > "%agentdir%\\.hold"',
  // cmd itself cannot date a file.
  longer: `powershell -c "${powershellHold.longer}"`,
};
/** A folder of Windows has backslashes, and often spaces. */
const bashHold: HoldCommands = {
  hold: 'touch "$agentdir/.hold"',
  longer: "touch -d '+2 hours' \"$agentdir/.hold\"",
};

/** In the words of the shell that they are typed into. */
function holdCommands(platform: string, shell: string): HoldCommands {
  if (platform === "darwin") return macHold;
  if (platform !== "win32") return gnuHold;
  switch (shell.toLowerCase()) {
    case "cmd":
      return cmdHold;
    case "pwsh":
    case "powershell":
      return powershellHold;
    default:
      return bashHold;
  }
}

/** The help at login: how long, how to extend, how to hold, where `$agentdir` is. Ends in CR LF. */
export function helpText(about: {
  platform: string;
  /** Its name, as in `shells.ts`. */
  shell: string;
  agentdir: string;
  leftMs: number;
  timeoutMs: number;
  held: boolean;
}): string {
  const { hold, longer } = holdCommands(about.platform, about.shell);
  return [
    "[converge] You are in the job. Everybody sees that you are here, nobody what you type.",
    `[converge] It ends in ${spoken(about.leftMs)} unless somebody is active; each activity gives ${spoken(about.timeoutMs)} again.`,
    about.held
      ? "[converge] .hold is set: the job waits when the last client leaves."
      : `[converge] It ends when the last client leaves. To make it wait:  ${hold}`,
    `[converge] To hold it for two hours:  ${longer}`,
    `[converge] agentdir is ${about.agentdir}`,
    "",
  ].join("\r\n");
}

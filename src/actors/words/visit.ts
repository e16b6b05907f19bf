/**
 * Visit: what a person reads at the start of a shell, and the line at its end. Pure; it knows no
 * terminal, and gives none of its lines more columns than a narrow one has.
 */
import { spoken } from "./sentences.ts";

/** Columns of a line at login: as wide as mail, so that no terminal of 80 wraps it. */
const columnsMost = 78;

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
  // cmd itself cannot date a file. Short, so that it is one line to be pasted.
  longer: 'powershell "(ni $env:agentdir\\.hold -f).LastWriteTime=(date).AddHours(2)"',
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

/** `$agentdir`, as that shell writes it. */
function agentdirIn(platform: string, shell: string): string {
  if (platform !== "win32") return "$agentdir";
  const names: Record<string, string> = { cmd: "%agentdir%", bash: "$agentdir" };
  return names[shell.toLowerCase()] ?? "$env:agentdir";
}

export interface Visit {
  readonly platform: string;
  /** Its name, as in `shells.ts`. */
  readonly shell: string;
  readonly agentdir: string;
  /** The file of keys, a path. */
  readonly keysFile: string;
  readonly rendezvous: string;
  readonly leftMs: number;
  readonly timeoutMs: number;
  readonly held: boolean;
}

/**
 * The help at login: how to stay, leave, hold, let somebody in and copy a file, and where `$agentdir`
 * is. Lines of 78 columns at most, as long as a path has no characters of two; ends in CR LF.
 */
export function helpText(about: Visit): string {
  const { hold, longer } = holdCommands(about.platform, about.shell);
  const rows: [string, string][] = [
    [
      "stay",
      `any key gives ${spoken(about.timeoutMs)} again; nobody active: it ends in ${spoken(about.leftMs)}`,
    ],
    ["leave", "exit: the job goes on when the last one has left"],
    about.held
      ? ["hold", ".hold is set: the job waits when the last one leaves; remove it to go on"]
      : ["hold", `to make the job wait for you:  ${hold}`],
    ["longer", `for two hours:  ${longer}`],
    ["let in", `add a public key to ${inDir(about)}`],
    ["copy", `on your side, with ssh's own options:  scp … job@${about.rendezvous}:FILE .`],
    ["where", `agentdir is ${about.agentdir}`],
  ];
  return [
    "[converge] You are in the job. Others see that you are, not what you type.",
    ...rows.flatMap(([name, text]) => fitted(`[converge] ${name.padEnd(6)}  `, text)),
    "",
  ].join("\r\n");
}

/** The keys file, by the variable where it is in that folder. */
function inDir({ platform, shell, agentdir, keysFile }: Visit): string {
  const rest = keysFile.slice(agentdir.length);
  if (!keysFile.startsWith(agentdir) || !/^[/\\]/.test(rest)) return keysFile;
  return `${agentdirIn(platform, shell)}${rest}`;
}

/** One line, or several: what is long goes to lines of its own, broken between words or else cut. */
function fitted(start: string, text: string): string[] {
  if (start.length + text.length <= columnsMost) return [`${start}${text}`];
  const lines = [start.trimEnd()];
  // Commands stand behind two blanks, and stay whole where they can be.
  for (const part of text.split(/ {2,}/)) {
    const room = columnsMost - indent.length;
    const words = part.length <= room ? [part] : part.split(/(?<=[ /\\])/);
    let line = "";
    for (const word of words) {
      if (line !== "" && line.length + word.trimEnd().length > room) {
        lines.push(`${indent}${line.trimEnd()}`);
        line = "";
      }
      line += word;
    }
    lines.push(`${indent}${line}`);
  }
  return lines.flatMap((line) => line.match(/.{1,78}/gu) ?? []);
}
const indent = "    ";

/** What the one who leaves is told: what the job does next. One line. */
export function leavingText(about: {
  readonly others: number;
  readonly held: boolean;
  readonly lingerMs: number;
  readonly leftMs: number;
}): string {
  const { others, held, lingerMs, leftMs } = about;
  if (others > 0)
    return `You leave; the job waits for ${others === 1 ? "one other" : `${others} others`}.`;
  if (held) return `You leave; .hold is set: the job waits, ${spoken(leftMs)} at most.`;
  if (lingerMs > 0) return `You leave; the job goes on in ${spoken(lingerMs)} if nobody comes.`;
  return "You leave; the job goes on.";
}

/**
 * Visit: what a person reads at the start of a shell, and the line at its end. Pure; it knows no
 * terminal, and gives none of its lines more columns than a narrow one has.
 */
import { spoken } from "./sentences.ts";

/** Columns of a line at login: as wide as mail, so that no terminal of 80 wraps it. */
const columnsMost = 78;

/** How to make and unmake a hold, in the words of each system's own shell. */
interface HoldCommands {
  readonly hold: string;
  readonly longer: string;
}
const holdCommands: Record<string, HoldCommands> = {
  win32: {
    hold: "cmd: type nul > %agentdir%\\.hold   PowerShell: ni $env:agentdir\\.hold -Force",
    longer: "PowerShell:  (ni $env:agentdir\\.hold -Force).LastWriteTime = (Get-Date).AddHours(2)",
  },
  darwin: {
    hold: "touch $agentdir/.hold",
    longer: "touch -t $(date -v+2H +%Y%m%d%H%M) $agentdir/.hold",
  },
};
const gnuHold: HoldCommands = {
  hold: "touch $agentdir/.hold",
  longer: "touch -d '+2 hours' $agentdir/.hold",
};

export interface Visit {
  readonly platform: string;
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
  const { hold, longer } = holdCommands[about.platform] ?? gnuHold;
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
function inDir({ platform, agentdir, keysFile }: Visit): string {
  const rest = keysFile.slice(agentdir.length);
  if (!keysFile.startsWith(agentdir) || !/^[/\\]/.test(rest)) return keysFile;
  return `${platform === "win32" ? "$env:agentdir" : "$agentdir"}${rest}`;
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

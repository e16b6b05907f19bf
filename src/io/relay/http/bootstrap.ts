/**
 * Bootstrap: the scripts that fetch, check and start our programs on a machine that has nothing.
 * The texts are files; here the relay's address and the hashes of what it serves are put in.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { powershell, sh } from "../../../actors/words/quoting.ts";
import type { DownloadFile } from "./downloads.ts";

export const bootstraps = ["agent.sh", "wsproxy.sh", "agent.ps1", "wsproxy.ps1"] as const;
export type Bootstrap = (typeof bootstraps)[number];
type Served = Pick<DownloadFile, "name" | "sha256">;

/**
 * A function that writes a script for a relay at `base` (a URL without a slash at the end, maybe
 * from a stranger's Host header) that serves `files`. Reads `run.sh` and `run.ps1` of the folder.
 */
export function bootstrapsIn(
  folder: string,
): (name: Bootstrap, base: string, files: readonly Served[]) => string {
  const texts = {
    sh: readFileSync(join(folder, "run.sh"), "utf8"),
    ps1: readFileSync(join(folder, "run.ps1"), "utf8"),
  };
  return (name, base, files) => {
    const [program = "", kind = ""] = name.split(".");
    const isSh = kind === "sh";
    const { word } = isSh ? sh : powershell;
    // File names and hashes are of letters, digits, dots and dashes: see downloads.ts.
    const line = isSh
      ? ({ name, sha256 }: Served) => `  ${name}) echo ${sha256} ;;`
      : ({ name, sha256 }: Served) => `  '${name}' = '${sha256}'`;
    const values: Record<string, string> = {
      PROGRAM: isSh ? program : `'${program}'`,
      RELAY: word(base),
      SUMS: files.map(line).join("\n"),
    };
    return texts[isSh ? "sh" : "ps1"].replace(
      /@(PROGRAM|RELAY|SUMS)@/g,
      (_, key) => values[key] ?? "",
    );
  };
}

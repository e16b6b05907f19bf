/** Screen: a program in a terminal of its own, as a person sees it. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTerminal } from "../../src/io/agent/shell/terminal.ts";
import { clean } from "./child.ts";
import { until } from "./until.ts";

export interface Screen {
  readonly pid: number;
  text(): string;
  /** Waits until the text after the last `see` holds this. */
  see(what: string | RegExp): Promise<string>;
  type(text: string): void;
  resize(cols: number, rows: number): void;
  readonly exited: Promise<number | null>;
}

/** Starts a program in a terminal of 80 by 24. */
export function screen(file: string, args: string[], env: Record<string, string> = {}): Screen {
  const path = (
    clean.PATH.split(":").find((folder) => existsSync(join(folder, file))) ?? ""
  ).concat(`/${file}`);
  const child = openTerminal({
    file: existsSync(file) ? file : path,
    args,
    cwd: tmpdir(),
    env: { ...clean, TERM: "xterm", ...env },
    cols: 80,
    rows: 24,
  });
  let text = "";
  let seen = 0;
  /** Without what is not seen by itself: colours and weight. */
  const shown = (): string => text.replace(/\p{Cc}\[[\d;]*m/gu, "");
  child.stdout.on("data", (data: Buffer) => {
    text += data.toString();
  });
  return {
    pid: child.pid ?? 0,
    text: () => text,
    see: async (what) => {
      const find = (): { index: number; length: number } | null => {
        const rest = shown().slice(seen);
        if (typeof what === "string")
          return rest.includes(what) ? { index: rest.indexOf(what), length: what.length } : null;
        const match = what.exec(rest);
        return match ? { index: match.index, length: match[0].length } : null;
      };
      const found = await until(`${what} on the screen`, find).catch((error) => {
        throw new Error(`${error.message}; there was: ${JSON.stringify(text.slice(-600))}`);
      });
      const start = seen + found.index;
      seen = start + found.length;
      return shown().slice(start, seen);
    },
    type: (keys) => void child.stdin.write(keys),
    resize: child.resize,
    exited: child.exited.then(({ code }) => code),
  };
}

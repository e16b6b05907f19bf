/**
 * Tmux: a real terminal of 80 by 24 that a test can look at, cell by cell. Each has a server of its
 * own, in a folder of its own.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sh } from "../../src/actors/words/quoting.ts";
import { until } from "./until.ts";

export interface Tmux {
  /** Types a text as it is. */
  type(text: string): void;
  /** Presses keys by tmux's names, such as `C-l` and `Enter`. */
  press(...keys: string[]): void;
  /** The rows of the screen, with attributes where asked for. */
  rows(withAttributes?: boolean): string[];
  /** A format of tmux's, such as `#{cursor_x}`. */
  tell(format: string): string;
  /** Waits until a row holds this. */
  see(what: string | RegExp): Promise<void>;
  /** Waits until the screen is the same for several looks, and gives it. */
  settled(): Promise<string[]>;
  close(): void;
}

/** Looks that must agree before a screen counts as settled; some 15 ms each, and tmux's own start. */
const looksAlike = 12;

/** Runs a program in a terminal of its own, where nothing of the test's own environment is left. */
export function openTmux(
  file: string,
  args: readonly string[],
  { cols = 80, rows = 24, term = "tmux-256color" } = {},
): Tmux {
  const dir = mkdtempSync(join(tmpdir(), "converge-tmux-"));
  const tmux = (...words: string[]): string =>
    execFileSync("tmux", ["-f/dev/null", "-S", join(dir, "socket"), ...words], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"] ?? "", HOME: dir, LANG: "C.UTF-8", SHELL: "/bin/sh" },
      stdio: ["ignore", "pipe", "pipe"],
    });
  const line = `TERM=${term} ${[file, ...args].map(sh.word).join(" ")}`;
  tmux(
    ...["set", "-g", "remain-on-exit", "on", ";", "set", "-g", "status", "off", ";"],
    ...["new-session", "-d", "-x", String(cols), "-y", String(rows), line],
  );
  const rowsNow = (withAttributes = false): string[] =>
    tmux("capture-pane", "-p", ...(withAttributes ? ["-e"] : []))
      .split("\n")
      .slice(0, rows);
  return {
    type: (text) => void tmux("send-keys", "-l", "--", text),
    press: (...keys) => void tmux("send-keys", ...keys),
    rows: rowsNow,
    tell: (format) => tmux("display-message", "-p", format).trimEnd(),
    see: async (what) => {
      await until(`${what} on the screen`, () =>
        typeof what === "string"
          ? rowsNow().some((row) => row.includes(what))
          : rowsNow().some((row) => what.test(row)),
      ).catch((error: Error) => {
        throw new Error(`${error.message}; there was:\n${rowsNow().join("\n")}`);
      });
    },
    settled: async () => {
      let last = "";
      let alike = 0;
      await until("a screen that stays as it is", () => {
        const now = rowsNow(true).join("\n");
        alike = now === last ? alike + 1 : 0;
        last = now;
        return alike >= looksAlike;
      });
      return last.split("\n");
    },
    close: () => {
      try {
        tmux("kill-server");
      } catch {
        // it went with its last window
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

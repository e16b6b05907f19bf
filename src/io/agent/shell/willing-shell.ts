/**
 * Willing shell: the first shell that does what it is told. Windows has programs by a shell's name
 * that only say where to get it, or nothing at all (a bash without a distribution, an alias of the
 * store), so one is tried there before anybody meets it. Elsewhere the first that is there is taken.
 */
import { spawn } from "node:child_process";
import { win32 } from "node:path";
import { reasonOf } from "../../../actors/errors.ts";
import type { Log } from "../../../actors/ports.ts";
import { commandArgs, findShell, type Shell, type ShellSearch } from "./shells.ts";

/** No program ends with it by accident. */
const agreed = 41;

/** A shell that takes longer to start is slow, and is taken. */
const longestMs = 10_000;

/**
 * The first shell that runs a command. When none does it is the first that is there. Rejects with
 * CONVERGE_NO_SHELL when there is none.
 */
export async function findWillingShell(search: ShellSearch, log: Log): Promise<Shell> {
  const first = findShell(search);
  if (process.platform !== "win32") return first;
  const passedOver = new Set<string>();
  for (let shell: Shell | null = first; shell; ) {
    const why = await unwilling(shell, search);
    if (why === null) return shell;
    log.warn({ shell: shell.path, why }, "shell passed over: it runs no commands");
    passedOver.add(shell.path);
    shell = another(search, passedOver);
  }
  return first;
}

function another(search: ShellSearch, passedOver: ReadonlySet<string>): Shell | null {
  try {
    return findShell({ ...search, passedOver });
  } catch {
    return null;
  }
}

/** Why a shell is no good, or null. */
function unwilling(shell: Shell, { env }: ShellSearch): Promise<string | null> {
  return new Promise((resolve) => {
    try {
      const child = spawn(shell.path, commandArgs(shell, `exit ${agreed}`), {
        env: { ...env },
        stdio: "ignore",
        timeout: longestMs,
        windowsHide: true,
        windowsVerbatimArguments: win32.basename(shell.path).toLowerCase() === "cmd.exe",
      });
      child.once("error", ({ message }) => resolve(message));
      // Without a code it was the time that ended it.
      child.once("exit", (code) =>
        resolve(code === agreed || code === null ? null : `it ended with ${code}`),
      );
    } catch (thrown) {
      resolve(reasonOf(thrown));
    }
  });
}

/**
 * Join: wsproxy's own standard input and output, joined with a relay.
 */

import { connect } from "../src/io/client/connect.ts";
import { type LinkNotice, linkNotice } from "../src/io/client/link-notice.ts";
import type { ProxyCommandConfig } from "../src/io/client/proxy-command.ts";
import { openStdio } from "../src/io/client/stdio.ts";
import { systemClock } from "../src/io/clock.ts";
import { standardError } from "../src/io/standard-output.ts";
import { terminalText } from "../src/io/text.ts";

export type Say = (sentence: string) => void;

/** Where ssh holds the terminal, only a return goes back to the first column; elsewhere it is nothing. */
const newline = standardError.isTerminal ? "\r\n" : "\n";

/** Speaks to people, on standard error. */
export const sayer =
  (isQuiet: boolean): Say =>
  (sentence) => {
    if (!isQuiet) standardError.write(terminalText(`[converge] ${sentence}\n`, newline));
  };

/** How long a session may be without a link, if nothing else is said. */
export const resumeMs = 600_000;

/** On standard error, where that is a terminal. */
export const terminalNotice = (): LinkNotice | null =>
  standardError.isTerminal
    ? linkNotice({
        get columns() {
          return process.stderr.columns ?? 0;
        },
        write: standardError.write,
      })
    : null;

/** What ssh needs to say that it leaves, when Ctrl-C reaches it and us at once. */
const farewellMs = 1_000;

/** Runs until either side ends; the exit status, or an error as `connect` has it. */
export async function join(
  config: ProxyCommandConfig,
  say: Say,
  signal: AbortSignal,
): Promise<number> {
  const stdio = openStdio();
  await connect(config, stdio, say, systemClock, afterSsh(signal)).finally(() => {
    stdio.input.destroy();
    stdio.output.end();
  });
  return 0;
}

/** The signal, late: ssh gets it too, takes its leave through us, and then ends our input. */
function afterSsh(signal: AbortSignal): AbortSignal {
  const late = new AbortController();
  signal.addEventListener("abort", () => {
    setTimeout(() => late.abort(), process.stdin.isTTY ? 0 : farewellMs).unref();
  });
  return late.signal;
}

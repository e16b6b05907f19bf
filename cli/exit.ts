/**
 * Exit: one table of exit statuses, and the last words on stderr.
 * ssh shows 255 for every failed proxy command, so the sentence matters more than the number.
 */
import { ConvergeError, type ErrorCode, reasonOf } from "../src/actors/errors.ts";
import { standardError, standardOutput } from "../src/io/standard-output.ts";
import { plainText, terminalText } from "../src/io/text.ts";

const statuses: Record<ErrorCode, number> = {
  CONVERGE_INTERNAL: 1,
  CONVERGE_USAGE: 2,
  CONVERGE_NO_SHELL: 2,
  CONVERGE_NO_KEYS: 2,
  CONVERGE_HOST_KEY: 2,
  CONVERGE_LISTEN: 2,
  CONVERGE_LISTEN_METRICS: 2,
  CONVERGE_UNREACHABLE: 3,
  CONVERGE_LOST: 3,
  CONVERGE_ENDED: 7,
  CONVERGE_PROXY: 3,
  CONVERGE_TLS: 4,
  CONVERGE_PLAIN: 4,
  CONVERGE_VERSION: 5,
  CONVERGE_REFUSED: 6,
  CONVERGE_NO_AGENT: 7,
  CONVERGE_WAITED: 7,
  CONVERGE_FINGERPRINT: 8,
  CONVERGE_AGENT_SILENT: 9,
};

/** The exit status of an error. */
export const statusOf = (code: ErrorCode): number => statuses[code];

/** For the ordinary end of a program that has failed inside: 8 s of an agent's, and some more. */
const endMostMs = 15_000;
/** Frames of an error's stack that are shown, each cut to a line. */
const framesMost = 3;
/** What a reader that is late has to take our last lines. */
const lastMs = 1_000;

const signalStatuses = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Runs a program to its exit status. Every error becomes one sentence, on stderr. */
export async function main(run: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController();
  let bySignal = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => {
      if (bySignal > 0) process.exit(signalStatuses[name]); // the second one ends now
      bySignal = signalStatuses[name];
      stop.abort(name);
    });
  let hasFailed = false;
  // No means to live on: what nobody caught is a fault of ours, and nobody knows what it left undone.
  // So people are told, sessions hung up and links closed, as at any end.
  const fail = (error: unknown): void => {
    if (hasFailed) return; // of the end itself, which is bounded
    hasFailed = true;
    standardError.write(lastFault(error));
    setTimeout(() => process.exit(1), endMostMs).unref();
    stop.abort("fault");
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  let status: number;
  try {
    status = await run(stop.signal);
  } catch (error) {
    status = await lastWords(error);
  }
  process.exitCode = hasFailed ? 1 : bySignal > 0 && status === 0 ? bySignal : status;
  // Whoever reads our output may have stopped reading; that ends nothing, and holds up nothing.
  await Promise.all([standardOutput, standardError].map((output) => output.drained(lastMs)));
}

/** One sentence and the first frames, without the source line that Node puts before them. */
function lastFault(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  const shown = frames.slice(0, framesMost).map((line) => `  ${plainText(line.trim())}\n`);
  const sentence = new ConvergeError("CONVERGE_INTERNAL", plainText(reasonOf(error))).message;
  return [`converge: ${sentence}\n`, ...shown].join("");
}

/** By its code and not by its class: not every program has to load commander. */
function isCommanders(error: unknown): error is Error & { exitCode: number } {
  return error instanceof Error && String(Reflect.get(error, "code")).startsWith("commander.");
}

async function lastWords(error: unknown): Promise<number> {
  // Commander has printed its own sentence, or the help that was asked for.
  if (isCommanders(error)) return error.exitCode === 0 ? 0 : 2;
  // In a terminal ssh may hold it, and then only a return goes back to the first column.
  const newline = standardError.isTerminal ? "\r\n" : "\n";
  if (error instanceof ConvergeError) {
    const isCut = error.code === "CONVERGE_LOST" && standardError.isTerminal;
    // Loaded late: every ssh waits for wsproxy to start.
    const clean = isCut ? (await import("../src/io/client/hand-back.ts")).handBack() : "";
    standardError.write(`${clean}${terminalText(`converge: ${error.message}\n`, newline)}`);
    return statuses[error.code];
  }
  const sentence = new ConvergeError("CONVERGE_INTERNAL", reasonOf(error)).message;
  standardError.write(terminalText(`converge: ${sentence}\n`, newline));
  if (process.env["CONVERGE_LOG_LEVEL"] === "debug" && error instanceof Error)
    standardError.write(terminalText(`${error.stack}\n`, newline));
  return 1;
}

/**
 * Log: one JSON line for each thing that happened, on stderr; text where a person watches a terminal. Facts about
 * sessions, never their content. Which lines there are is in docs/log-schema.json.
 */
import { type DestinationStream, pino } from "pino";
import type { Log } from "../actors/ports.ts";
import type { LogLevel } from "./log-levels.ts";
import { standardError } from "./standard-output.ts";

/**
 * Fields that must never be readable, should any line ever come to have one: what opens a door
 * (tickets, answers to challenges), and what HTTP requests carry for others.
 */
const secrets = ["ticket", "nonce", "signature", "key", "authorization", "cookie", "password"];

/** Where lines go: standard error, or a test's own sink; `isTerminal` asks for text. */
export interface LogSink {
  readonly isTerminal: boolean;
  write(line: string): void;
}

/** Lines that were lost are a line as well. */
function stderrOf(program: string): LogSink {
  if (!standardError.isTerminal)
    standardError.tellLostAs((lost) => {
      const time = new Date().toISOString();
      return `${JSON.stringify({ level: "warn", time, program, lost, msg: "log lines lost" })}\n`;
    });
  return standardError;
}

export function openLog(program: string, level: LogLevel, sink = stderrOf(program)): Log {
  const destination: DestinationStream = sink.isTerminal
    ? { write: (line) => sink.write(textOf(line)) }
    : sink;
  return pino(
    {
      base: { program },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: secrets.flatMap((name) => [name, `*.${name}`]),
        censor: "[redacted]",
      },
    },
    destination,
  );
}

/** A JSON line as text: `10:42:07 info client logged in id=job-7 client=192.0.2.1`. */
function textOf(line: string): string {
  const { time, level, msg, program: _, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${wordOf(value)}`);
  return `${[String(time).slice(11, 19), level, msg, ...shown].join(" ")}\n`;
}

/** Bare when it is one plain word; JSON, which has no control characters, in every other case. */
function wordOf(value: unknown): string {
  return typeof value === "string" && /^[\w.:/+-]+$/.test(value) ? value : JSON.stringify(value);
}

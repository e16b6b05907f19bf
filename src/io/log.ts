/** Log: pino's JSON on stderr. Facts about sessions, never their content; keys are not fields here. */
import { pino } from "pino";
import type { Log } from "../actors/ports.ts";

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Synchronous, so that the last line before an exit is not lost. */
export function openLog(program: string, level: LogLevel): Log {
  return pino(
    { base: { program }, level, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}

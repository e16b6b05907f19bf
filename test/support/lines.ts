/** Lines: a log that a test can read. */
import type { Log } from "../../src/actors/ports.ts";

export interface Lines extends Log {
  readonly lines: { readonly message: string; readonly fields: Record<string, unknown> }[];
}

/** A log that a test can read. */
export function lines(): Lines {
  const lines: Lines["lines"] = [];
  const add = (fields: object, message: string): void => {
    lines.push({ message, fields: { ...fields } });
  };
  return { lines, debug: () => {}, info: add, warn: add, error: add };
}

/**
 * Standard output and standard error, as lines for people and programs. Whoever writes here never
 * waits and never fails: what nobody takes is kept up to a bound, what cannot be written is lost and
 * counted, and the count is told as soon as there is room again. It knows nothing of what a line says.
 */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { isatty } from "node:tty";

/** What may wait for a reader: some thousand lines. */
const queueMostBytes = 256 * 1024;
/** How often it is looked whether a reader has taken something. */
const retryMs = 50;

export interface LineOutput {
  readonly isTerminal: boolean;
  /** Writes one line, which ends in a newline. */
  write(line: string): void;
  /** In what words the number of lines that were lost is told. */
  tellLostAs(words: (lost: number) => string): void;
  /** Resolves when nothing waits any more, or after so many milliseconds. */
  drained(mostMs: number): Promise<void>;
}

/** Keeps descriptors whose flag was set that way from being closed. */
const kept: Socket[] = [];

/**
 * A descriptor for the same place that never blocks. A pipe and a terminal are opened anew where
 * there is `/proc`, for a flag set on the old description would be set for all that share it, such as
 * the other programs of the job; a file is not, for it would begin at its start.
 */
function unblocked(fd: number): number {
  if (process.platform === "win32") return fd;
  const stat = fstatSync(fd);
  const isPipe = stat.isFIFO();
  if (isPipe || stat.isCharacterDevice())
    try {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch {
      // no /proc, a pipe of another user, or one that nobody reads any more
    }
  // libuv sets the flag, and nothing is ever written through it.
  if (isPipe || stat.isSocket()) kept.push(new Socket({ fd, readable: false }).unref());
  return fd;
}

/** Lines to a descriptor, which is looked at with the first of them, since some programs never write one. */
export function lineOutput(fd: number): LineOutput {
  let target: number | null = null;
  let words = (lost: number): string => `converge: ${lost} lines were lost here\n`;
  let lost = 0;
  /** A line was cut in its middle, and the next one begins on its own. */
  let isTorn = false;
  const queue: Buffer[] = [];
  let queuedBytes = 0;

  /** How many bytes were taken; null when this cannot be written at all. */
  const put = (bytes: Buffer): number | null => {
    let at = 0;
    try {
      target ??= unblocked(fd);
      if (isTorn) writeSync(target, "\n");
      isTorn = false;
      while (at < bytes.length) at += writeSync(target, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return at;
      isTorn ||= at > 0;
      return null;
    }
    return at;
  };
  const keep = (bytes: Buffer): void => {
    if (queue.length === 0) setTimeout(retry, retryMs).unref();
    queue.push(bytes);
    queuedBytes += bytes.length;
  };
  /** Writes what can be written of it, and keeps the rest; false when it is lost. */
  const send = (text: string): boolean => {
    const bytes = Buffer.from(text);
    const taken = put(bytes);
    if (taken !== null && taken < bytes.length) keep(bytes.subarray(taken));
    return taken !== null;
  };
  const retry = (): void => {
    for (;;) {
      const [first] = queue;
      if (!first) break;
      const taken = put(first);
      if (taken !== null && taken < first.length) {
        queue[0] = first.subarray(taken);
        queuedBytes -= taken;
        setTimeout(retry, retryMs).unref();
        return;
      }
      if (taken === null) lost += 1;
      queue.shift();
      queuedBytes -= first.length;
    }
    tellLost();
  };
  const tellLost = (): void => {
    if (lost > 0 && send(words(lost))) lost = 0;
  };

  return {
    isTerminal: isatty(fd),
    write: (line) => {
      if (queue.length === 0) tellLost();
      if (queuedBytes + line.length > queueMostBytes) lost += 1;
      else if (queue.length > 0) keep(Buffer.from(line));
      else if (!send(line)) lost += 1;
    },
    tellLostAs: (as) => {
      words = as;
    },
    drained: async (mostMs) => {
      const end = performance.now() + mostMs;
      while (queue.length > 0 && performance.now() < end)
        await new Promise((resolve) => {
          setTimeout(resolve, 10);
        });
    },
  };
}

export const standardOutput = lineOutput(1);
export const standardError = lineOutput(2);

/**
 * Stdio: the two pipes between ssh and its proxy command.
 * Standard output is bytes for ssh and nothing else; what people read goes to standard error.
 */
import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

export interface Stdio {
  readonly input: Readable;
  readonly output: Writable;
  /** Whether whoever gave us these has ended, where that can be known otherwise than by them. */
  isOrphaned?(): boolean;
}

/**
 * The process's own pipes. Node says that `process.stdout` writes to a pipe synchronously (20 does
 * not, on Linux): a suspended ssh would then stop this whole process, pongs included. A socket on
 * the same descriptor never blocks.
 */
export function openStdio(): Stdio {
  const isPipe = (fd: number): boolean => {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  };
  const onWindows = process.platform === "win32";
  const parent = process.ppid; // ssh starts us with `exec`, so it is ssh itself
  return {
    isOrphaned: () => process.ppid !== parent,
    input: process.stdin,
    output:
      !onWindows && isPipe(1)
        ? new Socket({ fd: 1, readable: false, writable: true })
        : process.stdout,
  };
}

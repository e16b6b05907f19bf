/**
 * Processes: what the tests of terminals, commands and the reaper share. Linux only, as those tests.
 */
import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatedClock } from "xstate";
import type { Clock } from "../../src/actors/clock.ts";
import { allStats, statOf, wasStartedWith } from "../../src/io/agent/shell/proc.ts";

const mark = randomUUID();

/** The least a shell needs, and nothing of the machine that runs the tests. */
export const env: Readonly<Record<string, string>> = {
  PATH: process.env["PATH"] ?? "/usr/bin:/bin",
  LC_ALL: "C",
  PS1: "ready> ",
  TEST_MARK: mark,
};

/** A clock that a test moves. */
export class HandClock extends SimulatedClock implements Clock {
  wall(): number {
    return this.now();
  }
}

/** Waits for something visible; fails with its name after 10 s. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await delay(2);
  }
}

/** All of a stream. */
export async function all(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads a stream from now on; `text()` is what has come so far. */
export function heard(stream: Readable): { text(): string } {
  let so = "";
  stream.on("data", (chunk: Buffer) => {
    so += chunk.toString("latin1");
  });
  return { text: () => so };
}

/** Whether a process runs; one that has ended and waits for its parent does not. */
export function runs(pid: number): boolean {
  const state = statOf(pid)?.state ?? "Z";
  return state !== "Z" && state !== "X";
}

/** The pids of all running processes that satisfy a test of their stat. */
export function pidsWhere(test: (stat: ReturnType<typeof allStats>[number]) => boolean): number[] {
  return allStats()
    .filter(test)
    .map(({ pid }) => pid);
}

/** How many files this test process has open. */
export function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Ends what a failed test has left behind, for an `after`. */
export function killStrays(): void {
  for (const { pid } of allStats()) {
    if (wasStartedWith(pid, `TEST_MARK=${mark}`)) process.kill(pid, "SIGKILL");
  }
}

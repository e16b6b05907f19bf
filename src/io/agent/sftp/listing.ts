/**
 * Listings: what a client is told of a file, as attributes and as a line of `ls -l`.
 *
 * Does not know who asks, nor what the time is: `nowMs` is handed in.
 */
import type { Dir, Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import type { Attrs, Name } from "./attrs.ts";
import { type Account, accountsIn, entryPath, type LocalPath } from "./paths.ts";
import { codes, SftpError } from "./wire.ts";

const u32Max = 0xffff_ffff;

function seconds(ms: number): number {
  return Math.min(Math.max(Math.floor(ms / 1_000), 0), u32Max);
}

/** Version 3 has whole seconds from 1970 to 2106; other times are brought to the nearer end. */
export function attrsOf(stats: Stats): Attrs {
  return {
    size: stats.size,
    owner: { uid: stats.uid, gid: stats.gid },
    permissions: stats.mode,
    times: { atime: seconds(stats.atimeMs), mtime: seconds(stats.mtimeMs) },
  };
}

const typeLetters = new Map([
  [0o010000, "p"],
  [0o020000, "c"],
  [0o040000, "d"],
  [0o060000, "b"],
  [0o100000, "-"],
  [0o120000, "l"],
  [0o140000, "s"],
]);

/** `0o104755` → `-rwsr-xr-x`. */
export function modeText(mode: number): string {
  const triple = (shift: number, special: number, letter: string): string => {
    const bits = (mode >> shift) & 7;
    const runs = (bits & 1) !== 0;
    const plain = runs ? "x" : "-";
    const marked = runs ? letter : letter.toUpperCase();
    return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${mode & special ? marked : plain}`;
  };
  const type = typeLetters.get(mode & 0o170000) ?? "?";
  return `${type}${triple(6, 0o4000, "s")}${triple(3, 0o2000, "s")}${triple(0, 0o1000, "t")}`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const halfYearMs = 183 * 86_400_000;

/** `Mar  5 14:07`, or `Mar  5  2019` when that is half a year away; in this machine's zone. */
export function dateText(ms: number, nowMs: number): string {
  const date = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  const isNear = ms > nowMs - halfYearMs && ms <= nowMs + 60_000;
  const end = isNear
    ? `${two(date.getHours())}:${two(date.getMinutes())}`
    : String(date.getFullYear()).padStart(5);
  return `${months[date.getMonth()] ?? ""} ${String(date.getDate()).padStart(2)} ${end}`;
}

/** What a listing needs to be read by people. */
export interface Legend {
  readonly users: readonly Account[];
  readonly groups: readonly Account[];
  readonly nowMs: number;
}

/** Names for the ids of this machine; where it has no such files the ids are shown. */
export async function legendAt(nowMs: number): Promise<Legend> {
  const [users, groups] = await Promise.all([accountsIn("/etc/passwd"), accountsIn("/etc/group")]);
  return { users, groups, nowMs };
}

/** A line of `ls -l`, its columns as in OpenSSH. */
export function longname(name: Buffer, stats: Stats, { users, groups, nowMs }: Legend): Buffer {
  const who = (accounts: readonly Account[], id: number): string =>
    (accounts.find((account) => account.id === id)?.name ?? String(id)).padEnd(8);
  const owners = `${who(users, stats.uid)} ${who(groups, stats.gid)}`;
  const links = String(stats.nlink).padStart(4);
  const size = String(stats.size).padStart(8);
  const date = dateText(stats.mtimeMs, nowMs);
  const line = `${modeText(stats.mode)} ${links} ${owners} ${size} ${date} `;
  return Buffer.concat([Buffer.from(line), name]);
}

async function describe(dir: LocalPath, name: Buffer, legend: Legend): Promise<Name | undefined> {
  try {
    const stats = await lstat(entryPath(dir, name));
    return { name, longname: longname(name, stats, legend), attrs: attrsOf(stats) };
  } catch (error) {
    // Removed since it was listed; anything else that cannot be looked at is still there.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    return { name, longname: Buffer.concat([Buffer.from("??????????    ? "), name]), attrs: {} };
  }
}

/** Entries in one READDIR reply: even with the longest names they fit into a packet. */
const batch = 100;

/** An open directory and how far it was read. */
export interface Reading {
  readonly dir: Dir;
  readonly path: LocalPath;
  /** Told first, since the system's own listing leaves them out. */
  readonly dots: Buffer[];
}

export function startReading(dir: Dir, path: LocalPath): Reading {
  return { dir, path, dots: [Buffer.from("."), Buffer.from("..")] };
}

/** The next entries, at least one. Rejects with EOF after the last. */
export async function nextEntries(reading: Reading, legend: Legend): Promise<readonly Name[]> {
  for (;;) {
    const found = reading.dots.splice(0);
    while (found.length < batch) {
      const entry = await reading.dir.read();
      if (!entry) break;
      // Typed as text, but bytes where the directory was opened for bytes.
      found.push(Buffer.from(entry.name));
    }
    if (found.length === 0) throw new SftpError(codes.EOF, "no more entries");
    const entries = await Promise.all(found.map((name) => describe(reading.path, name, legend)));
    const present = entries.filter((entry) => entry !== undefined);
    if (present.length > 0) return present;
  }
}

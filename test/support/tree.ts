import { randomBytes } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** A new one inside `place`. */
export function tree(place: string): string {
  const dir = mkdtempSync(join(place, "tree-"));
  const when = new Date("2021-03-04T05:06:07Z");
  mkdirSync(join(dir, "sub/deeper"), { recursive: true });
  mkdirSync(join(dir, "empty"));
  for (const [name, bytes, mode] of [
    ["plain.txt", Buffer.from("plain\n"), 0o644],
    ["nothing", Buffer.alloc(0), 0o600],
    ["sub/run.sh", Buffer.from("#!/bin/sh\n"), 0o755],
    ["sub/deeper/big", randomBytes(700_000), 0o640],
    ["spaces and 'quotes' and $dollars;&", Buffer.from("odd"), 0o644],
    ["ünï-日本-*?[x]", Buffer.from("names"), 0o444],
    ["-rf", Buffer.from("a dash"), 0o644],
  ] as const) {
    const path = join(dir, name);
    writeFileSync(path, bytes);
    chmodSync(path, mode);
    utimesSync(path, when, when);
  }
  return dir;
}

/** What a folder holds, as one value: names, kinds, modes, times and contents. */
export function contents(dir: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(dir, name);
    const { mode, mtimeMs } = lstatSync(path);
    const stat = lstatSync(path);
    const bits = (mode & 0o777).toString(8);
    if (stat.isSymbolicLink()) all[name] = `-> ${readlinkSync(path)}`;
    else if (stat.isDirectory()) all[name] = `folder ${bits}`;
    else
      all[name] =
        `file ${bits} ${Math.floor(mtimeMs / 1000)} ${readFileSync(path).toString("base64")}`;
  }
  return all;
}

/**
 * Wine: a Windows to run tests on, where there is none: Debian's Wine, a prefix of it that says it is
 * Windows 10, and Node's own build for Windows. All is made once, in a git-ignored cache.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cache } from "./packages.mjs";
import { installPrograms } from "./prepare.mjs";
import { baseOf, version } from "./standalone.mjs";

export const loader = "/usr/lib/wine/wine64";
export const server = "/usr/lib/wine/wineserver64";

const folder = join(cache, "wine");
/** A prefix nobody runs anything in: a test has a copy, with its pid in its name. */
export const prefix = join(folder, "prefix");
export const node = join(folder, `node-${version}.exe`);

/** The whole environment of a program in a prefix; Wine adds what Windows has. */
export const environment = (dir) => ({
  PATH: process.env.PATH ?? "",
  HOME: dir,
  LANG: "C.UTF-8",
  WINEPREFIX: dir,
  WINEDEBUG: "-all",
  // Neither .NET nor a browser nor menus are wanted, and nobody watches a debugger.
  WINEDLLOVERRIDES: "mscoree,mshtml,winemenubuilder.exe,winedbg.exe=",
});

/**
 * A Windows program that runs under Wine 8. V8 reserves its tables by VirtualAlloc2's placeholders,
 * which that Wine has not; where the function has another name V8 does without it.
 */
export function runnable(file) {
  const bytes = readFileSync(file);
  const name = "VirtualAlloc2\0";
  for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at))
    bytes.write("VirtualAllocX", at);
  return bytes;
}

function run(dir, file, ...args) {
  const { status, error } = spawnSync(file, args, {
    env: environment(dir),
    stdio: "ignore",
    timeout: 180_000,
  });
  if (status !== 0) throw new Error(`${[file, ...args].join(" ")} failed ${error?.message ?? ""}`);
}

/** Installs Wine and makes what tests need of it; ends the script where it cannot be had. */
export function installWine() {
  installPrograms({ [loader]: "wine64", [server]: "wine64" });
  try {
    mkdirSync(folder, { recursive: true });
    if (!existsSync(node)) {
      writeFileSync(`${node}.new`, runnable(baseOf("win-x64")));
      renameSync(`${node}.new`, node);
    }
    for (const name of readdirSync(folder)) {
      const [, pid] = /^prefix-(\d+)-/.exec(name) ?? [];
      // Left by a test that was killed.
      if (pid && !existsSync(`/proc/${pid}`)) rmSync(join(folder, name), { recursive: true });
    }
    if (existsSync(prefix)) return;
    console.error("Making a Windows of Wine …");
    const half = join(folder, `new-${process.pid}`);
    try {
      mkdirSync(half);
      run(half, loader, "wineboot", "--init");
      run(half, loader, "winecfg", "-v", "win10");
      run(half, server, "--wait");
      renameSync(half, prefix);
    } finally {
      rmSync(half, { recursive: true, force: true });
    }
  } catch (error) {
    console.error(`Wine cannot be set up: ${error.message}`);
    process.exit(1);
  }
}

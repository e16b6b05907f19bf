/**
 * Standalone: agent and wsproxy as one executable with Node inside (a single executable
 * application), for machines without Node. Built for other systems too, since Node's part comes
 * from a pinned package and the program's part is JavaScript.
 *
 * Node 24, since from 25 on it wants a library that small images do not have. The blob and the base
 * must be the very same version, and strip must come before the blob, or the result crashes.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bundle } from "./bundle.mjs";
import { cache, fetchPackage } from "./packages.mjs";
import { root } from "./prepare.mjs";

/** Of Node. */
export const version = "24.21.0";
/** Pinned: what the registry's packages of Node are repacked from is Node's own release. */
const bases = {
  "linux-x64":
    "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  "linux-arm64":
    "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  "win-x64":
    "sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==",
};
export const targets = Object.keys(bases);

const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
const strips = {
  "linux-x64": ["strip", "x86_64-linux-gnu-strip", "llvm-strip"],
  "linux-arm64": ["aarch64-linux-gnu-strip", "llvm-strip"],
};

/** What the executable for a target is called below static/. */
export const nameOf = (target) => `agent-${target}${target.startsWith("win") ? ".exe" : ""}`;

/** Node for a target, fetched once. */
export function baseOf(target) {
  const path = target.startsWith("win") ? "bin/node.exe" : "bin/node";
  const pin = { name: `node-${target}`, version, integrity: bases[target] };
  return join(fetchPackage(pin, [path]), path);
}

function run(file, args, options = {}) {
  const { status, stderr, error, signal } = spawnSync(file, args, {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
    ...options,
  });
  if (status !== 0)
    throw new Error(`${file} ${args[0]} failed: ${error?.message ?? signal ?? stderr}`);
}

/** Takes the symbols out where a strip for that CPU is installed; the file works with them too. */
function strip(file, target) {
  const found = (strips[target] ?? []).some(
    (name) => spawnSync(name, [file], { stdio: "ignore" }).status === 0,
  );
  if (!found && strips[target])
    console.error(
      `No ${strips[target][0]} is installed: ${nameOf(target)} is larger than need be.`,
    );
}

/** Makes the executable from the bundle at `script`; two makings have the same bytes. */
function make(target, script, made) {
  const dir = mkdtempSync(join(cache, ".sea-"));
  try {
    const file = join(dir, nameOf(target));
    copyFileSync(baseOf(target), file);
    chmodSync(file, 0o755);
    strip(file, target);
    const config = join(dir, "sea.json");
    // Paths go into the blob, so they are relative ones.
    copyFileSync(script, join(dir, "converge.cjs"));
    writeFileSync(
      config,
      JSON.stringify({
        main: "converge.cjs",
        output: "converge.blob",
        disableExperimentalSEAWarning: true,
        useSnapshot: false,
        useCodeCache: false,
        execArgvExtension: "none", // the job's NODE_OPTIONS is not for us
      }),
    );
    run(baseOf("linux-x64"), ["--experimental-sea-config", "sea.json"], { cwd: dir });
    const postject = createRequire(import.meta.url).resolve("postject/dist/cli.js");
    const what = [file, "NODE_SEA_BLOB", join(dir, "converge.blob"), "--sentinel-fuse", fuse];
    run(process.execPath, [postject, ...what]);
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, `${nameOf(target)}.gz`), gzipSync(readFileSync(file), { level: 6 }));
    renameSync(file, join(made, nameOf(target)));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Libraries that the executable loads, for roots whose C library is another one or none. */
const loader = "/lib64/ld-linux-x86-64.so.2";
const libraries = [
  "libc.so.6",
  "libm.so.6",
  "libdl.so.2",
  "libpthread.so.0",
  "librt.so.1",
  "libutil.so.1",
  "libresolv.so.2",
  "libnss_dns.so.2",
  "libnss_files.so.2",
  "libstdc++.so.6",
  "libgcc_s.so.1",
];
const notices = ["libc6", "libstdc++6", "libgcc-s1"].map(
  (name) => `/usr/share/doc/${name}/copyright`,
);

/** The libraries of this machine and their licences, as libs-linux-x64.tar.gz; Linux x64 only. */
function libs(made) {
  const folders = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"];
  const find = (name) => folders.map((dir) => join(dir, name)).find((path) => existsSync(path));
  const paths = libraries.map(find);
  if (!existsSync(loader) || paths.includes(undefined))
    throw new Error("this machine's C library is not Debian's for x64");
  const dir = mkdtempSync(join(cache, ".libs-"));
  try {
    mkdirSync(join(dir, "lib"));
    copyFileSync(realpathSync(loader), join(dir, "lib/ld.so"));
    for (const [i, name] of libraries.entries())
      copyFileSync(realpathSync(paths[i]), join(dir, "lib", name));
    for (const path of notices)
      if (existsSync(path)) copyFileSync(path, join(dir, `lib/copyright-${path.split("/")[4]}`));
    const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    run("tar", [...same, "--mode=755", "-cf", "libs.tar", "lib"], { cwd: dir });
    const packed = gzipSync(readFileSync(join(dir, "libs.tar")), { level: 9 });
    writeFileSync(join(made, "libs-linux-x64.tar.gz"), packed);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function clearOld(target) {
  const folder = join(cache, "standalone");
  for (const name of existsSync(folder) ? readdirSync(folder) : [])
    if (name.startsWith(`${target}-`)) rmSync(join(folder, name), { recursive: true });
}

/**
 * Builds the targets into dist/downloads, from the cache where nothing has changed. What cannot be
 * had is said and left out, unless `must` is set; then it is an Error.
 */
export async function buildStandalone(wanted, { must = false } = {}) {
  const downloads = join(root, "dist/downloads");
  mkdirSync(cache, { recursive: true });
  const script = join(cache, "converge.cjs");
  await bundle("cli/standalone.ts", script);
  const hash = createHash("sha256").update(readFileSync(script)).update(version).digest("hex");
  for (const target of wanted) {
    const kept = join(cache, "standalone", `${target}-${hash.slice(0, 16)}`);
    const names = [nameOf(target), `${nameOf(target)}.gz`];
    if (target === "linux-x64") names.push("libs-linux-x64.tar.gz");
    try {
      if (!names.every((name) => existsSync(join(kept, name)))) {
        // Others of the same target are of older sources, and a hundred megabytes each.
        clearOld(target);
        make(target, script, kept);
        if (target === "linux-x64") libs(kept);
      }
      for (const name of names) {
        // A running relay serves the folder, and no file whose name begins with a dot.
        const half = join(downloads, `.${name}`);
        copyFileSync(join(kept, name), half);
        renameSync(half, join(downloads, name));
      }
    } catch (error) {
      if (must) throw error;
      console.error(`Left out: the standalone program for ${target} (${error.message})`);
    }
  }
}

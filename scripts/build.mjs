/**
 * Build: compiles the three programs to dist/, which plain Node runs. The new dist takes the place
 * of the old one in one step, so that a program that starts meanwhile finds one or the other.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { patchSsh2 } from "./patch-ssh2.mjs";
import { root } from "./prepare.mjs";

const folder = (name) => join(root, name);
const tsc = folder("node_modules/typescript/bin/tsc");
const made = `dist-${process.pid}`;
const run = (...args) =>
  execFileSync(process.execPath, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });

/** Writes `.gz` and `.br` beside every file, so that the relay never compresses them itself. */
function compressAll(assets) {
  for (const name of readdirSync(assets)) {
    const file = join(assets, name);
    const bytes = readFileSync(file);
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
    writeFileSync(`${file}.br`, brotliCompressSync(bytes));
  }
}

patchSsh2();
try {
  run(tsc, "-p", "tsconfig.build.json", "--outDir", made);
  const vite = folder("node_modules/vite/bin/vite.js");
  run(vite, "build", "--logLevel", "warn", "--outDir", `${made}/assets`);
  compressAll(folder(`${made}/assets`));
  mkdirSync(folder(`${made}/downloads`));
  for (const name of ["converge", "agent", "wsproxy"])
    chmodSync(folder(`${made}/cli/${name}.js`), 0o755);
  if (existsSync(folder("dist"))) renameSync(folder("dist"), folder(`${made}-old`));
  renameSync(folder(made), folder("dist"));
} catch (error) {
  console.error(`The build failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  for (const name of [made, `${made}-old`]) rmSync(folder(name), { recursive: true, force: true });
}

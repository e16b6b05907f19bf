/**
 * Build: compiles the three programs to dist/, which plain Node runs, the pages' assets, and what
 * the relay serves: one file each of agent and wsproxy, and with `--standalone` an executable. The new dist takes the place
 * of the old one in one step, so that a program that starts meanwhile finds one or the other.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { bundle } from "./bundle.mjs";
import { patchSsh2 } from "./patch-ssh2.mjs";
import { root } from "./prepare.mjs";
import { buildStandalone } from "./standalone.mjs";

const folder = (name) => join(root, name);
const tsc = folder("node_modules/typescript/bin/tsc");
const made = `dist-${process.pid}`;
const run = (...args) =>
  execFileSync(process.execPath, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });

/** Writes compressed copies beside every file, so that the relay never compresses them itself. */
function compressAll(dir, kinds = ["gz", "br"]) {
  for (const name of readdirSync(dir)) {
    const file = join(dir, name);
    const bytes = readFileSync(file);
    if (kinds.includes("gz")) writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
    if (kinds.includes("br")) writeFileSync(`${file}.br`, brotliCompressSync(bytes));
  }
}

patchSsh2(root);
/** What the programs are made of, as CycloneDX; without what differs from build to build. */
function writeBillOfMaterials(file) {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const text = execFileSync(npm, ["sbom", "--sbom-format", "cyclonedx"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    shell: process.platform === "win32",
  });
  const { serialNumber, metadata, ...bom } = JSON.parse(text);
  const { timestamp, component, ...rest } = metadata;
  // npm takes the folder's name for the package's.
  const named = { ...component, name: "converge" };
  writeFileSync(file, `${JSON.stringify({ ...bom, metadata: { ...rest, component: named } })}\n`);
}

try {
  run(tsc, "-p", "tsconfig.build.json", "--outDir", made);
  const vite = folder("node_modules/vite/bin/vite.js");
  run(vite, "build", "--logLevel", "warn", "--outDir", `${made}/assets`);
  compressAll(folder(`${made}/assets`));
  for (const name of ["agent", "wsproxy"])
    await bundle(`cli/${name}.ts`, folder(`${made}/downloads/${name}.cjs`));
  compressAll(folder(`${made}/downloads`), ["gz"]);
  writeBillOfMaterials(folder(`${made}/sbom.json`));
  cpSync(folder("web/bootstrap"), folder(`${made}/bootstrap`), { recursive: true });
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

if (!process.exitCode && process.argv.includes("--standalone")) {
  if (process.env.CONVERGE_SKIP_STANDALONE === "1")
    console.error("CONVERGE_SKIP_STANDALONE is set: no executable is built.");
  else await buildStandalone(["linux-x64"]);
}

/**
 * Build: compiles the three programs to dist/, which plain Node runs. The new dist takes the place
 * of the old one in one step, so that a program that starts meanwhile finds one or the other.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

const folder = (name) => join(root, name);
const tsc = folder("node_modules/typescript/bin/tsc");
const made = `dist-${process.pid}`;
try {
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", made], {
    cwd: root,
    stdio: "inherit",
  });
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

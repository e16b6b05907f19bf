/**
 * Build: compiles the three programs to dist/, which plain Node runs. Nothing but Node is needed
 * to start it; what it needs besides, `prepare.mjs` has installed.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

rmSync(join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
for (const name of ["converge", "agent", "wsproxy"]) chmodSync(join(root, `dist/cli/${name}.js`), 0o755);

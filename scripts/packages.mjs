/**
 * Packages: files out of npm packages that are not dependencies of this machine: addons for other
 * systems, Node itself. Each is pinned by its hash and kept in a git-ignored cache.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

export const cache = join(root, ".cache");

/** What the lock file says of a package that this system does not install. */
export function lockedPackage(name) {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  return { name, version, integrity };
}

function run(file, args, cwd) {
  const { status, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: "utf8",
    timeout: 300_000,
    shell: process.platform === "win32",
  });
  if (status !== 0)
    throw new Error(`${file} ${args[0]} failed: ${error?.message ?? stderr.trim()}`);
}

/**
 * The folder with `paths` of a package, fetched once. `integrity` is npm's, sha512 and base64; a
 * package that is another one is refused. Throws an Error when it cannot be had.
 */
export function fetchPackage({ name, version, integrity }, paths) {
  const label = `${name.replace(/[@/]/g, "_")}-${version}`;
  const kept = join(cache, "packages", label);
  if (paths.every((path) => existsSync(join(kept, "package", path)))) return join(kept, "package");
  mkdirSync(join(cache, "packages"), { recursive: true });
  const dir = mkdtempSync(join(cache, "packages/.new-"));
  try {
    run("npm", ["pack", `${name}@${version}`, "--pack-destination", dir, "--silent"], root);
    const tarball = `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
    const got = createHash("sha512").update(readFileSync(join(dir, tarball)));
    if (`sha512-${got.digest("base64")}` !== integrity)
      throw new Error(`${name}@${version} is not the package that is pinned`);
    run("tar", ["-xzf", tarball, ...paths.map((path) => `package/${path}`)], dir);
    rmSync(join(dir, tarball));
    rmSync(kept, { recursive: true, force: true });
    renameSync(dir, kept);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return join(kept, "package");
}

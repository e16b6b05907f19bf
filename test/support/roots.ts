/**
 * Roots: small file systems to start programs in, with nothing of this machine but the network.
 * They are made once, kept in a git-ignored cache, and each test gets a copy.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type How, type Program, program } from "./child.ts";
import { root } from "./shipped.ts";

const cache = join(root, ".cache/roots");

/** Debian's smallest: no curl, no wget, no python, no Node. Made by debootstrap, in a minute. */
export function minbase(): string {
  const kept = join(cache, "bookworm-minbase");
  if (existsSync(kept)) return kept;
  mkdirSync(cache, { recursive: true });
  const made = `${kept}.${process.pid}`;
  try {
    execFileSync("debootstrap", ["--variant=minbase", "bookworm", made], { stdio: "pipe" });
    renameSync(made, kept);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return kept;
}

/** Nothing but a static busybox, as the smallest of images have it. */
export function busyboxOnly(dir: string): string {
  for (const name of ["bin", "tmp", "root", "job", "proc", "dev", "etc", "var/tmp"])
    mkdirSync(join(dir, name), { recursive: true });
  copyFileSync("/bin/busybox", join(dir, "bin/busybox"));
  chmodSync(join(dir, "bin/busybox"), 0o755);
  execFileSync("chroot", [dir, "/bin/busybox", "--install", "-s", "/bin"]);
  return dir;
}

/** A copy of a root that a test may write to. */
export function copyOf(from: string, to: string): string {
  execFileSync("cp", ["-a", from, to]);
  mkdirSync(join(to, "job"), { recursive: true });
  return to;
}

/**
 * Starts a shell script in a root, in namespaces of its own: what it leaves running ends with it,
 * and what it mounts is nobody else's. `before` runs outside, with the root as `$1`.
 */
export function inRoot(dir: string, script: string, how: How & { before?: string } = {}): Program {
  const enter = `mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; ${how.before ?? ":"}
exec chroot "$1" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root sh -c 'cd /job; eval "$1"' sh "$2"`;
  const env = existsSync(join(dir, "usr/bin/env"))
    ? enter
    : enter.replace("/usr/bin/env", "/bin/env");
  const unshare = ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", env, "sh"];
  return program("unshare", [...unshare, dir, script], how);
}

/**
 * Test: sets up what the tests need, then runs them: rules first (they take seconds), then the
 * stories with real OpenSSH. `--fast` leaves the stories out, `--slow` runs those of test/slow and of
 * test/windows (under Wine) alone, `--long` runs all in their full sizes, `--shipped` runs those with
 * an agent or wsproxy against the files that people are given; file names run those alone.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { build, installHelm, installPackages, installPrograms, root } from "./prepare.mjs";
import { installWine } from "./wine.mjs";

const args = process.argv.slice(2);
const isFast = args.includes("--fast");
const isSlow = args.includes("--slow");
const isLong = args.includes("--long");
const isShipped = args.includes("--shipped");
const named = args.filter((arg) => !arg.startsWith("--"));

/** Programs that the stories use, and the Debian packages that hold them. */
const programs = {
  ssh: "openssh-client",
  scp: "openssh-client",
  sftp: "openssh-client",
  sshd: "openssh-server",
  "ssh-keygen": "openssh-client",
  git: "git",
  rsync: "rsync",
  openssl: "openssl",
  curl: "curl",
  plink: "putty-tools",
  psftp: "putty-tools",
  dbclient: "dropbear-bin",
  "/usr/lib/python3/dist-packages/paramiko/__init__.py": "python3-paramiko",
  "/usr/lib/python3/dist-packages/asyncssh/__init__.py": "python3-asyncssh",
  "/usr/share/doc/ruby-net-ssh/copyright": "ruby-net-ssh",
  lftp: "lftp",
  sshfs: "sshfs",
  ansible: "ansible-core",
  chromium: "chromium",
  nginx: "nginx-light",
  wget: "wget",
  python3: "python3-minimal",
  shellcheck: "shellcheck",
  "ssh-audit": "ssh-audit",
  debootstrap: "debootstrap",
  busybox: "busybox-static",
  "qemu-aarch64-static": "qemu-user-static",
  "/usr/aarch64-linux-gnu/lib/libc.so.6": "libc6-arm64-cross",
  "/usr/aarch64-linux-gnu/lib/libstdc++.so.6": "libstdc++6-arm64-cross",
  haproxy: "haproxy",
  caddy: "caddy",
  prometheus: "prometheus",
  promtool: "prometheus",
  "systemd-analyze": "systemd",
  unzip: "unzip",
  tmux: "tmux",
  zsh: "zsh",
  fish: "fish",
  dash: "dash",
  vim: "vim",
  nano: "nano",
  less: "less",
  htop: "htop",
  top: "procps",
  man: "man-db",
  mc: "mc",
  dialog: "dialog",
  ...(isLong && { slowhttptest: "slowhttptest", ip: "iproute2", ss: "iproute2" }),
};

const found = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => `test/${name.replaceAll("\\", "/")}`)
  .sort();
const below = (folder) => found.filter((file) => file.startsWith(`test/${folder}/`));
const stories = below("stories");
const slow = below("slow");
const windows = below("windows");
/** They measure, or strain the whole machine: one after the other. */
const long = below("long");
const rules = found.filter((file) => ![...stories, ...slow, ...windows, ...long].includes(file));
/** An agent or a wsproxy of ours is in the story: by itself, or by what it takes from test/support. */
const hasOurs = (file) =>
  /\b(?:meet|agentProgram|ours|answers|scene|spendMorning)\(/.test(
    readFileSync(join(root, file), "utf8"),
  );

/** What runs, group after group. */
function chosen() {
  if (named.length > 0) return [named];
  if (isShipped) return [[...stories, ...slow, ...(isLong ? long : [])].filter(hasOurs)];
  if (isLong) return [rules, stories, slow, windows, long];
  if (isSlow) return [slow, windows];
  return isFast ? [rules] : [rules, stories];
}
const groups = chosen();
const isAlone = (file) => long.includes(file);
const wantsExecutable = (file) => slow.includes(file) || long.includes(file);

installPackages();
installPrograms(programs);
installHelm();
if (groups.flat().some((file) => windows.includes(file))) installWine();
await build({ standalone: groups.flat().some(wantsExecutable) });
if (isShipped) {
  const { bundle } = await import("./bundle.mjs");
  await bundle("test/support/agent-inside.ts", join(root, "dist/agent-door.cjs"));
}

const parts = groups.flatMap((files) => [
  files.filter((file) => !isAlone(file)),
  files.filter(isAlone),
]);
for (const files of parts.filter(({ length }) => length > 0)) {
  const { status } = spawnSync(
    process.execPath,
    [
      "--import",
      "tsx",
      "--test",
      "--test-reporter=spec",
      `--test-timeout=${isLong ? 3_600_000 : 300_000}`,
      `--test-concurrency=${files.every(isAlone) ? 1 : Math.max(2, availableParallelism())}`,
      ...files,
    ],
    {
      cwd: root,
      stdio: "inherit",
      env: {
        ...process.env,
        ...(isLong && { CONVERGE_TEST_LONG: "1" }),
        ...(isShipped && { CONVERGE_TEST_SHIPPED: "1" }),
      },
    },
  );
  if (status !== 0) process.exit(status ?? 1);
}

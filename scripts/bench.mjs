/** Bench: installs the peers to be measured against, builds, and runs bench/run.ts. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build, installPackages, installPrograms, root } from "./prepare.mjs";

installPackages();
installPrograms({
  ssh: "openssh-client",
  sshd: "openssh-server",
  socat: "socat",
  go: "golang-go",
  "/usr/share/gocode/src/github.com/gorilla/websocket": "golang-github-gorilla-websocket-dev",
  "/usr/share/gocode/src/github.com/hashicorp/yamux": "golang-github-hashicorp-yamux-dev",
});
await build({ standalone: true });
const { status } = spawnSync(
  process.execPath,
  ["--import", "tsx", join(root, "bench/run.ts"), ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);

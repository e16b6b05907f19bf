/**
 * Start: the whole of Converge on this machine, for a look. A relay and an agent on loopback, a
 * key pair that is thrown away, and ssh: your shell, or one command where there is no terminal.
 * Plain JavaScript without dependencies: it installs what is missing, then starts the programs.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build, installPackages, installPrograms, root } from "./prepare.mjs";

installPackages();
installPrograms({ ssh: "openssh-client", "ssh-keygen": "openssh-client" });
await build();

const folder = mkdtempSync(join(tmpdir(), "converge-start-"));
const job = join(folder, "job");
const children = new Set();
let isOver = false;

/** Ends the programs in order and removes the folder; the exit status is `status`. */
async function end(status) {
  if (isOver) return;
  isOver = true;
  const ends = [...children].map(
    (child) =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once("exit", resolve);
        child.kill("SIGTERM");
      }),
  );
  await Promise.all(ends);
  rmSync(folder, { recursive: true, force: true });
  process.exit(status);
}
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => void end(0));
// npm does not hand on every signal; when it has gone, so do we.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) void end(0);
}, 500).unref();

/** Starts one of our programs and hands on its lines of JSON from `stream`. */
function program(name, args, stream, onLine) {
  const child = spawn(process.execPath, [join(root, "dist/cli", `${name}.js`), ...args], {
    cwd: job,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // Ctrl-C on this terminal is for this script, which ends them in order
  });
  children.add(child);
  let said = "";
  child.stderr.on("data", (data) => {
    said = `${said}${data}`.slice(-4_000);
  });
  if (stream === "stdout") createInterface({ input: child.stdout }).on("line", onLine);
  else createInterface({ input: child.stderr }).on("line", onLine);
  child.once("exit", (status) => {
    children.delete(child);
    if (isOver) return;
    if (status !== 0) console.error(`${name} ended with status ${status}:\n${said}`);
    void end(status ?? 1);
  });
  return child;
}

const json = (line) => {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
};

mkdirSync(job);
const key = join(folder, "throw-away-key");
const made = spawnSync("ssh-keygen", [
  "-q",
  "-t",
  "ed25519",
  "-N",
  "",
  "-C",
  "throw-away",
  "-f",
  key,
]);
if (made.status !== 0) {
  console.error("ssh-keygen could not make a key pair. Is the OpenSSH client complete?");
  await end(1);
}
writeFileSync(join(job, ".authorized_keys"), readFileSync(`${key}.pub`));

const relayUrl = await new Promise((resolve) => {
  program("converge", ["--listen", "127.0.0.1:0"], "stderr", (line) => {
    const { msg, host, port } = json(line);
    if (msg === "relay listening") resolve(`http://${host}:${port}`);
  });
});
const ready = await new Promise((resolve) => {
  program("agent", ["--json", "--log-level", "warn", relayUrl], "stdout", (line) => {
    const news = json(line);
    if (news.event === "ready") resolve(news);
  });
});

const wsproxy = `${process.execPath} ${join(root, "dist/cli/wsproxy.js")}`;
const args = [
  "-i",
  key,
  "-oIdentitiesOnly=yes",
  `-oProxyCommand=${wsproxy} --fingerprint ${ready.fingerprint} ${ready.clientUrl}`,
  "-oUserKnownHostsFile=/dev/null",
  "-oStrictHostKeyChecking=accept-new",
  "-oLogLevel=ERROR",
  `job@${ready.id}`,
];
const quoted = args.map((arg) => (/[^\w@%+=:,./-]/.test(arg) ? `'${arg}'` : arg)).join(" ");
console.log(`
relay        ${relayUrl}   (open it in a browser: usage, live sessions, FAQ)
job folder   ${job}
host key     ${ready.fingerprint}

From another terminal of this machine:
  ssh ${quoted}
`);

if (process.stdin.isTTY && process.stdout.isTTY) {
  console.log(
    "Here is a shell in the job. Leave it with exit, and everything ends (even with .hold, with which a job would wait).\n",
  );
  const ssh = spawn("ssh", ["-t", ...args], { stdio: "inherit" });
  ssh.once("exit", (status) => void end(status ?? 1));
} else {
  const command = 'echo "Hello from the job, in $agentdir"; touch "$agentdir/.hold"';
  const { status, stdout, stderr } = spawnSync("ssh", [...args, command], { encoding: "utf8" });
  process.stdout.write(stdout);
  if (status !== 0) {
    console.error(stderr);
    await end(status ?? 1);
  }
  console.log("\nServing until Ctrl-C (or ten minutes without activity).");
}

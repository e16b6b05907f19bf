/**
 * Other people's clients, each against the same agent: what it ran ends with 0 and what it copied is
 * equal. Most cannot start a proxy command in a portable way, so wsproxy listens on a local port.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import ssh2 from "ssh2";
import { endPrograms, run } from "../support/child.ts";
import { freePort } from "../support/ports.ts";
import { type AgentProgram, agentProgram, ours, relayProgram } from "../support/programs.ts";

type SftpDone = (error: Error | undefined, sftp: ssh2.SFTPWrapper) => void;

let agent: AgentProgram;
let port: number;
let dir: string;
let env: Record<string, string>;
const data = randomBytes(300_000);
const sum = createHash("sha256").update(data).digest("hex");

before(async () => {
  const relay = await relayProgram();
  agent = await agentProgram(relay.url);
  writeFileSync(join(agent.dir, ".hold"), "");
  writeFileSync(join(agent.dir, "data"), data);
  port = await freePort();
  const listener = ours("wsproxy", ["--listen", String(port), agent.ready.clientUrl]);
  await listener.see("Listening on");
  dir = join(agent.dir, "client");
  mkdirSync(join(dir, ".ssh"), { recursive: true });
  env = { HOME: dir, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  const { status, stderr } = await run("puttygen", [
    agent.keyFile,
    "-o",
    join(dir, "key.ppk"),
    "-O",
    "private",
  ]);
  assert.equal(status, 0, stderr);
});
after(endPrograms);

async function does(file: string, args: readonly string[], input?: string): Promise<string> {
  const how = { cwd: dir, env, ...(input !== undefined && { input }) };
  const { status, stdout, stderr } = await run(file, args, how);
  assert.equal(status, 0, `${file}: ${stderr}${stdout}`);
  return stdout.toString();
}
const arrived = (name: string): void => {
  const file = join(dir, name);
  assert.equal(createHash("sha256").update(readFileSync(file)).digest("hex"), sum);
  rmSync(file);
};

const linked = (name: string, target = "the-target"): void =>
  assert.equal(readlinkSync(join(agent.dir, name)), target);

test("PuTTY's plink and psftp", async () => {
  const to = ["-batch", "-P", String(port), "-i", "key.ppk", "-hostkey", agent.ready.fingerprint];
  assert.equal(await does("plink", ["-ssh", ...to, "job@127.0.0.1", "echo hello"]), "hello\n");
  await does("psftp", [...to, "job@127.0.0.1"], "get data\nput data back\n");
  arrived("data");
  assert.deepEqual(readFileSync(join(agent.dir, "back")), data);
});

test("dropbear's dbclient", async () => {
  const key = await run("dropbearconvert", [
    "openssh",
    "dropbear",
    agent.keyFile,
    join(dir, "key.db"),
  ]);
  assert.equal(key.status, 0, key.stderr);
  const args = ["-y", "-i", "key.db", "-p", String(port), "job@127.0.0.1"];
  assert.equal(await does("dbclient", [...args, "echo hello"]), "hello\n");
  const failed = await run("dbclient", [...args, "exit 7"], { cwd: dir, env });
  assert.equal(failed.status, 7);
});

test("paramiko", async () => {
  const script = `
import paramiko, sys
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", ${port}, "job", key_filename=${JSON.stringify(agent.keyFile)}, allow_agent=False, look_for_keys=False)
_, out, _ = client.exec_command("echo hello; exit 7")
print(out.read().decode().strip(), out.channel.recv_exit_status())
sftp = client.open_sftp()
sftp.get("data", "data")
sftp.put("data", "back-paramiko")
print(sftp.stat("back-paramiko").st_size)
sftp.symlink("the-target", "link-paramiko")
client.close()`;
  assert.equal(await does("/usr/bin/python3", ["-c", script]), "hello 7\n300000\n");
  linked("link-paramiko");
  arrived("data");
});

test("asyncssh", async () => {
  const script = `
import asyncio, asyncssh
async def main():
    async with asyncssh.connect("127.0.0.1", ${port}, username="job", client_keys=[${JSON.stringify(agent.keyFile)}], known_hosts=None) as connection:
        done = await connection.run("echo hello; exit 7")
        print(done.stdout.strip(), done.exit_status)
        async with connection.start_sftp_client() as sftp:
            await sftp.get("data")
            await sftp.symlink("the-target", "link-asyncssh")
            await sftp.put("tree", "tree-asyncssh", recurse=True)
asyncio.run(main())`;
  mkdirSync(join(dir, "tree/sub"), { recursive: true });
  writeFileSync(join(dir, "tree/sub/file"), "in the tree");
  symlinkSync("sub/file", join(dir, "tree/link"));
  assert.equal(await does("/usr/bin/python3", ["-c", script]), "hello 7\n");
  linked("link-asyncssh");
  linked("tree-asyncssh/link", "sub/file");
  assert.equal(readFileSync(join(agent.dir, "tree-asyncssh/link"), "utf8"), "in the tree");
  arrived("data");
});

test("curl's sftp, which is libssh2 1.10", async () => {
  const to = `sftp://127.0.0.1:${port}`;
  const flags = ["-sS", "--insecure", "--user", "job:", "--key", agent.keyFile];
  // It makes the public key itself; a file beside the private one would do too.
  await does("curl", [...flags, "-o", "data", `${to}${agent.dir}/data`]);
  arrived("data");
  await does("curl", [...flags, "-T", join(agent.dir, "data"), `${to}${agent.dir}/back-curl`]);
  assert.deepEqual(readFileSync(join(agent.dir, "back-curl")), data);
});

test("Ruby's net-ssh without its x25519", async () => {
  // Without its ed25519 gem it has no such keys either.
  const key = join(dir, "rsa");
  const made = await run("ssh-keygen", ["-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", key]);
  assert.equal(made.status, 0, made.stderr);
  appendFileSync(join(agent.dir, ".authorized_keys"), readFileSync(`${key}.pub`));
  const script = `
require "net/ssh"
require "digest"
Net::SSH.start("127.0.0.1", "job", port: ${port}, keys: [${JSON.stringify(key)}], keys_only: true,
    config: false, non_interactive: true, verify_host_key: :never) do |ssh|
  puts ssh.transport.algorithms.kex
  puts ssh.exec!("echo hello").strip
  puts Digest::SHA256.hexdigest(ssh.exec!("cat data"))
end`;
  const said = await does("/usr/bin/ruby", ["-e", script]);
  assert.equal(said, `ecdh-sha2-nistp256\nhello\n${sum}\n`);
});

const options = (): string =>
  `-i ${agent.keyFile} -oIdentitiesOnly=yes -oUserKnownHostsFile=/dev/null -oStrictHostKeyChecking=accept-new -oBatchMode=yes`;

test("OpenSSH's sftp makes the link that was asked for", async () => {
  const to = ["-b", "-", ...options().replace("-i ", "-i").split(" "), "-P", String(port)];
  await does("sftp", [...to, "job@127.0.0.1"], "symlink the-target link-openssh\n");
  linked("link-openssh");
});

test("ssh2 of npm makes the link that was asked for", async () => {
  const client = new ssh2.Client();
  const key = readFileSync(agent.keyFile);
  client.connect({ host: "127.0.0.1", port, username: "job", privateKey: key });
  try {
    await once(client, "ready");
    const sftp = await promisify(client.sftp.bind(client) as (done: SftpDone) => void)();
    await new Promise<void>((resolve, reject) => {
      sftp.symlink("the-target", "link-ssh2", (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    client.end();
  }
  linked("link-ssh2");
});

test("lftp", async () => {
  const script = `set sftp:connect-program "ssh -a -x ${options()}"; open sftp://job:@127.0.0.1:${port}; get data; put data -o back-lftp; ln -s the-target link-lftp; cls -s; bye`;
  await does("lftp", ["-c", script]);
  linked("link-lftp");
  arrived("data");
  assert.deepEqual(readFileSync(join(agent.dir, "back-lftp")), data);
});

test("sshfs", async () => {
  const there = join(dir, "mounted");
  mkdirSync(there);
  const flags = options()
    .split(" ")
    .slice(2)
    .map((one) => one.slice(2))
    .join(",");
  await does("sshfs", [
    "-p",
    String(port),
    "-o",
    `${flags},IdentityFile=${agent.keyFile}`,
    `job@127.0.0.1:${agent.dir}`,
    there,
  ]);
  try {
    assert.deepEqual(readFileSync(join(there, "data")), data);
    writeFileSync(join(there, "written"), data);
    assert.deepEqual(readFileSync(join(agent.dir, "written")), data);
    symlinkSync("the-target", join(there, "link-sshfs"));
    linked("link-sshfs");
  } finally {
    await does("fusermount3", ["-u", there]);
  }
});

test("git over ssh", async () => {
  const repository = join(agent.dir, "repository");
  await does("git", ["init", "-q", "-b", "main", repository]);
  const own = ["-c", "user.name=x", "-c", "user.email=x@x"];
  await does("git", ["-C", repository, ...own, "commit", "-q", "--allow-empty", "-m", "first"]);
  const how = { cwd: dir, env: { ...env, GIT_SSH_COMMAND: `ssh ${options()}` } };
  const clone = await run(
    "git",
    ["clone", "-q", `ssh://job@127.0.0.1:${port}${repository}`, "cloned"],
    how,
  );
  assert.equal(clone.status, 0, clone.stderr);
});

test("ansible pings", async () => {
  writeFileSync(
    join(dir, "hosts"),
    `job ansible_host=127.0.0.1 ansible_port=${port} ansible_user=job ansible_ssh_common_args='${options()}' ansible_python_interpreter=/usr/bin/python3\n`,
  );
  const said = await does("ansible", ["-i", "hosts", "-m", "ping", "job"]);
  assert.match(said, /"ping": "pong"/);
});

/**
 * Resumed clients: what other people's programs copy through is whole although the relay is killed
 * twice on the way. Those that start no proxy command in a portable way go through wsproxy's own port.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { sh } from "../../src/actors/words/quoting.ts";
import { endPrograms, program, run } from "../support/child.ts";
import { killTwice, type Outage, outage, sha256, times } from "../support/outage.ts";
import { freePort } from "../support/ports.ts";
import { ours, sshArgs } from "../support/programs.ts";
import { until } from "../support/until.ts";

const data = randomBytes(60_000_000);
const sum = sha256(data);
const filesCount = 2_000;

let scene: Outage;
let dir: string;
let port: string;
let env: Record<string, string>;

before(async () => {
  scene = await outage();
  const { agent } = scene;
  writeFileSync(join(agent.dir, "data"), data);
  dir = join(agent.dir, "client");
  mkdirSync(join(dir, ".ssh"), { recursive: true });
  env = { HOME: dir, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  writeFileSync(join(dir, "data"), data);
  port = String(await freePort());
  await ours("wsproxy", ["--listen", port, agent.ready.clientUrl]).see("Listening on");
});
after(endPrograms);

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Runs a program, kills the relay twice while `soFar` grows to `whole`; it was resumed as often. */
async function survives(
  file: string,
  args: readonly string[],
  soFar: () => number,
  whole: number,
  how: { input?: string | Buffer; env?: Record<string, string> } = {},
): Promise<void> {
  const { agent } = scene;
  const resumed = times(agent, "client resumed");
  const run = program(file, args, { cwd: dir, ...how, env: { ...env, ...how.env } });
  await killTwice(scene, run, soFar, whole);
  assert.equal((await run.exited).status, 0, `${file}: ${run.err().slice(-2_000)}`);
  assert.equal(times(agent, "client resumed") - resumed, 2);
}

const there = (name: string): string => join(scene.agent.dir, name);
const here = (name: string): string => join(dir, name);
const options = (): string[] => sshArgs(scene.agent).slice(0, -1);
const isWhole = (file: string): void => assert.equal(sha256(readFileSync(file)), sum);
/** Over one of ssh's own programs: as the shell reads it. */
const sshLine = (): string => ["ssh", ...options()].map(sh.word).join(" ");

test("sftp puts and gets", async () => {
  const put = ["-b", "-", ...options(), "job@agent"];
  await survives("sftp", put, () => sizeOf(there("put")), data.length, { input: "put data put\n" });
  isWhole(there("put"));
  await survives("sftp", put, () => sizeOf(here("got")), data.length, { input: "get data got\n" });
  isWhole(here("got"));
});

test("scp, either way", async () => {
  const up = [...options(), "data", "job@agent:scp-up"];
  await survives("scp", up, () => sizeOf(there("scp-up")), data.length);
  isWhole(there("scp-up"));
  const down = [...options(), "job@agent:data", "scp-down"];
  await survives("scp", down, () => sizeOf(here("scp-down")), data.length);
  isWhole(here("scp-down"));
});

test(`rsync of ${filesCount} small files`, async () => {
  mkdirSync(here("many"));
  for (let n = 0; n < filesCount; n += 1)
    writeFileSync(here(`many/${n}`), randomBytes(2_000 + 17 * n));
  const count = (): number => {
    try {
      return readdirSync(there("many")).length;
    } catch {
      return 0; // not yet
    }
  };
  await survives("rsync", ["-r", "-e", sshLine(), "many", "job@agent:"], count, filesCount);
  for (let n = 0; n < filesCount; n += 1)
    assert.deepEqual(readFileSync(there(`many/${n}`)), readFileSync(here(`many/${n}`)));
});

test("git clones", async () => {
  const repository = there("repository");
  for (const args of [
    ["init", "-q", "-b", "main", repository],
    // As random bytes are, nothing is gained by pressing them, and it takes long.
    ["-C", repository, "config", "core.compression", "0"],
  ])
    assert.equal((await run("git", args, { env })).status, 0);
  writeFileSync(join(repository, "data"), data);
  const own = ["-C", repository, "-c", "user.name=x", "-c", "user.email=x@x"];
  for (const args of [
    ["add", "."],
    ["commit", "-q", "-m", "first"],
  ])
    assert.equal((await run("git", [...own, ...args], { env })).status, 0);
  const pack = (): number => {
    const packs = here("cloned/.git/objects/pack");
    try {
      return Math.max(0, ...readdirSync(packs).map((name) => sizeOf(join(packs, name))));
    } catch {
      return 0; // not yet
    }
  };
  const args = ["clone", "-q", `job@agent:${repository}`, "cloned"];
  await survives("git", args, pack, data.length, { env: { GIT_SSH_COMMAND: sshLine() } });
  isWhole(here("cloned/data"));
});

/** What a client prints, for those that can do no more than run a command. */
async function prints(file: string, args: readonly string[]): Promise<void> {
  const sh = `exec ${[file, ...args].map((word) => `'${word}'`).join(" ")} > printed`;
  writeFileSync(here("printed"), "");
  await survives("sh", ["-c", sh], () => sizeOf(here("printed")), data.length);
  isWhole(here("printed"));
}

test("PuTTY's plink", async () => {
  const { agent } = scene;
  const key = await run("puttygen", [agent.keyFile, "-o", here("key.ppk"), "-O", "private"], {
    env,
  });
  assert.equal(key.status, 0, key.stderr);
  const to = ["-batch", "-P", port, "-i", "key.ppk", "-hostkey", agent.ready.fingerprint];
  await prints("plink", ["-ssh", ...to, "job@127.0.0.1", "cat data"]);
});

test("dropbear's dbclient", async () => {
  const convert = ["openssh", "dropbear", scene.agent.keyFile, here("key.db")];
  const key = await run("dropbearconvert", convert, { env });
  assert.equal(key.status, 0, key.stderr);
  await prints("dbclient", ["-y", "-i", "key.db", "-p", port, "job@127.0.0.1", "cat data"]);
});

test("paramiko's sftp", async () => {
  const script = `
import paramiko
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", ${port}, "job", key_filename=${JSON.stringify(scene.agent.keyFile)}, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
sftp.put("data", "paramiko")
client.close()`;
  const args = ["-c", script];
  await survives("/usr/bin/python3", args, () => sizeOf(there("paramiko")), data.length);
  isWhole(there("paramiko"));
});

test("all are out, in order, and whoever was away came back", async () => {
  const { agent } = scene;
  // paramiko hangs up without a word.
  const out = (): number => times(agent, "client left") + times(agent, "client lost");
  await until("all have left", () => out() === times(agent, "client joined"));
  assert.equal(times(agent, "client lost"), 1);
  assert.equal(times(agent, "client detached"), times(agent, "client resumed"));
});

/** What an agent may refuse of files and commands, how that looks, and that the rest works. */
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Agent } from "../support/agent.ts";
import { endPrograms, type Result, run } from "../support/child.ts";
import { hold } from "../support/started.ts";
import { contents } from "../support/tree.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet({ id: "transfer" });
  hold(world.agent);
});
after(async () => {
  await endPrograms();
  await world.close();
});

const client = (
  file: "scp" | "sftp",
  args: string[],
  agent: Agent = world.agent,
  input = "",
): Promise<Result> => run(file, [...world.options(agent), "-i", world.keyFile, ...args], { input });

/** What works at an agent: each way in, and how it looks where it does not. */
async function ways(agent: Agent): Promise<Record<string, string>> {
  const file = join(mkdtempSync(join(world.dir, "ways-")), "file");
  writeFileSync(file, "content");
  writeFileSync(join(agent.dir, "there"), "there");
  const look = ({ status, stdout, stderr }: Result): string =>
    status === 0 ? "works" : `${status}: ${said(stdout.toString() + stderr)}`;
  const how = { agent };
  return {
    shell: look(await world.ssh(["-T"], { ...how, input: "exit 0\n" })),
    exec: look(await world.ssh(["true"], how)),
    "scp up": look(await client("scp", [file, "job@agent:up"], agent)),
    "scp down": look(await client("scp", ["job@agent:there", `${file}.back`], agent)),
    "scp -O up": look(await client("scp", ["-O", file, "job@agent:up-old"], agent)),
    "sftp get": look(
      await client("sftp", ["-b", "-", "job@agent"], agent, "get there /dev/null\n"),
    ),
    "sftp rm": look(await client("sftp", ["-b", "-", "job@agent"], agent, "rm there\n")),
  };
}

const whose = (_all: string, name: string): string => (name === "job" ? "" : `/${name}`);

/** The sentences that matter, without wsproxy's, the greeting and paths. */
function said(text: string): string {
  return text
    .split(/\r?\n/)
    .filter(
      (line) =>
        line &&
        !/^\[converge\]|^Warning: Permanently|^sftp>|^Fetching|^(scp: )?Connection closed/.test(
          line,
        ),
    )
    .map((line) => line.replaceAll(world.dir, "").replace(/\/(job|ways)-\w+/g, whose))
    .join(" | ");
}

test("what --no-sftp, --no-exec and --read-only refuse, how it looks, and that the rest works", async () => {
  const free = { shell: "works", exec: "works", "scp up": "works", "scp down": "works" };
  const noScp = "1: exec request failed on channel 0 | lost connection";
  const none = "255: subsystem request failed on channel 0";
  const request = (what: string): string => `255: ${what} request failed on channel 0`;
  const at = async (allowed: object): Promise<Record<string, string>> => {
    const agent = await world.startAgent({ allowed });
    hold(agent);
    const found = await ways(agent);
    agent.stop();
    return found;
  };
  assert.deepEqual(await at({}), {
    ...free,
    "scp -O up": "works",
    "sftp get": "works",
    "sftp rm": "works",
  });
  assert.deepEqual(await at({ sftp: false }), {
    ...free,
    "scp up": none,
    "scp down": none,
    "scp -O up": "works",
    "sftp get": none,
    "sftp rm": none,
  });
  assert.deepEqual(await at({ exec: false }), {
    ...free,
    exec: request("exec"),
    "scp -O up": noScp,
    "sftp get": "works",
    "sftp rm": "works",
  });
  const readOnly = { shell: false, exec: false, portForwarding: false, agentForwarding: false };
  assert.deepEqual(await at({ ...readOnly, readOnly: true }), {
    shell: request("shell"),
    exec: request("exec"),
    "scp up":
      '1: scp: dest open "up": Permission denied | scp: failed to upload file /ways/file to up',
    "scp down": "works",
    "scp -O up": noScp,
    "sftp get": "works",
    "sftp rm": "1: remote delete /there: Permission denied",
  });
});

test("a read-only agent answers every change with Permission denied, and changes nothing", async () => {
  const readOnly = { shell: false, exec: false, readOnly: true };
  const agent = await world.startAgent({ allowed: readOnly });
  hold(agent);
  writeFileSync(join(agent.dir, "kept"), "kept", { mode: 0o644 });
  const file = join(world.dir, "intruder");
  writeFileSync(file, "no");
  const before = contents(agent.dir);
  for (const change of [
    `put ${file} new`,
    `put ${file} kept`,
    "rm kept",
    "rename kept other",
    "mkdir new",
    "rmdir kept",
    "chmod 600 kept",
    "ln -s kept new",
    "ln kept new",
  ]) {
    const done = await client("sftp", ["-b", "-", "job@agent"], agent, `${change}\n`);
    assert.equal(done.status, 1, change);
    assert.match(done.stderr, /[Pp]ermission denied/, change);
  }
  assert.deepEqual(contents(agent.dir), before);
  agent.stop();
});

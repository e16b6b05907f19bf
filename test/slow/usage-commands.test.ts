/** The commands of the usage page as a person pastes them: wsproxy.sh, ssh, scp, rsync. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { type Choices, defaults } from "../../web/choices.ts";
import { commandsFor } from "../../web/commands.ts";
import { folder, program, run } from "../support/child.ts";
import { mirror, relay } from "../support/mirrored.ts";
import { clean, ended } from "../support/one-liner.ts";
import { jobFolder, relayProgram } from "../support/programs.ts";

describe("wsproxy.sh", () => {
  test("makes a command, says where, and makes it anew", async () => {
    const { dir } = jobFolder();
    const env = { ...clean, HOME: dir };
    const install = `curl -fsSL ${mirror.url}/wsproxy.sh | sh`;
    const file = join(dir, ".local/bin/wsproxy");
    const first = await run("sh", ["-c", install], { env });
    assert.equal(first.status, 0, first.stderr);
    assert.equal(
      first.stderr,
      `converge: fetching wsproxy.cjs\nconverge: ${file} is installed.\nconverge: ${dir}/.local/bin is not in your PATH. Add it: export PATH='${dir}/.local/bin':$PATH\n`,
    );
    rmSync(file);
    const second = await run("sh", ["-c", install], {
      env: { ...env, PATH: `${clean.PATH}:${dir}/.local/bin` },
    });
    assert.equal(second.stderr, `converge: ${file} is installed.\n`);
    assert.equal(statSync(file).mode & 0o777, 0o755);
    const { stdout } = await run(file, ["--version"], { env: { ...env, NODE_OPTIONS: "--bogus" } });
    assert.equal(stdout.toString(), "0.1.0\n");
  });

  test("without Node the executable takes its place, in a folder with a quote", async () => {
    const dir = join(folder(), "it's here");
    mkdirSync(dir);
    const { status, stderr } = await run(
      "sh",
      ["-c", `curl -fsSL ${relay.url}/wsproxy.sh | sh -s -- "$HOME/my bin"`],
      { env: { ...clean, HOME: dir, CONVERGE_STANDALONE: "1" } },
    );
    assert.equal(status, 0, stderr);
    const help = await run(join(dir, "my bin/wsproxy"), ["--help"]);
    assert.match(help.stdout.toString(), /^Usage: wsproxy /);
  });
});

for (const kind of ["open", "closed"] as const)
  test(`the usage page's own commands bring a person into the job, on a relay that is ${kind}`, async () => {
    const token = "a-token-that-is-long-enough";
    const policy = join(folder(), "policy.json");
    writeFileSync(join(dirname(policy), "agents.token"), token);
    writeFileSync(policy, JSON.stringify({ register: [{ tokenFile: "agents.token" }] }));
    const isOpen = kind === "open";
    const at = isOpen ? relay : await relayProgram(["--policy", policy]);
    const { dir, keyFile } = jobFolder();
    const keyText = readFileSync(join(dir, ".authorized_keys"), "utf8").trim();
    rmSync(join(dir, ".authorized_keys"));
    const choices: Choices = {
      ...defaults,
      ci: "shell",
      idFrom: "fixed",
      id: "from-the-page",
      keys: "text",
      keyText,
      timeout: "5m",
    };
    const { job, install, client, problems } = commandsFor(
      choices,
      at.url,
      isOpen ? null : { tokens: true, issuers: [] },
    );
    assert.deepEqual(problems, {});
    const env = { ...clean, HOME: dir, PATH: `${dir}/.local/bin:${clean.PATH}` };
    // What `admission` says of a plain shell.
    const inJob = isOpen ? env : { ...env, CONVERGE_REGISTER_TOKEN: token };
    const agent = program("sh", ["-c", job.code], { cwd: dir, env: inJob });
    await agent.see("rendez-vous id   from-the-page");
    writeFileSync(join(dir, ".hold"), "");
    assert.equal((await run("sh", ["-c", install.code], { env })).status, 0);
    const code = (id: string) => client.find((one) => one.id === id)?.code.trim() ?? "";
    const key = `-F/dev/null -i ${keyFile} -oIdentitiesOnly=yes`;
    const person = await run("sh", ["-c", `${code("ssh")} ${key} echo hello`], { cwd: dir, env });
    assert.deepEqual([person.status, person.stdout.toString()], [0, "hello\n"], person.stderr);
    writeFileSync(join(dir, "build.log"), "it failed\n");
    const into = folder();
    const copy = code("scp").replace("scp ", `scp ${key} `);
    assert.equal((await run("sh", ["-c", copy], { cwd: into, env })).status, 0);
    assert.equal(readFileSync(join(into, "build.log"), "utf8"), "it failed\n");
    mkdirSync(join(dir, "build"));
    writeFileSync(join(dir, "build/x"), "x");
    const sync = code("rsync").replace("'ssh ", `'ssh ${key} `);
    const synced = await run("sh", ["-c", sync], { cwd: into, env });
    assert.equal(synced.status, 0, synced.stderr);
    assert.equal(readFileSync(join(into, "build/x"), "utf8"), "x");
    const listed = await run("sh", ["-c", code("sftp").replace("sftp ", `sftp -b- ${key} `)], {
      ...{ cwd: into, env },
      input: "ls build.log\n",
    });
    assert.match(listed.stdout.toString(), /\nbuild\.log\s*\n/, listed.stderr);
    for (const block of ["config", "config-all"]) {
      writeFileSync(join(into, "config"), code(block));
      const short = `ssh -F config -i ${keyFile} -oIdentitiesOnly=yes from-the-page.converge echo short`;
      const said = await run("sh", ["-c", short], { cwd: into, env });
      assert.equal(said.stdout.toString(), "short\n", said.stderr);
    }
    rmSync(join(dir, ".hold")); // nobody is there, so the job goes on
    await ended(agent);
  });

test("the line of an empty sessions page works in an empty folder", async () => {
  const { dir } = jobFolder();
  const home = folder();
  mkdirSync(join(home, ".ssh"));
  writeFileSync(join(home, ".ssh/id_ed25519.pub"), readFileSync(join(dir, ".authorized_keys")));
  const page = await (await fetch(`${relay.url}/sessions`)).text();
  const [, shown = ""] = /<code id="start">([^<]+)</.exec(page) ?? [];
  const line = shown.replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  const env = { ...clean, HOME: home, CONVERGE_JOIN_TIMEOUT: "3s" };
  const agent = program("sh", ["-c", line], { cwd: folder(), env });
  await agent.see("Who may log in: one key");
  await ended(agent);
});

test("from nothing to a shell: three things to paste, in less than a minute", async () => {
  const began = performance.now();
  const { dir, keyFile } = jobFolder();
  const [jobHome, home] = [folder(), folder()];
  for (const at of [jobHome, home]) mkdirSync(join(at, ".ssh"));
  writeFileSync(join(jobHome, ".ssh/id_x.pub"), readFileSync(join(dir, ".authorized_keys")));
  copyFileSync(keyFile, join(home, "key"));
  const page = await (await fetch(`${relay.url}/sessions`)).text();
  const [, shown = ""] = /<code id="start">([^<]+)</.exec(page) ?? [];
  const first = shown.replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  const job = program("sh", ["-c", first], { cwd: folder(), env: { ...clean, HOME: jobHome } });
  await job.see("To end it before that");
  // What the log of the job says, and nothing else.
  const [, second = ""] = /^ {2}(curl .*)$/m.exec(job.out()) ?? [];
  const [, third = ""] = /^ {2}(ssh .*)$/m.exec(job.out()) ?? [];
  const env = { ...clean, HOME: home, PATH: `${home}/.local/bin:${clean.PATH}` };
  assert.equal((await run("sh", ["-c", second], { env })).status, 0);
  const key = third.replace("ssh ", "ssh -F/dev/null -i key -oIdentitiesOnly=yes ");
  const shell = await run("sh", ["-c", `${key} -tt`], {
    cwd: home,
    env,
    input: "echo 4$((1))2; exit\n",
  });
  assert.match(shell.stdout.toString(), /\b412\b/, shell.stderr);
  await ended(job);
  assert.ok(performance.now() - began < 60_000);
});

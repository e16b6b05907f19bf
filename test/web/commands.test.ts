/** The usage page's commands for the job, given to real shells with hostile choices. */
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { type Choices, problemsOf } from "../../web/choices.ts";
import { commandsFor } from "../../web/commands.ts";
import { systemNames, systems } from "../../web/systems.ts";
import { run } from "../support/child.ts";

import {
  base,
  dir,
  failed,
  fixed,
  hostile,
  record,
  recorded,
  scriptIn,
} from "../support/usage-shell.ts";

for (const name of systemNames)
  describe(`the job's snippet for ${systems[name].label}`, () => {
    for (const shell of ["dash", "bash"])
      for (const text of hostile)
        test(`${shell} hands on ${JSON.stringify(text)}`, async () => {
          const keyUrl = `https://x.example/${encodeURI(text.trim())}'$(x)?a=b&c="d"`;
          const choices = { ...fixed, ci: name, shells: text, keyUrl, timeout: "15m" };
          const { job, problems } = commandsFor(choices, base);
          assert.deepEqual(problems, {});
          // Nothing that any of the systems would replace before the shell sees it.
          assert.doesNotMatch(job.code, /\$[{([$]|<</);
          rmSync(record, { force: true });
          const script = scriptIn(name, job.code);
          const done = await run(shell, ["-e", "-c", script], { env: failed, cwd: dir });
          assert.deepEqual([done.status, done.stderr], [0, ""]);
          const url = new URL(keyUrl).href;
          const want = ["--id", "my-id", "--authorized-keys-url", url];
          assert.deepEqual(recorded(), [...want, "--shells", text, "--timeout", "15m"]);
        });

    test("takes the id and the keys from the job's variables", async () => {
      const { id, actorKeys } = systems[name];
      const variables = [...`${id ?? ""} ${actorKeys ?? ""}`.matchAll(/\{(\w+)\}/g)];
      const env = Object.fromEntries(variables.map(([, key = ""]) => [key, `<${key} $HOME>`]));
      const of = (template: string) => template.replace(/\{(\w+)\}/g, "<$1 $$HOME>");
      const choices: Choices = {
        ...fixed,
        ci: name,
        idFrom: "variable",
        keys: actorKeys ? "actor" : "url",
      };
      const { job, problems } = commandsFor(choices, base);
      assert.deepEqual(Object.keys(problems), id ? [] : ["idFrom"]);
      const script = scriptIn(name, job.code);
      await run("dash", ["-c", script], { env: { ...env, ...failed }, cwd: dir });
      const want = id ? ["--id", of(id)] : ["--id", "my-id"];
      const keys = actorKeys ? of(actorKeys) : "https://x.example/a.keys";
      assert.deepEqual(recorded(), [...want, "--authorized-keys-url", keys]);
    });
  });

test("what nobody checks says so, in each block of it", () => {
  const unchecked = (fingerprint: string): string[] =>
    commandsFor({ ...fixed, fingerprint }, base)
      .client.filter(({ isUnchecked }) => isUnchecked)
      .map(({ id }) => id);
  const all = ["ssh", "sftp", "scp", "rsync", "config", "vscode", "config-all"];
  assert.deepEqual(unchecked(""), all);
  assert.deepEqual(unchecked(`SHA256:${"a/b+".repeat(10)}abc`), ["config-all"]);
});

test("snippets for Windows are as parseable, and keep their values in quotes", () => {
  for (const ci of systemNames)
    for (const agentOs of ["powershell", "cmd"] as const) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the same
      const shells = agentOs === "cmd" ? "C:\\it's\\sh.exe" : "it's ${{ x }} \u2019 << y";
      const { job, problems } = commandsFor({ ...fixed, ci, agentOs, shells }, base);
      assert.deepEqual(problems, {});
      if (!["shell", "jenkins", "buildkite"].includes(ci)) assert.ok(parse(job.code));
      const isCmd = agentOs === "cmd" && systems[ci].hasCmd;
      const want = isCmd
        ? '--shells "C:\\it\'s\\sh.exe"'
        : agentOs === "cmd"
          ? "--shells 'C:\\it''s\\sh.exe'"
          : "--shells ('it''s $'+'{{ x }} \u2019\u2019 <'+'<'+' y')";
      const said = ci === "jenkins" ? want.replaceAll("\\", "\\\\").replaceAll("'", "\\'") : want;
      assert.ok(job.code.includes(said), job.code);
    }
});

test("a step that failed to fetch the agent ends with 3, one that did not fail starts nothing", async () => {
  const nowhere = commandsFor({ ...fixed, ci: "shell" }, "http://127.0.0.1:1").job.code;
  const env = { PATH: failed.PATH };
  assert.equal((await run("dash", ["-c", nowhere], { env, cwd: dir })).status, 3);
  for (const ci of ["gitlab", "bitbucket", "buildkite"] as const) {
    rmSync(record, { force: true });
    const script = scriptIn(ci, commandsFor({ ...fixed, ci }, base).job.code);
    const good = { CI_JOB_STATUS: "success", BITBUCKET_EXIT_CODE: "0" };
    await run("dash", ["-c", script], {
      env: { ...env, ...good, BUILDKITE_COMMAND_EXIT_STATUS: "0" },
      cwd: dir,
    });
    assert.throws(recorded, { code: "ENOENT" });
  }
});

test("pasted keys are written as they are, whatever their comments say", async () => {
  const blob = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
  const lines = [
    `ssh-ed25519 ${blob} it's "me" $(touch gone)`,
    `command="echo \\"hi\\" 100%",no-pty ssh-ed25519 ${blob} \${{ x }} 日本`,
  ];
  const keyText = `# friends\r\n${lines[0]}\r\n\r\n  ${lines[1]}`.replaceAll("\r\n", "\n");
  for (const ci of systemNames) {
    rmSync(join(dir, ".authorized_keys"), { force: true });
    const { job, problems } = commandsFor({ ...fixed, ci, keys: "text", keyText }, base);
    assert.deepEqual(problems, {});
    await run("dash", ["-e", "-c", scriptIn(ci, job.code)], { env: failed, cwd: dir });
    assert.equal(readFileSync(join(dir, ".authorized_keys"), "utf8"), `${lines.join("\n")}\n`);
    assert.deepEqual(recorded(), ["--id", "my-id"]);
  }
});

describe("what cannot be right is left out and said", () => {
  for (const [name, over, field, sentence] of [
    ["an id", { id: "a b" }, "id", "An id is 1 to 128 of A-Z a-z 0-9 . _ - and not . or .. alone."],
    [
      "the parent folder as id",
      { id: ".." },
      "id",
      "An id is 1 to 128 of A-Z a-z 0-9 . _ - and not . or .. alone.",
    ],
    ["a timeout", { timeout: "soon" }, "timeout", "Write 90s, 30m or 2h."],
    [
      "warnings",
      { warn: "5m,x" },
      "warn",
      "Write durations with commas between them, such as 5m,1m,10s.",
    ],
    [
      "a key URL",
      { keyUrl: "file:///etc/shadow" },
      "keyUrl",
      "Write the URL of a list of keys, such as https://github.com/you.keys.",
    ],
    ["no key file", { keys: "file" }, "keyFile", "Name the file, such as ci/authorized_keys."],
    [
      "keys that are none",
      { keys: "text", keyText: "hello" },
      "keyText",
      "Paste public keys, one a line, such as ssh-ed25519 AAAA… you@laptop.",
    ],
    [
      "a private key",
      { keys: "text", keyText: "-----BEGIN OPENSSH PRIVATE KEY-----" },
      "keyText",
      "That is a PRIVATE key. It was not used; keep it to yourself, and paste the line of the .pub file.",
    ],
    [
      "a fingerprint",
      { fingerprint: "MD5:aa" },
      "fingerprint",
      "The job's log has it: SHA256: and 43 characters.",
    ],
    [
      "hidden characters",
      { shells: "zsh\u202e" },
      "shells",
      "There are invisible characters in it. Type it instead of pasting it.",
    ],
    [
      "an escape",
      { shells: "zsh\x1b[2J" },
      "shells",
      "There are invisible characters in it. Type it instead of pasting it.",
    ],
    [
      "the actor where nobody tells",
      { ci: "jenkins", keys: "actor" },
      "keys",
      "Jenkins does not tell whose keys those are. Name a URL, a file or the keys.",
    ],
    [
      "a quote for PowerShell",
      { agentOs: "powershell", shells: 'a"b' },
      "shells",
      "PowerShell cannot write a double quote safely.",
    ],
    [
      "a percent sign for cmd",
      { agentOs: "cmd", shells: "%PATH%" },
      "shells",
      'cmd cannot write one of " % ! $ < > & | ^ or a line end safely.',
    ],
  ] as const)
    test(name, () => {
      const choices: Choices = { ...fixed, ...over };
      const { job, client, problems } = commandsFor(choices, "https://r.example");
      assert.deepEqual(problems, { [field]: sentence });
      const value = String(choices[field]);
      const all = [job, ...client].map(({ code }) => code).join("\n");
      if (value.length > 1 && value !== "..") assert.ok(!all.includes(value), all);
    });

  test("good choices have no problems", () => assert.deepEqual(problemsOf(fixed), {}));
});

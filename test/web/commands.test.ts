/**
 * The usage page's commands, given to real shells and real ssh programs with hostile choices. What
 * starts is a recorder, so that not one character of an argument can get lost unseen.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { type Choices, defaults, platforms, problemsOf } from "../../web/choices.ts";
import { commandsFor } from "../../web/commands.ts";
import { type SystemName, systemNames, systems } from "../../web/systems.ts";
import type { Admission } from "../../web/tokens.ts";
import { run } from "../support/child.ts";

const dir = mkdtempSync(join(tmpdir(), "converge-usage-"));
const record = join(dir, "record");
const bin = join(dir, "bin");
let server: Server;
let base = "";
/** Paths that were asked for. */
const asked: string[] = [];

/** Notes its arguments, one a NUL; in `sh`, since it stands in for whatever is started. */
const recorder = `for word in "$@"; do printf '%s\\0' "$word"; done > '${record}'\n`;
const recorded = (): string[] => readFileSync(record, "utf8").split("\0").slice(0, -1);

before(async () => {
  mkdirSync(bin);
  writeFileSync(join(bin, "wsproxy"), `#!/bin/sh\n${recorder}`);
  chmodSync(join(bin, "wsproxy"), 0o755);
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end(recorder);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const fixed: Choices = {
  ...defaults,
  idFrom: "fixed",
  id: "my-id",
  keys: "url",
  keyUrl: "https://x.example/a.keys",
};

/** What people and their enemies type; the last ones are for the CI systems' own replacements. */
const hostile = [
  "two words",
  `it's "quoted" \`id\``,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what a shell or a CI system would replace
  "$(touch gone) ${HOME} $HOME !! \\ \\\\ *",
  "first\nsecond\n\n   third",
  "zażółć gęślą jaźń 日本 🦊",
  "-rf ; rm x & | < > # ~ = {a,b} %d",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the same
  "${{ secrets.TOKEN }} $(System.AccessToken) << pipeline.id >> $[ 1 ] $${X} $$",
];

/** The lines that the CI system gives to the shell. */
function scriptIn(name: SystemName, code: string): string {
  if (name === "shell" || name === "buildkite") return code;
  if (name === "jenkins") {
    const [, literal = ""] = /sh '''\n([\s\S]*)\n'''/.exec(code) ?? [];
    assert.doesNotMatch(literal.replace(/\\[\s\S]/g, ""), /'/, "the Groovy literal ends early");
    return literal.replace(/\\([\s\S])/g, "$1");
  }
  const read = parse(code);
  const [step] = [read].flat();
  const lines = {
    github: () => step.run,
    gitlab: () => read["my-job"].after_script[0],
    circleci: () => step.run.command,
    azure: () => step.script,
    bitbucket: () => read["after-script"][0],
    drone: () => step.commands[0],
    woodpecker: () => step.commands[0],
  }[name]();
  assert.equal(typeof lines, "string");
  return lines;
}

const failed = {
  CI_JOB_STATUS: "failed",
  BITBUCKET_EXIT_CODE: "1",
  BUILDKITE_COMMAND_EXIT_STATUS: "1",
  PATH: `${bin}:${process.env["PATH"]}`,
};

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

const closed: Admission = {
  tokens: true,
  issuers: [
    { issuer: "https://token.actions.githubusercontent.com", audience: "https://r.example/?a b" },
    { issuer: "https://git.example.com", audience: "https://r.example" },
    { issuer: "https://oidc.circleci.com/org/1", audience: "it's" },
    { issuer: "https://agent.buildkite.com", audience: "r" },
    {
      issuer: "https://api.bitbucket.org/2.0/workspaces/w/pipelines-config/identity/oidc",
      audience: "ari:cloud",
    },
  ],
};
const sharedOnly: Admission = { tokens: true, issuers: [] };

describe("a relay that wants a token is given one", () => {
  /** What stands in for the programs and servers that hand tokens out; all say the same. */
  const token = "the.signed_token-1";
  before(() => {
    for (const [name, say] of [
      ["curl", `case "$*" in *audience*) echo '{"count":1,"value":"${token}"}';; *) cat;; esac`],
      ["circleci", `echo ${token}`],
      ["buildkite-agent", `echo ${token}`],
    ] as const) {
      writeFileSync(join(dir, "bin", `${name}-stub`), `#!/bin/sh\n${say}\n`);
      chmodSync(join(dir, "bin", `${name}-stub`), 0o755);
    }
  });
  const stubs = (lines: string): string =>
    lines.replace(/\b(curl -sSf|circleci|buildkite-agent)(?= )/g, (_, name: string) =>
      name.startsWith("curl") ? "curl-stub" : `${name}-stub`,
    );
  const tail = `printf %s "$CONVERGE_REGISTER_TOKEN"`;
  const upTo = (script: string): string => stubs(script.slice(0, script.indexOf("{ curl")));

  for (const ci of ["github", "circleci", "buildkite", "bitbucket"] as const)
    for (const shell of ["dash", "bash"])
      test(`${shell} asks for the one that ${systems[ci].label} signs`, async () => {
        const { job, admission } = commandsFor({ ...fixed, ci }, base, closed);
        assert.match(admission ?? "", /signs for the job/);
        const env = {
          ...failed,
          BITBUCKET_STEP_OIDC_TOKEN: token,
          ACTIONS_ID_TOKEN_REQUEST_URL: "http://x/?y",
        };
        const got = await run(shell, ["-e", "-c", upTo(scriptIn(ci, job.code)) + tail], {
          env,
          cwd: dir,
        });
        assert.deepEqual([got.status, got.stdout.toString()], [0, token], got.stderr);
      });

  test("YAML carries the rest: permissions, id_tokens, oidc, env, from_secret", () => {
    const of = (ci: SystemName, admission: Admission) =>
      commandsFor({ ...fixed, ci }, base, admission);
    assert.deepEqual(parse(of("github", closed).beside?.code ?? ""), {
      permissions: { contents: "read", "id-token": "write" },
    });
    assert.deepEqual(parse(of("gitlab", closed).job.code)["my-job"].id_tokens, {
      CONVERGE_REGISTER_TOKEN: { aud: "https://r.example" },
    });
    assert.equal(parse(of("bitbucket", closed).job.code).oidc, true);
    const name = "CONVERGE_REGISTER_TOKEN";
    // biome-ignore lint/suspicious/noTemplateCurlyInString: GitHub's own
    const secret = "${{ secrets.CONVERGE_REGISTER_TOKEN }}";
    assert.deepEqual(parse(of("github", sharedOnly).job.code)[0].env, { [name]: secret });
    assert.deepEqual(parse(of("azure", closed).job.code)[0].env, { [name]: `$(${name})` });
    for (const ci of ["drone", "woodpecker"] as const)
      assert.deepEqual(parse(of(ci, closed).job.code)[0].environment, {
        [name]: { from_secret: "converge_register_token" },
      });
    assert.match(of("jenkins", closed).job.code, /withCredentials\(\[string\(/);
  });

  test("each system says where its people keep a shared token, and an open relay says nothing", () => {
    for (const ci of systemNames) {
      const said = commandsFor({ ...fixed, ci }, base, sharedOnly).admission ?? "";
      assert.ok(said.endsWith(systems[ci].secret), said);
      const { admission, beside, job } = commandsFor({ ...fixed, ci }, base);
      assert.deepEqual([admission, beside], [null, null]);
      assert.doesNotMatch(job.code, /token/i);
    }
  });

  test("a system whose tokens the relay does not take is told so", () => {
    const { admission, job } = commandsFor({ ...fixed, ci: "drone" }, base, {
      tokens: false,
      issuers: [{ issuer: "https://agent.buildkite.com", audience: "r" }],
    });
    assert.match(
      admission ?? "",
      /^This relay lets in agents of other CI systems only: Drone has no/,
    );
    assert.doesNotMatch(job.code, /TOKEN/);
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

describe("the client's commands", () => {
  const bases = [
    "https://relay.example",
    "http://[::1]:8000/ci",
    "https://relay.example/it's/$(touch gone)/50%/a b",
  ];
  const fingerprint = `SHA256:${"a/b+".repeat(10)}abc`;
  for (const clientOs of ["linux", "macos"] as const)
    for (const at of bases)
      test(`on ${platforms[clientOs]} lead to ${at}`, async () => {
        const choices = { ...fixed, clientOs, fingerprint, insecure: true };
        const { client, problems } = commandsFor(choices, at);
        assert.deepEqual(problems, {});
        const code = (id: string) => client.find((snippet) => snippet.id === id)?.code ?? "";
        const config = join(dir, "config");
        writeFileSync(config, code("config"));
        for (const [id, line] of [
          ["ssh", code("ssh")],
          ["sftp", code("sftp")],
          ["scp", code("scp")],
          ["rsync", code("rsync")],
          ["config", `ssh -F '${config}' my-id.converge`],
        ] as const) {
          rmSync(record, { force: true });
          const env = { PATH: failed.PATH, SHELL: "/bin/sh" };
          await run("sh", ["-c", line], { env, cwd: dir }); // ends as soon as the recorder did
          const want = ["--insecure", "--fingerprint", fingerprint, `${at}/client/my-id`];
          assert.deepEqual(recorded(), want, id);
        }
      });

  test("on Windows have the null device of Windows and no rsync", () => {
    for (const [clientOs, want] of [
      [
        "cmd",
        'ssh "-oProxyCommand=cmd /c wsproxy https://r.example/client/my-id" "-oUserKnownHostsFile=NUL" "-oStrictHostKeyChecking=accept-new" "-oLogLevel=ERROR" job@my-id\n',
      ],
      [
        "powershell",
        "ssh '-oProxyCommand=cmd /c wsproxy https://r.example/client/my-id' '-oUserKnownHostsFile=NUL' '-oStrictHostKeyChecking=accept-new' '-oLogLevel=ERROR' job@my-id\n",
      ],
    ] as const) {
      const { client } = commandsFor({ ...fixed, clientOs }, "https://r.example");
      assert.equal(client.find(({ id }) => id === "ssh")?.code, want);
      assert.equal(
        client.some(({ id }) => id === "rsync"),
        false,
      );
    }
  });
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

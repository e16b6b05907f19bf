/** Shells: which is found, how it is started, and what is in its environment. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type SessionFacts, sessionEnvironment } from "../../src/io/session-environment.ts";
import { commandArgs, findShell, interactiveArgs } from "../../src/io/shells.ts";

const folder = mkdtempSync(join(tmpdir(), "shells-"));
after(() => rmSync(folder, { recursive: true }));

/** A folder for PATH with these programs in it; one with a dash in front cannot be executed. */
function bin(name: string, ...programs: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const program of programs) {
    const file = join(path, program.replace(/^-/, ""));
    writeFileSync(file, "#!/bin/sh\n");
    chmodSync(file, program.startsWith("-") ? 0o644 : 0o755);
  }
  return path;
}

const many = bin("many", "sh", "dash", "zsh", "bash", "tcsh", "nologin", "false");
const few = bin("few", "ksh", "sh", "-fish");
const later = bin("later", "fish");
const none = bin("none", "ls", "-sh");
mkdirSync(join(none, "bash"));

for (const [name, first, env, account, want] of [
  ["the default order", [], { PATH: many }, null, [join(many, "bash"), "bash"]],
  ["$SHELL comes first", [], { PATH: many, SHELL: `${many}/zsh` }, null, [`${many}/zsh`, "zsh"]],
  ["then the passwd entry", [], { PATH: many }, `${many}/dash`, [`${many}/dash`, "dash"]],
  [
    "$SHELL before the passwd entry",
    [],
    { PATH: many, SHELL: `${many}/zsh` },
    `${many}/dash`,
    [`${many}/zsh`, "zsh"],
  ],
  [
    "an account that turns people away",
    [],
    { PATH: many, SHELL: `${many}/nologin` },
    `${many}/false`,
    [`${many}/bash`, "bash"],
  ],
  ["$SHELL that is no path", [], { PATH: many, SHELL: "zsh" }, "", [`${many}/bash`, "bash"]],
  ["$SHELL that is gone", [], { PATH: many, SHELL: "/gone/zsh" }, null, [`${many}/bash`, "bash"]],
  [
    "--shells before everything",
    ["nosuch", "tcsh"],
    { PATH: many, SHELL: `${many}/zsh` },
    `${many}/zsh`,
    [`${many}/tcsh`, "tcsh"],
  ],
  ["--shells by path", [`${few}/ksh`], { PATH: many }, null, [`${few}/ksh`, "ksh"]],
  ["--shells, even one that refuses", ["false"], { PATH: many }, null, [`${many}/false`, "false"]],
  [
    "--shells, missing and not executable",
    [`${few}/gone`, `${few}/fish`, few],
    { PATH: few },
    null,
    [`${few}/ksh`, "ksh"],
  ],
  [
    "not executable in one folder, so the next",
    ["fish"],
    { PATH: `${few}:${later}` },
    null,
    [`${later}/fish`, "fish"],
  ],
  [
    "relative names and folders do not count",
    ["./sh", "", "bin/sh"],
    { PATH: `:.:${few}` },
    null,
    [`${few}/ksh`, "ksh"],
  ],
] as const) {
  test(`found: ${name}`, () => {
    const [path, called] = want;
    assert.deepEqual(findShell({ first, env, platform: "linux", accountShell: () => account }), {
      path,
      name: called,
    });
  });
}

test("found: in no folder that depends on where the agent was started", () => {
  assert.deepEqual(
    findShell({
      first: ["nu"],
      env: { PATH: ":.:bin:/abs" },
      platform: "linux",
      isExecutable: () => true,
    }),
    { path: "/abs/nu", name: "nu" },
  );
});

const windows = new Set([
  "C:\\Windows\\cmd.exe",
  "C:\\PS\\pwsh.exe",
  "C:\\Git\\bash.exe",
  "C:\\Odd\\nu.bat",
]);
for (const [name, first, env, want] of [
  [
    "the default order",
    [],
    { Path: "C:\\Windows;C:\\PS;C:\\Git" },
    { path: "C:\\PS\\pwsh.exe", name: "pwsh" },
  ],
  [
    "$SHELL does not count",
    [],
    { PATH: "C:\\Windows", SHELL: "C:\\Git\\bash.exe" },
    { path: "C:\\Windows\\cmd.exe", name: "cmd" },
  ],
  [
    "--shells with an ending",
    ["bash.exe"],
    { PATH: "C:\\Windows;C:\\Git" },
    { path: "C:\\Git\\bash.exe", name: "bash" },
  ],
  [
    "PATHEXT",
    ["nu"],
    { PATH: "C:\\Odd;C:\\Windows", PATHEXT: ".EXE;.BAT" },
    { path: "C:\\Odd\\nu.bat", name: "nu" },
  ],
  [
    "by path",
    ["C:\\Git\\bash.exe"],
    { PATH: "C:\\PS" },
    { path: "C:\\Git\\bash.exe", name: "bash" },
  ],
] as const) {
  test(`found on Windows: ${name}`, () => {
    const isExecutable = (path: string): boolean => windows.has(path);
    assert.deepEqual(findShell({ first, env, platform: "win32", isExecutable }), want);
  });
}

for (const [platform, first, list] of [
  ["linux", [], "bash, zsh, fish, ash, dash, ksh, sh"],
  ["darwin", ["nu"], "nu, bash, zsh, fish, ash, dash, ksh, sh"],
  ["win32", ["nu"], "nu, pwsh, powershell, cmd, bash"],
] as const) {
  test(`none is found: ${platform}`, () => {
    assert.throws(
      () => findShell({ first, env: { PATH: none }, platform, accountShell: () => null }),
      {
        name: "ConvergeError",
        code: "CONVERGE_NO_SHELL",
        message: `None of the shells ${list} was found. Name one that exists with --shells.`,
      },
    );
  });
}

test("this machine has a shell, and without PATH as well", () => {
  assert.match(findShell({ first: ["sh"], env: {} }).path, /^\/.*\/sh$/);
});

for (const [name, interactive, command] of [
  ["bash", [], ["-c", "echo 'a b'"]],
  ["zsh", [], ["-c", "echo 'a b'"]],
  ["fish", [], ["-c", "echo 'a b'"]],
  ["ash", [], ["-c", "echo 'a b'"]],
  ["dash", [], ["-c", "echo 'a b'"]],
  ["ksh", [], ["-c", "echo 'a b'"]],
  ["sh", [], ["-c", "echo 'a b'"]],
  ["nu", [], ["-c", "echo 'a b'"]],
  ["pwsh", ["-NoLogo"], ["-NoLogo", "-NoProfile", "-Command", "echo 'a b'"]],
  ["PowerShell", ["-NoLogo"], ["-NoLogo", "-NoProfile", "-Command", "echo 'a b'"]],
  ["cmd", [], ["/d", "/s", "/c", "\"echo 'a b'\""]],
] as const) {
  test(`arguments: ${name}`, () => {
    const shell = { path: `/bin/${name}`, name };
    assert.deepEqual(interactiveArgs(shell), interactive);
    assert.deepEqual(commandArgs(shell, "echo 'a b'"), command);
  });
}

const bare: SessionFacts = {
  job: {},
  agentdir: "/build",
  rendezvous: "blue-fox",
  marker: "m1",
  shell: { path: "/bin/bash", name: "bash" },
  client: { address: "192.0.2.7", port: 50_000 },
  server: { address: "127.0.0.1", port: 22 },
  term: null,
  agentSocket: null,
  originalCommand: null,
  requested: {},
  keyEnvironment: {},
};
const always = {
  agentdir: "/build",
  CONVERGE_RENDEZVOUS_ID: "blue-fox",
  CONVERGE_SESSION: "m1",
  SHELL: "/bin/bash",
  SSH_CLIENT: "192.0.2.7 50000 22",
  SSH_CONNECTION: "192.0.2.7 50000 127.0.0.1 22",
};

for (const [name, facts, want] of [
  ["nothing but its own", {}, {}],
  ["the job's own", { job: { PATH: "/bin", "odd.name": "1" } }, { PATH: "/bin", "odd.name": "1" }],
  [
    "nothing of the agent",
    {
      job: {
        CONVERGE_RELAY_URL: "x",
        converge_TOKEN: "y",
        CONVERGE_SESSION: "outer",
        MY_CONVERGE_: "z",
      },
    },
    { MY_CONVERGE_: "z" },
  ],
  ["what is not set", { job: { GONE: undefined, EMPTY: "" } }, { EMPTY: "" }],
  ["a terminal", { term: "xterm" }, { TERM: "xterm", SSH_TTY: "/dev/tty" }],
  [
    "nothing of the terminal in which the agent was started",
    { term: "xterm", job: { TERM: "screen", TMUX: "x", STY: "y", COLUMNS: "80", LINES: "24" } },
    { TERM: "xterm", SSH_TTY: "/dev/tty" },
  ],
  ["no terminal", { job: { TERM: "dumb", COLUMNS: "132" } }, { TERM: "dumb", COLUMNS: "132" }],
  [
    "nothing of the ssh session in which the agent was started",
    { job: { SSH_TTY: "/dev/pts/1", SSH_ORIGINAL_COMMAND: "x", SSH_CLIENT: "y" } },
    {},
  ],
  ["the job's ssh-agent", { job: { SSH_AUTH_SOCK: "/job" } }, { SSH_AUTH_SOCK: "/job" }],
  [
    "the client's ssh-agent",
    { job: { SSH_AUTH_SOCK: "/job" }, agentSocket: "/client" },
    { SSH_AUTH_SOCK: "/client" },
  ],
  ["a forced command", { originalCommand: "ls -l" }, { SSH_ORIGINAL_COMMAND: "ls -l" }],
  [
    "what a client may ask for",
    {
      requested: {
        LANG: "de_DE.UTF-8",
        LC_ALL: "C",
        COLORTERM: "truecolor",
        TERM_PROGRAM: "iTerm.app",
        TERM_PROGRAM_VERSION: "3",
      },
    },
    {
      LANG: "de_DE.UTF-8",
      LC_ALL: "C",
      COLORTERM: "truecolor",
      TERM_PROGRAM: "iTerm.app",
      TERM_PROGRAM_VERSION: "3",
    },
  ],
  [
    "what a client may not ask for",
    {
      job: { PATH: "/bin" },
      requested: {
        PATH: "/evil",
        LD_PRELOAD: "/evil.so",
        NODE_OPTIONS: "--require x",
        BASH_ENV: "/evil",
        TZ: "UTC",
        LANGUAGE: "de",
        XLANG: "x",
        "LC_\n": "x",
        lc_all: "x",
        LC_NUL: "a\0b",
        LC_LONG: "x".repeat(4097),
        CONVERGE_SESSION: "m2",
        agentdir: "/evil",
        TERM: "evil",
      },
    },
    { PATH: "/bin" },
  ],
  [
    "the key's own, which win over the client's and not over the session's",
    {
      requested: { LANG: "C" },
      keyEnvironment: { LANG: "fr", GIT_AUTHOR: "x", "": "y", "A=B": "z", CONVERGE_SESSION: "m2" },
    },
    { LANG: "fr", GIT_AUTHOR: "x" },
  ],
  [
    "the job's NODE_OPTIONS, kept by the bootstrap",
    { job: { NODE_OPTIONS: "", CONVERGE_NODE_OPTIONS: "--max-old-space-size=4096" } },
    { NODE_OPTIONS: "--max-old-space-size=4096" },
  ],
  [
    "no NODE_OPTIONS before the bootstrap",
    { job: { NODE_OPTIONS: "", CONVERGE_NODE_OPTIONS: "" } },
    {},
  ],
  ["NODE_OPTIONS without a bootstrap", { job: { NODE_OPTIONS: "-x" } }, { NODE_OPTIONS: "-x" }],
] as const satisfies readonly (readonly [
  string,
  Partial<SessionFacts>,
  Record<string, string>,
])[]) {
  test(`environment: ${name}`, () => {
    const job = "job" in facts ? facts.job : bare.job;
    const before = { ...job };
    assert.deepEqual(sessionEnvironment({ ...bare, ...facts }), { ...always, ...want });
    assert.deepEqual(job, before, "the job's own is left alone");
  });
}

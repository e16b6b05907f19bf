/** The session environment: what a shell or command starts with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type SessionFacts,
  sessionEnvironment,
} from "../../../../src/io/agent/shell/environment.ts";

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
  [
    "on Windows one of each name, in whatever case it came",
    {
      platform: "win32",
      job: { Path: "C:\\job", TEMP: "t" },
      keyEnvironment: { PATH: "C:\\key", temp: "k" },
    },
    { Path: "C:\\key", TEMP: "k" },
  ],
  [
    "elsewhere names in two cases are two",
    { platform: "linux", job: { Path: "1" }, keyEnvironment: { PATH: "2" } },
    { Path: "1", PATH: "2" },
  ],
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

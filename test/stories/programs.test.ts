/** The programs as a user starts them: help, and wrong flags. */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { jobFolder, ours } from "../support/programs.ts";
import { root } from "../support/shipped.ts";

const relay = "http://127.0.0.1:9";
const client = `${relay}/client/x`;
const durations = "Write 90s, 30m or 2h, at most a year.";
const urls = "Write https://host[/context], wss://…, http://… or ws://….";
const listens = "Write PORT, HOST:PORT or [IPv6]:PORT.";

type Wrong = readonly ["agent" | "wsproxy" | "converge", readonly string[], string | RegExp];

const invalid = (flag: string, value: string, why: string): string =>
  `error: option '${flag}' argument '${value}' is invalid. ${why}\n`;

const wrongFlags: readonly Wrong[] = [
  ["agent", ["--timeout", "10", relay], invalid("--timeout <duration>", "10", durations)],
  [
    "agent",
    ["--timeout", "ten minutes", relay],
    invalid("--timeout <duration>", "ten minutes", durations),
  ],
  ["agent", ["--timeout", "-5m", relay], invalid("--timeout <duration>", "-5m", durations)],
  [
    "agent",
    ["--timeout", "1s", relay],
    invalid("--timeout <duration>", "1s", "A timeout is at least 3s."),
  ],
  ["agent", ["--timeout", "99999h", relay], invalid("--timeout <duration>", "99999h", durations)],
  ["agent", ["--warn", "5m,,1m", relay], invalid("--warn <list>", "5m,,1m", durations)],
  ["agent", ["--warn", "5m,x", relay], invalid("--warn <list>", "5m,x", durations)],
  [
    "agent",
    ["--exit-code-on-timeout", "256", relay],
    invalid("--exit-code-on-timeout <n>", "256", "Write a number from 0 to 255."),
  ],
  [
    "agent",
    ["--log-level", "loud", relay],
    /^error: option '--log-level <level>' argument 'loud' is invalid\. Write one of .*\.\n$/,
  ],
  [
    "agent",
    ["--authorized-keys-url", "ftp://keys", relay],
    invalid("--authorized-keys-url <url>", "ftp://keys", "Write https://… or http://…."),
  ],
  [
    "agent",
    ["--id", "a b", relay],
    "converge: An --id is 1 to 128 of the characters A-Z a-z 0-9 . _ - and not . or .. alone.\n",
  ],
  [
    "agent",
    ["--id", "..", relay],
    "converge: An --id is 1 to 128 of the characters A-Z a-z 0-9 . _ - and not . or .. alone.\n",
  ],
  ["agent", ["relay.example.com"], `converge: relay.example.com: ${urls}\n`],
  ["agent", ["ftp://relay.example.com"], `converge: ftp://relay.example.com: ${urls}\n`],
  [
    "agent",
    ["https://me:secret@relay.example.com"],
    /^converge: .*A relay's URL has no user, no \? and no #\.\n$/,
  ],
  ["agent", ["--frobnicate", relay], "error: unknown option '--frobnicate'\n"],
  ["agent", [relay, "another"], /^error: too many arguments.*\n$/],
  ["agent", ["--timeout"], "error: option '--timeout <duration>' argument missing\n"],
  ["agent", ["--ca", "/nowhere.pem", relay], /^converge: --ca \/nowhere\.pem: ENOENT.*\.\n$/],
  ["wsproxy", ["--wait", "soon", client], invalid("--wait <duration>", "soon", durations)],
  ["wsproxy", ["--listen", "70000", client], invalid("--listen <[host:]port>", "70000", listens)],
  ["wsproxy", ["--listen", "::1:22", client], invalid("--listen <[host:]port>", "::1:22", listens)],
  [
    "wsproxy",
    ["--fingerprint", "MD5:00:11", client],
    "converge: --fingerprint is SHA256: and 43 characters, as the agent prints it.\n",
  ],
  ["wsproxy", ["nonsense"], `converge: nonsense: ${urls}\n`],
  [
    "wsproxy",
    ["--ca", "/etc/hostname", client],
    "converge: --ca /etc/hostname: it holds no PEM certificate.\n",
  ],
  ["wsproxy", ["--ca", "/etc", client], /^converge: --ca \/etc: EISDIR.*\.\n$/],
  ["wsproxy", ["--nope", client], "error: unknown option '--nope'\n"],
  ["converge", ["--listen", "0.0.0.0:x"], `converge: --listen 0.0.0.0:x: ${listens}\n`],
  [
    "converge",
    ["--trust-proxy", "10.0.0.0/33"],
    "converge: --trust-proxy 10.0.0.0/33: Write an address, a CIDR range or loopback.\n",
  ],
  [
    "converge",
    ["--context-path", "no-slash"],
    "converge: --context-path no-slash: Write a path such as /converge.\n",
  ],
  ["converge", ["--public-url", "host:8000"], `converge: --public-url host:8000: ${urls}\n`],
  ["converge", ["--drain-timeout", "1.5s"], `converge: --drain-timeout 1.5s: ${durations}\n`],
  ["converge", ["--tls-cert", "x.pem"], "converge: Give --tls-cert and --tls-key together.\n"],
  ["converge", ["stray"], "converge: stray is not understood: see converge --help for what is.\n"],
  [
    "converge",
    ["--listen", "127.0.0.1:9100", "--metrics-listen", "9100"],
    "converge: --metrics-listen is the address of --listen: give it another port, or leave it out.\n",
  ],
];

describe("what is wrong at the start is one sentence and status 2", { concurrency: 4 }, () => {
  after(endPrograms);

  for (const [name, args, sentence] of wrongFlags)
    test(`${name} ${args.join(" ")}`, async () => {
      const said = await finished(ours(name, args, { cwd: jobFolder().dir }));
      assert.deepEqual([said.status, said.out], [2, ""], said.err);
      if (typeof sentence === "string") assert.equal(said.err, sentence);
      else assert.match(said.err, sentence);
    });

  test("everything that is wrong with a relay's configuration is said at once", async () => {
    for (const more of [[], ["--check-config"]]) {
      const args = [
        "--listen",
        "x",
        "--drain-timeout",
        "soon",
        "--tls-key",
        "k",
        "--nope",
        ...more,
      ];
      const env = { CONVERGE_CONTEXT_PATH: "a", CONVERGE_DOWNLOADS: "/nowhere" };
      const said = await finished(ours("converge", args, { env }));
      assert.equal(said.status, 2);
      assert.deepEqual(said.err.trimEnd().split("\n"), [
        `converge: --listen x: ${listens}`,
        `converge: --drain-timeout soon: ${durations}`,
        "converge: CONVERGE_CONTEXT_PATH=a: Write a path such as /converge.",
        "converge: --nope is not understood: see converge --help for what is.",
        "converge: Give --tls-cert and --tls-key together.",
        "converge: There is no folder /nowhere for --downloads.",
      ]);
    }
  });

  test("the same in the environment", async () => {
    const said = await finished(
      ours("agent", [relay], { cwd: jobFolder().dir, env: { CONVERGE_TIMEOUT: "never" } }),
    );
    assert.equal(said.status, 2);
    assert.match(
      said.err,
      /'never' from env 'CONVERGE_TIMEOUT' is invalid\. Write 90s, 30m or 2h, at most a year\.\n$/,
    );
  });

  for (const [name, keys] of [
    ["that is missing", null],
    ["that is empty", ""],
    ["with comments only", "# nobody yet\n\n"],
    ["that is garbled", "ssh-ed25519 AAAAnonsense me\n\0\0\xff\n"],
  ] as const)
    test(`a keys file ${name}`, async () => {
      const dir = folder();
      const file = join(dir, ".authorized_keys");
      if (keys !== null) writeFileSync(file, keys);
      const said = await finished(ours("agent", [relay], { cwd: dir }));
      assert.equal(said.status, 2);
      const sentences = said.err.split("\n").filter((line) => !line.startsWith("{"));
      assert.deepEqual(sentences, [
        `converge: Nobody could log in: no authorized key was found in ${file}. Put a public key there, or name a file with --authorized-keys or a URL with --authorized-keys-url.`,
        "",
      ]);
    });

  // Only an account without a shell of its own can be without any: nobody is, and root may be it.
  test("no shell anywhere", { skip: process.getuid?.() !== 0 && "needs root" }, async () => {
    const { dir } = jobFolder();
    chmodSync(dir, 0o755);
    // The checkout may be in a folder that nobody may enter; this one is a single file.
    copyFileSync(join(root, "dist/downloads/agent.cjs"), join(dir, "agent.cjs"));
    const asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath];
    const said = await finished(
      program(
        "/usr/bin/setpriv",
        [...asNobody, join(dir, "agent.cjs"), "--shells", "nosuch,/no/such", relay],
        { cwd: dir, env: { PATH: "/nonexistent", SHELL: "/no/shell" } },
      ),
    );
    assert.equal(
      said.err,
      "converge: None of the shells nosuch, /no/such, bash, zsh, fish, ash, dash, ksh, sh was found. Name one that exists with --shells.\n",
    );
    assert.equal(said.status, 2);
  });

  test("a host key file that is none", async () => {
    const { dir } = jobFolder();
    writeFileSync(join(dir, "host"), "no key", { mode: 0o600 });
    const said = await finished(ours("agent", ["--host-key", "host", relay], { cwd: dir }));
    assert.deepEqual(
      [said.status, said.err],
      [
        2,
        `converge: The host key ${join(dir, "host")} (Unsupported key format) cannot be used. Remove it to get a new one, or name another.\n`,
      ],
    );
    assert.equal(readFileSync(join(dir, "host"), "utf8"), "no key");
  });
});

describe("help and version", () => {
  afterEach(endPrograms);

  for (const [name, usage] of [
    ["agent", "Usage: agent [options] [relay-url]\n"],
    ["wsproxy", "Usage: wsproxy [options] [client-url]\n"],
    ["converge", "Usage: converge [options]\n"],
  ] as const)
    test(`${name} --help and --version`, async () => {
      const help = await finished(ours(name, ["--help"]));
      assert.deepEqual([help.status, help.err], [0, ""]);
      assert.ok(help.out.startsWith(usage), help.out);
      const version = await finished(ours(name, ["--version"]));
      assert.deepEqual([version.status, version.err], [0, ""]);
      assert.match(version.out, /^\d+\.\d+\.\d+\S*\n$/);
    });

  test("agent without a URL prints its help on stderr, with status 2", async () => {
    const said = await finished(ours("agent", [], { cwd: jobFolder().dir }));
    assert.deepEqual([said.status, said.out], [2, ""]);
    assert.ok(said.err.startsWith("Usage: agent [options] [relay-url]\n"));
  });
});

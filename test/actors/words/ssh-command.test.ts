/** Ssh command: the text of each option. That a real ssh takes it is in test/slow/ssh-config.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Destination,
  proxyCommand,
  sshConfig,
} from "../../../src/actors/words/ssh-command.ts";

const clientUrl = "https://relay.test/client/my-job";
const plain: Destination = { clientUrl, fingerprint: null, insecure: false, system: "unix" };

for (const [name, to, want] of [
  ["a URL alone", plain, `wsproxy ${clientUrl}`],
  [
    "a pin, before the URL",
    { ...plain, fingerprint: "SHA256:x" },
    `wsproxy --fingerprint SHA256:x ${clientUrl}`,
  ],
  ["no check of the certificate", { ...plain, insecure: true }, `wsproxy --insecure ${clientUrl}`],
  [
    "what unix gives to a shell",
    { ...plain, more: ["--ca", "/it's here/100%.pem"] },
    `wsproxy --ca '/it'\\''s here/100%%.pem' ${clientUrl}`,
  ],
  [
    "what Windows gives to none",
    { ...plain, system: "windows", more: ["--ca", "C:/it's/100%.pem"] },
    `cmd /c wsproxy --ca C:/it's/100%%.pem ${clientUrl}`,
  ],
  [
    "a URL with what ssh would expand",
    { ...plain, clientUrl: "https://relay.test/%7Ex/client/a" },
    "wsproxy https://relay.test/%%7Ex/client/a",
  ],
] as const satisfies readonly (readonly [string, Destination, string])[])
  test(`the proxy command of ${name}`, () => assert.equal(proxyCommand(to), want));

for (const [system, nowhere, program] of [
  ["unix", "/dev/null", "wsproxy"],
  ["windows", "NUL", "cmd /c wsproxy"],
] as const)
  test(`a block for ~/.ssh/config on ${system}`, () =>
    assert.equal(
      sshConfig("job", "my-job", { ...plain, system, fingerprint: "SHA256:x" }),
      [
        "Host job",
        "  HostName my-job",
        "  User job",
        `  ProxyCommand ${program} --fingerprint SHA256:x ${clientUrl}`,
        `  UserKnownHostsFile ${nowhere}`,
        "  StrictHostKeyChecking accept-new",
        "  LogLevel ERROR",
        "  ServerAliveInterval 0",
        "",
      ].join("\n"),
    ));

for (const [system, typed, program] of [
  ["unix", "'%n'", "wsproxy"],
  ["windows", "%n", "cmd /c wsproxy"],
] as const)
  test(`a block for all agents of a relay on ${system}, which says that nothing is checked`, () =>
    assert.equal(
      sshConfig("*.converge", null, { ...plain, system, clientUrl: "https://relay.test/ci" }),
      [
        "Host *.converge",
        "  # unchecked: nothing tells whether the host key is the job's own; --fingerprint does",
        "  User job",
        `  ProxyCommand ${program} https://relay.test/ci --host ${typed}`,
        `  UserKnownHostsFile ${system === "unix" ? "/dev/null" : "NUL"}`,
        "  StrictHostKeyChecking accept-new",
        "  LogLevel ERROR",
        "  ServerAliveInterval 0",
        "",
      ].join("\n"),
    ));

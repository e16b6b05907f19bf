/** The usage page's commands for the client, given to real shells and real ssh programs. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { platforms } from "../../web/choices.ts";
import { commandsFor } from "../../web/commands.ts";
import { run } from "../support/child.ts";

import { dir, failed, fixed, record, recorded } from "../support/usage-shell.ts";

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
        'ssh "-oProxyCommand=cmd /c wsproxy https://r.example/client/my-id" "-oUserKnownHostsFile=NUL" "-oStrictHostKeyChecking=accept-new" "-oLogLevel=ERROR" "-oServerAliveInterval=0" job@my-id\n',
      ],
      [
        "powershell",
        "ssh '-oProxyCommand=cmd /c wsproxy https://r.example/client/my-id' '-oUserKnownHostsFile=NUL' '-oStrictHostKeyChecking=accept-new' '-oLogLevel=ERROR' '-oServerAliveInterval=0' job@my-id\n",
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

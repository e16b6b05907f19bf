/** The usage page of a relay that wants tokens: each CI system's way to hand one out, in real shells. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { parse } from "yaml";
import { commandsFor } from "../../web/commands.ts";
import { type SystemName, systemNames, systems } from "../../web/systems.ts";
import type { Admission } from "../../web/tokens.ts";
import { run } from "../support/child.ts";

import { base, dir, failed, fixed, scriptIn } from "../support/usage-shell.ts";

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

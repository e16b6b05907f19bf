/** The built agent and a relay that wants a token: where it is taken from, and where it is not found. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../support/child.ts";
import { scene, shared } from "../support/policy-scene.ts";
import { built } from "../support/shipped.ts";

test("the built agent takes its token from a file or the environment, and no shell has it", () =>
  scene({ register: [{ tokenFile: "agents" }] }, async ({ world, base }) => {
    const env = { CONVERGE_AUTHORIZED_KEYS: join(world.dir, "keys"), SHELL: "/bin/sh" };
    writeFileSync(env.CONVERGE_AUTHORIZED_KEYS, `${world.publicKey}\n`);
    const file = join(world.dir, "token");
    const begin = (args: string[], more: Record<string, string>) =>
      run(process.execPath, [built("agent"), "--join-timeout", "3s", ...args, base], {
        env: { ...env, ...more },
      });
    writeFileSync(file, `${shared}\n`);
    for (const result of [
      await begin(["--register-token-file", file], {}),
      await begin([], { CONVERGE_REGISTER_TOKEN: shared }),
    ]) {
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stdout.toString(), /SHA256:/);
      assert.match(result.stderr, /token goes unencrypted/);
      assert.ok(!`${result.stdout}${result.stderr}`.includes(shared));
    }
    const refused = await begin([], { CONVERGE_REGISTER_TOKEN: "x".repeat(20) });
    assert.equal(refused.status, 6);
    assert.match(refused.stderr, /The relay refused: That token does not let an agent register/);
    for (const [args, more, said] of [
      [["--register-token-file", `${file}.not`], {}, /--register-token-file .*no such file/],
      [[], { CONVERGE_REGISTER_TOKEN: "two words" }, /holds no token: one word is expected/],
      [["--register-token-file", file], { CONVERGE_REGISTER_TOKEN: "x" }, /not both/],
    ] as const) {
      const wrong = await begin([...args], more);
      assert.equal(wrong.status, 2);
      assert.match(wrong.stderr, said);
    }
    const agent = await world.startAgent({
      id: "quiet",
      registerToken: () => shared,
      job: { CONVERGE_REGISTER_TOKEN: shared },
    });
    const { stdout } = await world.ssh(["env"], { agent });
    assert.ok(!stdout.includes(shared));
  }));

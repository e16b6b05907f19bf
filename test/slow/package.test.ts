/**
 * The npm package as a stranger installs it: without development files, with the very dependencies that
 * were tested, three commands.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { jobFolder } from "../support/programs.ts";
import { root } from "../support/shipped.ts";

after(endPrograms);

test("packed, installed and started, it brings a person into a job", async () => {
  const dir = folder();
  const npm = (...args: string[]): string =>
    execFileSync("npm", args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const [packed] = JSON.parse(npm("pack", root, "--json", "--ignore-scripts"));
  const names: string[] = packed.files.map(({ path }: { path: string }) => path);
  assert.ok(statSync(join(dir, packed.filename)).size < 12_000_000, `${packed.size} bytes`);
  const wanted = /^(?:package\.json|README\.md|SECURITY\.md|LICENSE|dist\/.+)$/;
  assert.deepEqual(
    names
      .filter((name) => !name.startsWith("node_modules/"))
      .filter((name) => !wanted.test(name) || /test|\.ts$|\.map$|agent-linux/.test(name)),
    [],
  );
  // Overrides and the lock do not travel, so what the lock names is inside.
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const locked: [string, { dev?: boolean; optional?: boolean; devOptional?: boolean }][] =
    Object.entries(lock.packages);
  assert.deepEqual(
    locked
      .filter(
        ([path, { dev, optional, devOptional }]) =>
          path !== "" && !(dev || optional || devOptional),
      )
      .filter(([path]) => !names.includes(`${path}/package.json`)),
    [],
  );

  writeFileSync(join(dir, "package.json"), "{}");
  const quietly = ["--no-audit", "--no-fund", "--ignore-scripts", "--engine-strict"];
  npm("install", ...quietly, `./${packed.filename}`);
  assert.deepEqual(
    readdirSync(join(dir, "node_modules")).filter((name) => !name.startsWith(".")),
    ["converge"],
  );
  const bin = (name: string): string => join(dir, "node_modules/.bin", name);
  for (const name of ["converge", "agent", "wsproxy"])
    assert.equal(npm("exec", "--", name, "--version"), "0.1.0\n");

  const relay = program(bin("converge"), ["--listen", "127.0.0.1:0"]);
  await relay.see("relay listening");
  const { port } = JSON.parse(
    relay
      .err()
      .split("\n")
      .find((line) => line.includes("listening")) ?? "",
  );
  const url = `http://127.0.0.1:${port}`;
  assert.equal((await fetch(`${url}/usage`)).status, 200);
  assert.match(
    await (await fetch(`${url}/agent.sh`)).text(),
    /^ {2}agent\.cjs\) echo [0-9a-f]{64} ;;$/m,
  );
  const job = jobFolder();
  mkdirSync(join(job.dir, "work"));
  const agent = program(bin("agent"), ["--id", "packed", url], {
    cwd: job.dir,
    env: { HOME: job.dir, SHELL: "/bin/bash" },
  });
  await agent.see("rendez-vous id   packed");
  const ssh = program("ssh", [
    "-F/dev/null",
    "-tt",
    `-oProxyCommand=${bin("wsproxy")} ${url}/client/packed`,
    "-oUserKnownHostsFile=/dev/null",
    "-oStrictHostKeyChecking=accept-new",
    "-oIdentitiesOnly=yes",
    "-i",
    job.keyFile,
    "-v",
    "job@packed",
    "tty && echo hello; exit 7",
  ]);
  const { status, out, err } = await finished(ssh);
  assert.equal(status, 7, err);
  assert.match(out, /\/dev\/pts\/\d+\r\nhello\r\n/);
  assert.match(err, /kex: algorithm: sntrup761x25519-sha512/);
});

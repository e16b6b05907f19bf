/** What this is made of is pinned: by hash where a hash can be had, else by the fullest name there is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./support/shipped.ts";

const read = (name: string): string => readFileSync(join(root, name), "utf8");

test("every package of the lock file has its SHA-512", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { integrity?: string; link?: boolean }>;
  };
  const without = Object.entries(packages)
    .filter(([path, { integrity }]) => path !== "" && !/^sha512-.{86}==$/.test(integrity ?? ""))
    .map(([path]) => path);
  assert.deepEqual(without, []);
});

test("every dependency of package.json is an exact version", () => {
  const { dependencies, devDependencies, overrides } = JSON.parse(read("package.json"));
  for (const [name, version] of Object.entries({
    ...dependencies,
    ...devDependencies,
    ...overrides,
  }))
    assert.match(String(version), /^\d+\.\d+\.\d+(?:-[\w.]+)?$/, name);
});

test("both stages of the image have one base, by its full version or a digest", () => {
  const file = read("deploy/docker/Dockerfile");
  assert.match(file, /^ARG BASE=node(?::\d+\.\d+\.\d+-\w+-slim)?(?:@sha256:[0-9a-f]{64})?$/m);
  assert.equal(file.match(/^FROM /gm)?.length, 2);
  assert.equal(file.match(/^FROM \$\{BASE\}(?: AS build)?$/gm)?.length, 2);
});

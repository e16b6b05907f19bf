/**
 * Architecture: who may import whom. A folder may import itself and what its row names; type
 * imports count. Every file opens by saying what it is, and none is long enough for two ideas.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "..");

const may: Record<string, readonly string[]> = {
  "src/machines": ["xstate"],
  "src/actors": ["src/machines", "xstate", "rxjs"],
  "src/io": [
    "src/machines",
    "src/actors",
    "node:*",
    "ws",
    "ssh2",
    "ssh2/lib/protocol/constants.js",
    "ssh2/lib/protocol/crypto.js",
    "ssh2/lib/protocol/kex.js",
    "@noble/post-quantum/ml-kem.js",
    "@oqs/liboqs-js",
    "rxjs",
    "pino",
    "prom-client",
    "fastify",
    "@fastify/static",
    "@fastify/compress",
    "cookie",
    "valibot",
    "proxy-addr",
    "https-proxy-agent",
    "jose",
    "@lydell/node-pty",
  ],
  web: ["src/machines", "src/actors", "preact", "@preact/signals", "preact-render-to-string"],
  cli: ["src/machines", "src/actors", "src/io", "web", "node:*", "commander"],
};

/** The longest a file may be; a few lines over the 250 that two ideas make. */
const linesMost = 300;

const layerOf = (path: string): string | undefined =>
  Object.keys(may).find((layer) => path === layer || path.startsWith(`${layer}/`));

const layers = Object.keys(may).filter((layer) => existsSync(join(root, layer)));
const sources = layers.flatMap((layer) =>
  readdirSync(join(root, layer), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(layer, name)),
);

/** Module names in `import … from`, `export … from`, `import "…"` and `import("…")`. */
function importsOf(text: string): string[] {
  const statements = text.matchAll(
    /^(?:import|export)\s[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm,
  );
  const calls = text.matchAll(/\bimport\("([^"]+)"\)/g);
  return [...statements, ...calls].map(([, from, bare]) => from ?? bare ?? "");
}

for (const file of sources) {
  const text = readFileSync(join(root, file), "utf8");
  test(`${file} imports only what its layer may`, () => {
    const layer = layerOf(file) ?? "";
    for (const from of importsOf(text)) {
      const target = from.startsWith(".")
        ? relative(root, resolve(root, dirname(file), from))
        : from;
      const name = layerOf(target) ?? (target.startsWith("node:") ? "node:*" : target);
      assert.ok(name === layer || may[layer]?.includes(name), `${layer} may not import ${from}`);
    }
  });
  test(`${file} opens by saying what it is, and is one idea long`, () => {
    assert.match(text, /^(?:#!.*\n)?\/\*\*/);
    assert.ok(text.split("\n").length <= linesMost, "more than one idea: split it");
  });
}

test("ssh2's native addon is not there, since it breaks OpenSSH's default cipher", async () => {
  const { createRequire } = await import("node:module");
  const require = createRequire(import.meta.url);
  assert.equal(require("ssh2/lib/protocol/crypto.js").bindingAvailable, false);
});

test("what guards us is as new as it must be: no known hole in ws, the very ssh2 that is patched", async () => {
  const { createRequire } = await import("node:module");
  const require = createRequire(import.meta.url);
  const version = (name: string): number[] =>
    require(`${name}/package.json`).version.split(".").map(Number);
  const [major = 0, minor = 0] = version("ws");
  assert.ok(major > 8 || (major === 8 && minor >= 21), "ws before 8.21 keeps tiny fragments");
  assert.deepEqual(version("ssh2"), [1, 17, 0]);
  assert.match(readFileSync(join(root, ".npmrc"), "utf8"), /^ignore-scripts=true$/m);
});

/**
 * Architecture: who may import whom, room by room, and that nothing goes in a circle; type imports
 * count. Every file opens by saying what it is, and none is long enough for two ideas.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { mayImport, roomOf, rooms } from "./support/rooms.ts";

const root = resolve(import.meta.dirname, "..");

/** The longest a file may be; a few lines over the 250 that two ideas make. */
const linesMost = 300;

const sources = ["src", "web", "cli"].flatMap((top) =>
  readdirSync(join(root, top), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(top, name)),
);

/** Module names in `import … from`, `export … from`, `import "…"` and `import("…")`. */
function importsOf(text: string): string[] {
  const statements = text.matchAll(
    /^(?:import|export)\s[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm,
  );
  const calls = text.matchAll(/\bimport\("([^"]+)"\)/g);
  return [...statements, ...calls].map(([, from, bare]) => from ?? bare ?? "");
}

const texts = new Map(sources.map((file) => [file, readFileSync(join(root, file), "utf8")]));

/** What a file imports: paths from the root, and names of modules. */
const imports = new Map(
  [...texts].map(([file, text]) => [
    file,
    importsOf(text).map((from) =>
      from.startsWith(".") ? relative(root, resolve(root, dirname(file), from)) : from,
    ),
  ]),
);

/** Why a file may not import something, a sentence; null when it may. */
function breach(file: string, target: string): string | null {
  const room = roomOf(file);
  if (!room) return `${file} stands in no room: give its folder a row in test/support/rooms.ts.`;
  if (mayImport(room, roomOf(target) ?? target)) return null;
  return `The room ${room} may not import ${target}, and ${file} does.`;
}

for (const [file, text] of texts) {
  test(`${file} imports only what its room may`, () => {
    for (const target of imports.get(file) ?? []) {
      const why = breach(file, target);
      assert.ok(why === null, why ?? "");
    }
  });
  test(`${file} opens by saying what it is, and is one idea long`, () => {
    assert.match(text, /^(?:#!.*\n)?\/\*\*/);
    assert.ok(text.split("\n").length <= linesMost, "more than one idea: split it");
  });
}

for (const [file, target, want] of [
  [
    "src/io/relay/links.ts",
    "ssh2",
    "The room src/io/relay may not import ssh2, and src/io/relay/links.ts does.",
  ],
  [
    "src/io/relay/links.ts",
    "src/io/agent/ports.ts",
    "The room src/io/relay may not import src/io/agent/ports.ts, and src/io/relay/links.ts does.",
  ],
  [
    "src/io/relay/http/pages.ts",
    "node:child_process",
    "The room src/io/relay/http may not import node:child_process, and src/io/relay/http/pages.ts does.",
  ],
  [
    "src/io/agent/ssh/server.ts",
    "ws",
    "The room src/io/agent/ssh may not import ws, and src/io/agent/ssh/server.ts does.",
  ],
  [
    "src/io/agent/sftp/paths.ts",
    "src/actors/errors.ts",
    "The room src/io/agent/sftp may not import src/actors/errors.ts, and src/io/agent/sftp/paths.ts does.",
  ],
  [
    "src/odd.ts",
    "ws",
    "src/odd.ts stands in no room: give its folder a row in test/support/rooms.ts.",
  ],
  ["src/io/agent/sftp/paths.ts", "node:fs", null],
  ["src/io/relay/links.ts", "src/io/log.ts", null],
] as const)
  test(`the law: ${file} imports ${target}`, () => assert.equal(breach(file, target), want));

test("the relay's rooms may import nothing that could read a session", () => {
  const relay = Object.keys(rooms).filter((room) => room.startsWith("src/io/relay"));
  const reading = ["ssh2", "ssh2/lib/protocol/crypto.js", "node:child_process"];
  const others = Object.keys(rooms).filter((room) =>
    /^src\/io\/(?:agent|client|dial|ssh2)\b/.test(room),
  );
  for (const room of relay)
    for (const name of [...reading, ...others])
      assert.ok(!mayImport(room, name), `${room} may import ${name}`);
});

test("a room is where its row says, and no row is of nothing", () => {
  const used = new Set(sources.map(roomOf));
  assert.deepEqual(
    Object.keys(rooms).filter((room) => !used.has(room)),
    [],
  );
});

/** A way from a file back to itself; empty when there is none. */
function circle(): string[] {
  const done = new Set<string>();
  const way: string[] = [];
  const walk = (file: string): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return [];
    way.push(file);
    for (const target of imports.get(file) ?? []) {
      const found = walk(target);
      if (found.length > 0) return found;
    }
    way.pop();
    done.add(file);
    return [];
  };
  for (const file of sources) {
    const found = walk(file);
    if (found.length > 0) return found;
  }
  return [];
}

test("nothing imports itself, by whatever way, type imports included", () => {
  assert.deepEqual(circle(), []);
});

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

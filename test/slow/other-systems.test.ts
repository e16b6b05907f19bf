/**
 * Programs for other systems: built here, and looked at as far as they can be. An arm64 Linux is
 * emulated; Windows is a file format and a grammar, and nothing of macOS can be had.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, readFileSync, readSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import { Language, Parser } from "web-tree-sitter";
import { endPrograms, finished, program } from "../support/child.ts";
import { jobFolder, relayProgram } from "../support/programs.ts";
import { built, root } from "../support/shipped.ts";

const downloads = join(root, "dist/downloads");
const windows = join(downloads, "agent-win-x64.exe");
const arm = join(downloads, "agent-linux-arm64");
const run = (...args: string[]): string =>
  execFileSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });

after(endPrograms);

const head = (file: string): Buffer => {
  const bytes = Buffer.alloc(4_096);
  readSync(openSync(file, "r"), bytes);
  return bytes;
};

describe("executables for other systems", () => {
  before(() => {
    run("scripts/build-agents.mjs", "linux-arm64", "win-x64");
  });
  after(() => {
    for (const file of [windows, arm])
      for (const name of [file, `${file}.gz`]) rmSync(name, { force: true });
  });

  test("have the format of their system, and the program inside", () => {
    const elf = head(arm);
    assert.equal(elf.subarray(0, 4).toString("latin1"), "\x7fELF");
    assert.equal(elf.readUInt16LE(18), 183, "not for AArch64"); // e_machine
    const pe = head(windows);
    const at = pe.readUInt32LE(0x3c);
    assert.equal(pe.subarray(0, 2).toString(), "MZ");
    assert.equal(pe.subarray(at, at + 4).toString("latin1"), "PE\0\0");
    assert.equal(pe.readUInt16LE(at + 4), 0x8664, "not for x64");
    for (const file of [arm, windows]) {
      const all = readFileSync(file);
      assert.ok(all.includes("NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1"), "no fuse");
      assert.ok(all.includes("rendez-vous id   "), "no program");
    }
  });

  test("arm64, emulated, gives a shell with a terminal and an exit status", async () => {
    const relay = await relayProgram();
    const { dir, keyFile } = jobFolder();
    const agent = program(
      "qemu-aarch64-static",
      ["-L", "/usr/aarch64-linux-gnu", arm, "--id", "arm", relay.url],
      { cwd: dir, env: { HOME: dir, SHELL: "/bin/bash" } },
    );
    await agent.see("rendez-vous id   arm");
    const ssh = program("ssh", [
      "-F/dev/null",
      "-tt",
      `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${relay.url}/client/arm`,
      "-oUserKnownHostsFile=/dev/null",
      "-oStrictHostKeyChecking=accept-new",
      "-oIdentitiesOnly=yes",
      "-i",
      keyFile,
      "job@arm",
      "tty && stty size; exit 7",
    ]);
    const { status, out, err } = await finished(ssh);
    assert.equal(status, 7, err);
    assert.match(out, /\/dev\/pts\/\d+\r\n/);
  });

  test("a system that is not known is refused, with those that are", () => {
    assert.throws(() => run("scripts/build-agents.mjs", "beos-ppc"), {
      stderr: "There is no beos-ppc. Name some of: linux-x64 linux-arm64 win-x64\n",
      status: 2,
    });
  });
});

test("the executable for this system has the same bytes when it is made again", () => {
  const file = join(downloads, "agent-linux-x64");
  const hash = (): string => createHash("sha256").update(readFileSync(file)).digest("hex");
  const first = hash();
  rmSync(join(root, ".cache/standalone"), { recursive: true, force: true });
  run("scripts/build-agents.mjs", "linux-x64");
  assert.equal(hash(), first);
});

test("agent.cjs carries what opens terminals on eight systems", () => {
  const text = readFileSync(join(downloads, "agent.cjs"), "utf8");
  const files = Object.fromEntries(
    [...text.matchAll(/"?([a-z0-9]+-(?:x64|arm64)(?:-musl)?)"?:\{("[^{}]*)\}/g)].map(
      ([, name = "", inside = ""]) => [name, JSON.parse(`{${inside}}`) as Record<string, string>],
    ),
  );
  assert.deepEqual(Object.keys(files).sort(), [
    "darwin-arm64",
    "darwin-x64",
    "linux-arm64",
    "linux-arm64-musl",
    "linux-x64",
    "linux-x64-musl",
    "win32-arm64",
    "win32-x64",
  ]);
  const first = (platform: string, name: string): string =>
    brotliDecompressSync(Buffer.from(files[platform]?.[name] ?? "", "base64"))
      .subarray(0, 4)
      .toString("hex");
  for (const cpu of ["x64", "arm64"]) {
    assert.equal(first(`linux-${cpu}`, "pty.node"), "7f454c46");
    assert.equal(first(`linux-${cpu}-musl`, "pty.node"), "7f454c46");
    for (const name of ["pty.node", "spawn-helper"])
      assert.equal(first(`darwin-${cpu}`, name), "cffaedfe"); // Mach-O, 64 bits
    const package_ = `node_modules/@lydell/node-pty-win32-${cpu}/conpty.node`;
    assert.match(first(`win32-${cpu}`, package_), /^4d5a/); // MZ
    assert.ok(
      files[`win32-${cpu}`]?.["node_modules/@lydell/node-pty/worker/conoutSocketWorker.js"],
    );
  }
});

test("the scripts for PowerShell are PowerShell, whatever address is in them", async () => {
  await Parser.init();
  const grammar = createRequire(import.meta.url).resolve(
    "tree-sitter-powershell/tree-sitter-powershell.wasm",
  );
  const parser = new Parser();
  parser.setLanguage(await Language.load(grammar));
  const { bootstrapsIn } = await import("../../src/io/relay/http/bootstrap.ts");
  const script = bootstrapsIn(join(root, "dist/bootstrap"));
  const files = [{ name: "agent.cjs", bytes: 1, sha256: "0".repeat(64) }];
  for (const name of ["agent.ps1", "wsproxy.ps1"] as const)
    for (const base of ["https://relay.example/ci", "http://it's$(x)\u2019`"])
      assert.equal(parser.parse(script(name, base, files))?.rootNode.hasError, false, base);
  assert.equal(parser.parse("if ($x {")?.rootNode.hasError, true, "the parser sees no errors");
});

/** Shells: which is found, and how it is started. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { commandArgs, findShell, interactiveArgs } from "../../../../src/io/agent/shell/shells.ts";

const folder = mkdtempSync(join(tmpdir(), "shells-"));
after(() => rmSync(folder, { recursive: true }));

/** A folder for PATH with these programs in it; one with a dash in front cannot be executed. */
function bin(name: string, ...programs: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const program of programs) {
    const file = join(path, program.replace(/^-/, ""));
    writeFileSync(file, "#!/bin/sh\n");
    chmodSync(file, program.startsWith("-") ? 0o644 : 0o755);
  }
  return path;
}

const many = bin("many", "sh", "dash", "zsh", "bash", "tcsh", "nologin", "false");
const few = bin("few", "ksh", "sh", "-fish");
const later = bin("later", "fish");
const none = bin("none", "ls", "-sh");
mkdirSync(join(none, "bash"));

for (const [name, first, env, account, want] of [
  ["the default order", [], { PATH: many }, null, [join(many, "bash"), "bash"]],
  ["$SHELL comes first", [], { PATH: many, SHELL: `${many}/zsh` }, null, [`${many}/zsh`, "zsh"]],
  ["then the passwd entry", [], { PATH: many }, `${many}/dash`, [`${many}/dash`, "dash"]],
  [
    "$SHELL before the passwd entry",
    [],
    { PATH: many, SHELL: `${many}/zsh` },
    `${many}/dash`,
    [`${many}/zsh`, "zsh"],
  ],
  [
    "an account that turns people away",
    [],
    { PATH: many, SHELL: `${many}/nologin` },
    `${many}/false`,
    [`${many}/bash`, "bash"],
  ],
  ["$SHELL that is no path", [], { PATH: many, SHELL: "zsh" }, "", [`${many}/bash`, "bash"]],
  ["$SHELL that is gone", [], { PATH: many, SHELL: "/gone/zsh" }, null, [`${many}/bash`, "bash"]],
  [
    "--shells before everything",
    ["nosuch", "tcsh"],
    { PATH: many, SHELL: `${many}/zsh` },
    `${many}/zsh`,
    [`${many}/tcsh`, "tcsh"],
  ],
  ["--shells by path", [`${few}/ksh`], { PATH: many }, null, [`${few}/ksh`, "ksh"]],
  ["--shells, even one that refuses", ["false"], { PATH: many }, null, [`${many}/false`, "false"]],
  [
    "--shells, missing and not executable",
    [`${few}/gone`, `${few}/fish`, few],
    { PATH: few },
    null,
    [`${few}/ksh`, "ksh"],
  ],
  [
    "not executable in one folder, so the next",
    ["fish"],
    { PATH: `${few}:${later}` },
    null,
    [`${later}/fish`, "fish"],
  ],
  [
    "relative names and folders do not count",
    ["./sh", "", "bin/sh"],
    { PATH: `:.:${few}` },
    null,
    [`${few}/ksh`, "ksh"],
  ],
] as const) {
  test(`found: ${name}`, () => {
    const [path, called] = want;
    assert.deepEqual(findShell({ first, env, platform: "linux", accountShell: () => account }), {
      path,
      name: called,
    });
  });
}

test("found: in no folder that depends on where the agent was started", () => {
  assert.deepEqual(
    findShell({
      first: ["nu"],
      env: { PATH: ":.:bin:/abs" },
      platform: "linux",
      isExecutable: () => true,
    }),
    { path: "/abs/nu", name: "nu" },
  );
});

const windows = new Set([
  "C:\\Windows\\cmd.exe",
  "C:\\PS\\pwsh.exe",
  "C:\\Git\\bash.exe",
  "C:\\Odd\\nu.bat",
]);
for (const [name, first, env, want] of [
  [
    "the default order",
    [],
    { Path: "C:\\Windows;C:\\PS;C:\\Git" },
    { path: "C:\\PS\\pwsh.exe", name: "pwsh" },
  ],
  [
    "$SHELL does not count",
    [],
    { PATH: "C:\\Windows", SHELL: "C:\\Git\\bash.exe" },
    { path: "C:\\Windows\\cmd.exe", name: "cmd" },
  ],
  [
    "--shells with an ending",
    ["bash.exe"],
    { PATH: "C:\\Windows;C:\\Git" },
    { path: "C:\\Git\\bash.exe", name: "bash" },
  ],
  [
    "PATHEXT",
    ["nu"],
    { PATH: "C:\\Odd;C:\\Windows", PATHEXT: ".EXE;.BAT" },
    { path: "C:\\Odd\\nu.bat", name: "nu" },
  ],
  [
    "by path",
    ["C:\\Git\\bash.exe"],
    { PATH: "C:\\PS" },
    { path: "C:\\Git\\bash.exe", name: "bash" },
  ],
] as const) {
  test(`found on Windows: ${name}`, () => {
    const isExecutable = (path: string): boolean => windows.has(path);
    assert.deepEqual(findShell({ first, env, platform: "win32", isExecutable }), want);
  });
}

for (const [platform, first, list] of [
  ["linux", [], "bash, zsh, fish, ash, dash, ksh, sh"],
  ["darwin", ["nu"], "nu, bash, zsh, fish, ash, dash, ksh, sh"],
  ["win32", ["nu"], "nu, pwsh, powershell, cmd, bash"],
] as const) {
  test(`none is found: ${platform}`, () => {
    assert.throws(
      () => findShell({ first, env: { PATH: none }, platform, accountShell: () => null }),
      {
        name: "ConvergeError",
        code: "CONVERGE_NO_SHELL",
        message: `None of the shells ${list} was found. Name one that exists with --shells.`,
      },
    );
  });
}

test("this machine has a shell, and without PATH as well", () => {
  assert.match(findShell({ first: ["sh"], env: {} }).path, /^\/.*\/sh$/);
});

for (const [name, interactive, command] of [
  ["bash", [], ["-c", "echo 'a b'"]],
  ["zsh", [], ["-c", "echo 'a b'"]],
  ["fish", [], ["-c", "echo 'a b'"]],
  ["ash", [], ["-c", "echo 'a b'"]],
  ["dash", [], ["-c", "echo 'a b'"]],
  ["ksh", [], ["-c", "echo 'a b'"]],
  ["sh", [], ["-c", "echo 'a b'"]],
  ["nu", [], ["-c", "echo 'a b'"]],
  ["pwsh", ["-NoLogo"], ["-NoLogo", "-NoProfile", "-Command", "echo 'a b'"]],
  ["PowerShell", ["-NoLogo"], ["-NoLogo", "-NoProfile", "-Command", "echo 'a b'"]],
  ["cmd", [], ["/d", "/s", "/c", "\"echo 'a b'\""]],
] as const) {
  test(`arguments: ${name}`, () => {
    const shell = { path: `/bin/${name}`, name };
    assert.deepEqual(interactiveArgs(shell), interactive);
    assert.deepEqual(commandArgs(shell, "echo 'a b'"), command);
  });
}

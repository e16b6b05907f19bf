/**
 * Usage shell: real shells and a recorder in place of all that the usage page's commands start, so that
 * not one character of an argument can get lost unseen.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { parse } from "yaml";
import { type Choices, defaults } from "../../web/choices.ts";
import type { SystemName } from "../../web/systems.ts";

export const dir = mkdtempSync(join(tmpdir(), "converge-usage-"));
export const record = join(dir, "record");
const bin = join(dir, "bin");
let server: Server;
export let base = "";
/** Paths that were asked for. */
export const asked: string[] = [];

/** Notes its arguments, one a NUL; in `sh`, since it stands in for whatever is started. */
const recorder = `for word in "$@"; do printf '%s\\0' "$word"; done > '${record}'\n`;
export const recorded = (): string[] => readFileSync(record, "utf8").split("\0").slice(0, -1);

before(async () => {
  mkdirSync(bin);
  writeFileSync(join(bin, "wsproxy"), `#!/bin/sh\n${recorder}`);
  chmodSync(join(bin, "wsproxy"), 0o755);
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end(recorder);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

export const fixed: Choices = {
  ...defaults,
  idFrom: "fixed",
  id: "my-id",
  keys: "url",
  keyUrl: "https://x.example/a.keys",
};

/** What people and their enemies type; the last ones are for the CI systems' own replacements. */
export const hostile = [
  "two words",
  `it's "quoted" \`id\``,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what a shell or a CI system would replace
  "$(touch gone) ${HOME} $HOME !! \\ \\\\ *",
  "first\nsecond\n\n   third",
  "zażółć gęślą jaźń 日本 🦊",
  "-rf ; rm x & | < > # ~ = {a,b} %d",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the same
  "${{ secrets.TOKEN }} $(System.AccessToken) << pipeline.id >> $[ 1 ] $${X} $$",
];

/** The lines that the CI system gives to the shell. */
export function scriptIn(name: SystemName, code: string): string {
  if (name === "shell" || name === "buildkite") return code;
  if (name === "jenkins") {
    const [, literal = ""] = /sh '''\n([\s\S]*)\n'''/.exec(code) ?? [];
    assert.doesNotMatch(literal.replace(/\\[\s\S]/g, ""), /'/, "the Groovy literal ends early");
    return literal.replace(/\\([\s\S])/g, "$1");
  }
  const read = parse(code);
  const [step] = [read].flat();
  const lines = {
    github: () => step.run,
    gitlab: () => read["my-job"].after_script[0],
    circleci: () => step.run.command,
    azure: () => step.script,
    bitbucket: () => read["after-script"][0],
    drone: () => step.commands[0],
    woodpecker: () => step.commands[0],
  }[name]();
  assert.equal(typeof lines, "string");
  return lines;
}

export const failed = {
  CI_JOB_STATUS: "failed",
  BITBUCKET_EXIT_CODE: "1",
  BUILDKITE_COMMAND_EXIT_STATUS: "1",
  PATH: `${bin}:${process.env["PATH"]}`,
};

/**
 * Named: each flag, file, metric and path that a page or a Markdown file names is there. What belongs to
 * somebody else's program is listed here, so that a typing error in ours is found.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { families } from "../src/io/relay/http/metrics.ts";
import { guideNames } from "../web/guides.tsx";
import { endPrograms } from "./support/child.ts";
import { relayProgram } from "./support/programs.ts";
import { built, root } from "./support/shipped.ts";

const markdown = [
  "README.md",
  "SECURITY.md",
  "src/README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
].filter((name) => existsSync(join(root, name)));
/** Text by where it stands. */
const texts = new Map(markdown.map((name) => [name, readFileSync(join(root, name), "utf8")]));
let base = "";

before(async () => {
  const relay = await relayProgram();
  base = relay.url;
  for (const path of [
    "",
    "usage",
    "downloads",
    "faq",
    "guides",
    ...guideNames.map((name) => `guides/${name}`),
  ]) {
    const html = await (await fetch(`${base}/${path}`)).text();
    const code = html.replace(/<code[^>]*>/g, "`").replaceAll("</code>", "`");
    const text = code
      .replace(/<[^>]+>/g, " ")
      .replaceAll("&amp;", "&")
      .replaceAll("&gt;", ">");
    texts.set(`/${path}`, text);
  }
});
after(endPrograms);

/** What stands in back-quotes or in a block of code. */
function* codeIn(text: string): Generator<string> {
  for (const [, block = ""] of text.matchAll(/^```[a-z]*\n([\s\S]*?)^```/gm)) yield block;
  const rest = text.replace(/^```[\s\S]*?^```/gm, "");
  for (const [, code = ""] of rest.matchAll(/`([^`]+)`/g)) yield code;
}

/** Flags of npm, docker, helm, curl, wget, sha256sum, systemctl, node, rsync, code, git and our own scripts. */
const others = new Set(
  "--omit --build-arg --read-only --init --set --now --check --ignore-missing --no-check-certificate --remote --max-old-space-size --audience --claims --standalone --long --fast --slow --shipped --import --test --quick --cpu-prof".split(
    " ",
  ),
);

test("every flag that is named is one of ours, or is known to be another program's", () => {
  const ours = new Set(
    (["converge", "agent", "wsproxy"] as const).flatMap((name) =>
      [
        ...execFileSync(process.execPath, [built(name), "--help"], { encoding: "utf8" }).matchAll(
          /--[a-z][a-z-]+/g,
        ),
      ].map(([flag]) => flag),
    ),
  );
  const unknown = [...texts].flatMap(([where, text]) =>
    [...codeIn(text)].flatMap((code) =>
      [...code.matchAll(/(?<![\w-])--[a-z][a-z-]*[a-z]/g)]
        .filter(([flag]) => !ours.has(flag) && !others.has(flag))
        .map(([flag]) => `${where}: ${flag}`),
    ),
  );
  assert.deepEqual(unknown, []);
});

test("every metric that is named there is", () => {
  for (const [where, text] of texts)
    for (const [name] of text.matchAll(/\bconverge_[a-z_]*[a-z]\b/g)) {
      const family = name.replace(/_(?:bucket|sum|count)$/, "");
      const isOne = family in families || name in families;
      assert.ok(isOne || name === "converge_register_token", `${where}: ${name}`);
    }
});

test("every file of the project that is named there is", () => {
  const folders = "src|cli|web|test|deploy|docs|scripts|bench";
  for (const [where, text] of texts)
    for (const code of codeIn(text))
      for (const [, name = ""] of code.matchAll(
        new RegExp(`(?:^|[\\s"'(])((?:${folders})/[\\w./-]*[\\w/])(?![\\w*{…<])`, "g"),
      ))
        assert.ok(existsSync(join(root, name)), `${where}: ${name}`);
});

test("every path of the relay that is named is answered", async () => {
  const elsewhere =
    /^\/(?:etc|opt|dev|proc|sys|tmp|usr|var|run|home|bin|root|work|private|converge|ci|x|c)(?:\/|$)/;
  const websockets = /^\/(?:agent|client|dial)\//;
  const seen = new Set<string>();
  for (const [where, text] of texts)
    for (const code of codeIn(text)) {
      const [path = ""] = /^\/[\w./-]*$/.exec(code.replace(/…$/, "")) ?? [];
      if (path === "" || elsewhere.test(path) || websockets.test(path) || seen.has(path)) continue;
      seen.add(path);
      const isFolder = /^\/(?:static|assets|guides|api)\/$/.test(path);
      const { status } = await fetch(base + path, {
        signal: AbortSignal.timeout(5_000),
        method: "HEAD",
      });
      // The live feed has no HEAD, and never ends.
      assert.ok(
        isFolder || status === 200 || path.endsWith("/live"),
        `${where}: ${path} is ${status}`,
      );
    }
  assert.ok(seen.size >= 12, [...seen].join(" "));
});

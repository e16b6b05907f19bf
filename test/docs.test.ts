/**
 * Docs: where they list names, codes and flags, the lists are those of the code. A table is found
 * by the head of its first column.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { refusalReasons } from "../src/actors/observe/facts.ts";
import { clientsMost, lengths, messageTypes } from "../src/io/protocol/messages.ts";
import {
  closeCodes,
  controlMaxBytes,
  controlMost,
  controlPerSecond,
  dataMaxBytes,
  pingMs,
  silentMs,
  subprotocols,
} from "../src/io/protocol/wire.ts";
import { budgetBytes, budgetPerSecond, messageBytes } from "../src/io/relay/control-budget.ts";
import { families } from "../src/io/relay/http/metrics.ts";
import { schema } from "./support/log-schema.ts";
import { built, root } from "./support/shipped.ts";

const read = (name: string): string => readFileSync(join(root, name), "utf8");
const operating = read("docs/operating.md");
const protocol = read("docs/protocol.md");

/** The rows of a table below its head, cells trimmed and without back-quotes. */
function table(text: string, head: string): string[][] {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  assert.ok(start >= 0, `no table that begins with ${head}`);
  const rest = lines.slice(start + 2);
  const end = rest.findIndex((line) => !line.startsWith("|"));
  return rest.slice(0, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
}
const column = (rows: string[][], n = 0): string[] => rows.map((row) => row[n] ?? "");

test("every metric is in the docs, with its type and labels, and no other", () => {
  assert.deepEqual(
    table(operating, "name").map(([name, type, labels]) => [name, type, labels]),
    Object.entries(families).map(([name, family]) => [
      name,
      family.type,
      Object.keys("labels" in family ? family.labels : {}).join(", "),
    ]),
  );
});

test("every value of a label is explained", () => {
  assert.deepEqual(column(table(operating, "reason")), [...refusalReasons]);
  const { labels } = families.converge_client_sessions_ended_total;
  assert.deepEqual(column(table(operating, "outcome")), [...labels.outcome]);
  const rows = new Map(table(operating, "name").map((row) => [row[0], row[3]]));
  for (const [name, family] of Object.entries(families)) {
    if (!("labels" in family) || ["version", "reason"].some((label) => label in family.labels))
      continue;
    if (name === "converge_client_sessions_ended_total") continue;
    const values: readonly string[] = Object.values(family.labels).flat();
    if (name === "converge_client_uses_total" || name === "converge_relayed_bytes_total") continue;
    for (const value of values) assert.ok(rows.get(name)?.includes(value), `${name}: ${value}`);
  }
});

for (const program of ["converge", "agent"])
  test(`every line of ${program}'s log is in the docs and in the schema`, () => {
    const lines = schema.oneOf
      .filter(({ properties: { program: of } }) => (of.enum ?? [of.const]).includes(program))
      .map(({ title }) => title);
    assert.deepEqual(column(table(operating, `line of \`${program}\``)).sort(), lines.sort());
  });

test("every fact that is recorded has its line in the schema", () => {
  const facts = [...read("src/actors/observe/facts.ts").matchAll(/readonly type: "([^"]+)"/g)];
  const titles = schema.oneOf.map(({ title }) => title);
  assert.ok(facts.length >= 11);
  for (const [, type = ""] of facts) assert.ok(titles.includes(type), type);
});

test("every flag of the relay is in the docs, with its default", () => {
  const help = execFileSync(process.execPath, [built("converge"), "--help"], { encoding: "utf8" });
  const flags = [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag);
  const rows = table(operating, "flag");
  assert.deepEqual(column(rows), flags);
  const flat = help.replace(/\n\s+/g, " ");
  for (const [flag, , byDefault] of rows)
    if (/^[\d/]|'s$|^info$/.test(byDefault ?? ""))
      assert.match(flat, new RegExp(`${flag} (?:(?! --).)*\\(default: "?${byDefault}`), flag);
});

test("every alert has its place in the runbook, and leads there", () => {
  const { groups } = parse(read("deploy/prometheus/alerts.yaml"));
  const rules: { alert: string; annotations: { runbook_url: string } }[] = groups[0].rules;
  const headings = [...operating.matchAll(/^### (Converge\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    headings,
    rules.map(({ alert }) => alert),
  );
  for (const { alert, annotations } of rules)
    assert.equal(
      annotations.runbook_url,
      `https://docs.example.com/converge/operating.md#${alert.toLowerCase()}`,
    );
});

test("the protocol's close codes, subprotocols and message types are those of the code", () => {
  assert.deepEqual(
    table(protocol, "code").map(([code, name]) => [name, Number(code)]),
    Object.entries(closeCodes),
  );
  assert.deepEqual(
    column(table(protocol, "path"), 2).map((text) => text.split(",")[0]),
    [subprotocols.agent, subprotocols.client, subprotocols.data],
  );
  const ways = {
    fromAgent: "agent to relay",
    toAgent: "relay to agent",
    toClient: "relay to client",
  };
  const documented = table(protocol, "type").map(([type, way]) => `${way}: ${type}`);
  const known = Object.entries(messageTypes).flatMap(([way, types]) =>
    types.map((type) => `${ways[way as keyof typeof ways]}: ${type}`),
  );
  assert.deepEqual(documented.sort(), known.sort());
});

test("the protocol's bounds are those of the code", () => {
  for (const [words, value] of [
    [`at most ${controlMaxBytes / 1024} KiB`, controlMaxBytes],
    [`at most ${dataMaxBytes / 1024 / 1024} MiB`, dataMaxBytes],
    [`more than ${controlMost} messages`, controlMost],
    [`or ${controlPerSecond} a second`, controlPerSecond],
    [`together say ${budgetBytes / 1024} KiB`, budgetBytes],
    [`once and ${budgetPerSecond / 1024} KiB a second`, budgetPerSecond],
    [`counted with ${messageBytes} bytes`, messageBytes],
    [`at most ${clientsMost}, each`, clientsMost],
    [`each ${pingMs / 1000} s`, pingMs],
    [`after ${silentMs / 1000} s`, silentMs],
  ] as const)
    assert.ok(protocol.includes(words), `${words} (${value})`);
  assert.deepEqual(
    table(protocol, "text"),
    Object.entries(lengths).map(([name, most]) => [name, String(most)]),
  );
});

for (const name of ["docs/operating.md", "docs/protocol.md"])
  test(`the links of ${name} lead somewhere`, () => {
    for (const [, target = ""] of read(name).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      assert.ok(existsSync(join(root, dirname(name), target)), target);
    for (const [, file = ""] of read(name).matchAll(/`(deploy\/[\w./-]+)`/g))
      assert.ok(existsSync(join(root, file)), file);
  });

test("each of the promises names tests that are there", () => {
  const [, promises = ""] = /## What is promised\n([\s\S]*?)\n## /.exec(read("SECURITY.md")) ?? [];
  const items = promises.split(/\n(?=\d+\. )/).slice(1);
  assert.ok(items.length >= 11);
  for (const item of items) {
    const text = item.replace(/\s+/g, " ");
    const named = [...text.matchAll(/`(test\/[^`]+)`: ((?:"[^"]+"(?:, )?)+)/g)];
    assert.ok(named.length > 0, text);
    for (const [, file = "", names = ""] of named)
      for (const [, name = ""] of names.matchAll(/"([^"]+)"/g))
        assert.ok(read(file).includes(`"${name}"`), `${file} has no test "${name}"`);
  }
});

test("the build says what is in it", () => {
  const { bomFormat, metadata, components } = JSON.parse(read("dist/sbom.json"));
  assert.deepEqual([bomFormat, metadata.component.name], ["CycloneDX", "converge"]);
  const names = components.map(({ name }: { name: string }) => name);
  for (const name of ["ws", "ssh2", "xstate", "fastify"]) assert.ok(names.includes(name), name);
});

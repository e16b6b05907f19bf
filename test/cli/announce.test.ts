/** What the agent says on stdout: a box that is enough, and one line for each thing that happens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonFor, textFor } from "../../cli/announce.ts";
import type { AgentNews, MayLogIn } from "../../src/actors/ports.ts";
import type { RendezvousId } from "../../src/machines/vocabulary.ts";

const fingerprint = `SHA256:${"+/".repeat(21)}A`;
const id = "job-7" as RendezvousId;
const key = (n: number): MayLogIn => ({ comment: `dev${n}@laptop`, fingerprint: `SHA256:${n}` });

const ready = (over: Partial<Extract<AgentNews, { event: "ready" }>> = {}): AgentNews => ({
  event: "ready",
  id,
  asked: id,
  clientUrl: "https://relay.test/ci/client/job-7",
  fingerprint,
  keys: [key(1)],
  endsAt: `${new Date().toISOString().slice(0, 10)}T14:05:00.000Z`,
  ...over,
});
const linesOf = (news: AgentNews): string[] => textFor(news, false).split("\n");

test("the box gets wsproxy, leads in, links to the usage page, says who may log in and until when", () => {
  const lines = linesOf(ready());
  const ssh = lines.filter((line) => line.startsWith("  ssh "));
  assert.equal(ssh.length, 2);
  for (const part of [
    "  curl -fsSL https://relay.test/ci/wsproxy.sh | sh",
    "  & ([scriptblock]::Create((irm 'https://relay.test/ci/wsproxy.ps1')))",
    `  https://relay.test/ci/usage?id=job-7&fingerprint=${encodeURIComponent(fingerprint)}`,
    "  Who may log in: one key",
    "    SHA256:1 dev1@laptop",
    "  It ends at 14:05 UTC if nobody comes, and when the last one leaves.",
  ])
    assert.ok(lines.includes(part), part);
  const long = lines.filter((line) => line.length > 78);
  assert.ok(
    long.every((line) => /^ {2}(?:ssh |https:)/.test(line)),
    "only what is pasted whole may be long",
  );
});

test("of many keys ten are named; an id that is taken is told, and another day too", () => {
  const keys = Array.from({ length: 12 }, (_, n) => key(n));
  const text = textFor(
    ready({ keys, asked: "job" as RendezvousId, endsAt: "2001-02-03T04:05:06.000Z" }),
    false,
  );
  assert.match(text, /Who may log in: 12 keys\n/);
  assert.match(text, /dev9@laptop\n {4}and 2 more\n/);
  assert.match(text, /NOTE: the id job is taken/);
  assert.match(text, /It ends at 2001-02-03 04:05 UTC/);
});

test("for programs all of it is there too", () => {
  const said = JSON.parse(jsonFor(ready(), true));
  assert.equal(said.install, "curl -fsSLk https://relay.test/ci/wsproxy.sh | sh");
  assert.match(said.installWindows, /-SkipCertificateCheck/);
  assert.match(said.ssh, /="wsproxy --insecure --fingerprint/);
  assert.match(said.sshWindows, /="cmd \/c wsproxy --insecure --fingerprint/);
  assert.equal(new URL(said.usage).searchParams.get("fingerprint"), fingerprint);
});

const endsAt = "2001-02-03T14:05:00.000Z";
const at = "2001-02-03 14:05 UTC";
for (const [news, want] of [
  [{ event: "waiting", why: "held", endsAt }, `nobody is in; waiting until ${at} (.hold is set)`],
  [
    { event: "waiting", why: "lost", endsAt },
    `nobody is in; waiting until ${at} (the last one's connection broke)`,
  ],
  [
    { event: "waiting", why: "lingering", endsAt },
    `nobody is in; waiting until ${at} (it lingers)`,
  ],
  [
    { event: "hold set", endsAt },
    `hold set: waits when everybody left, until ${at} without activity`,
  ],
  [{ event: "hold cleared", endsAt }, "hold cleared: ends when the last one leaves"],
  [{ event: "extended", endsAt }, `extended: ends at ${at} without activity`],
] as const satisfies readonly (readonly [AgentNews, string])[])
  test(`the log: ${want}`, () => assert.equal(textFor(news, false), `converge: ${want}`));

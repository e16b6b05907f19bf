import assert from "node:assert/strict";
import { test } from "node:test";
import { openLog } from "../../src/io/log.ts";
import type { LogLevel } from "../../src/io/log-levels.ts";
import { writeFact } from "../../src/io/relay/fact-lines.ts";
import type { LinkId, RendezvousId } from "../../src/machines/vocabulary.ts";
import { faultOf } from "../support/log-schema.ts";

function open(level: LogLevel, isTerminal = false) {
  const written: string[] = [];
  const log = openLog("converge", level, { isTerminal, write: (line) => void written.push(line) });
  return { log, written };
}

const fact = {
  type: "client logged in",
  session: "data-1" as LinkId,
  id: "job-7" as RendezvousId,
  client: "192.0.2.1",
  login: { fingerprint: "SHA256:abc", comment: "dev \u001b[31m" },
} as const;

test("a fact is one JSON line of the schema, with its level as a word", () => {
  const { log, written } = open("info");
  writeFact(log, fact);
  assert.equal(written.length, 1);
  const line = JSON.parse(written[0] ?? "");
  assert.equal(faultOf(line), null);
  assert.deepEqual([line.level, line.program, line.msg], ["info", "converge", "client logged in"]);
  assert.ok(written[0]?.endsWith("}\n"));
});

test("on a terminal it is text on one line, and nothing in it can act on the terminal", () => {
  const { log, written } = open("info", true);
  writeFact(log, fact);
  assert.match(
    written.join(""),
    /^\d\d:\d\d:\d\d info client logged in session=data-1 id=job-7 client=192\.0\.2\.1 login=\{"fingerprint":"SHA256:abc","comment":"dev \\u001b\[31m"\}\n$/,
  );
});

test("the level decides, and malformed messages are warnings", () => {
  const { log, written } = open("warn");
  writeFact(log, fact);
  writeFact(log, {
    type: "control message malformed",
    id: "job-7" as RendezvousId,
    address: "192.0.2.1",
    why: "key: not base64",
  });
  assert.equal(written.length, 1);
  assert.equal(JSON.parse(written[0] ?? "").level, "warn");
});

test("what opens a door is never readable, at the top or one below", () => {
  const { log, written } = open("debug");
  const secrets = ["ticket", "nonce", "signature", "key", "authorization", "cookie", "password"];
  const all = Object.fromEntries(secrets.map((name) => [name, "hunter2"]));
  log.debug({ ...all, headers: all }, "debugging");
  const line = JSON.parse(written[0] ?? "");
  assert.equal(line.headers.cookie, "[redacted]");
  assert.ok(!written.join("").includes("hunter2"));
});

/**
 * Every parser of what comes from outside, with inputs that nobody would think of: none throws what
 * it does not say it throws, none lets through what it must not, none takes for ever.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { contextPath, duration, durations, listenAddress, relayUrl, webUrl } from "../cli/flags.ts";
import { sh } from "../src/actors/words/quoting.ts";
import { faultInPatterns, matchesPatterns } from "../src/io/agent/keys/address-patterns.ts";
import { parseAuthorizedKeys } from "../src/io/agent/keys/authorized-keys.ts";
import { parseKeyOptions } from "../src/io/agent/keys/key-options.ts";
import { packetReader, SftpError } from "../src/io/agent/sftp/wire.ts";
import { pinHostKey } from "../src/io/client/host-key-pin.ts";
import { derivedId, isAnswer, looksDerived } from "../src/io/protocol/identity.ts";
import { readFromAgent, readToAgent, readToClient } from "../src/io/protocol/messages.ts";
import { isRendezvousId } from "../src/io/protocol/wire.ts";
import { pathOf, readRoute } from "../src/io/relay/admission/routes.ts";
import { plainText } from "../src/io/text.ts";
import { problemsOf, readChoices, writeChoices } from "../web/choices.ts";
import { commandsFor } from "../web/commands.ts";

const times = { numRuns: 2_000 };
const text = fc.string({ unit: "binary", maxLength: 400 });
const bytes = fc.uint8Array({ maxLength: 2_000 }).map((data) => Buffer.from(data));
/** Text that is nearly right: pieces of real input, shuffled and cut. */
const nearly = (...pieces: string[]) =>
  fc
    .array(fc.oneof(fc.constantFrom(...pieces), text), { maxLength: 12 })
    .map((all) => all.join(""));
// biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

function property<T>(name: string, input: fc.Arbitrary<T>, holds: (input: T) => void): void {
  test(name, () => fc.assert(fc.property(input, holds), times));
}
/** Runs it; whatever it throws must be an Error with a sentence of this kind. */
function may(throws: RegExp, act: () => void): void {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.match(error.message, throws);
  }
}

for (const [name, read] of [
  ["from an agent", readFromAgent],
  ["to an agent", readToAgent],
  ["to a client", readToClient],
] as const) {
  property(`control messages ${name}: any text`, fc.oneof(text, fc.json()), (input) => {
    const got = read(input);
    assert.ok("malformed" in got || "message" in got);
    if ("malformed" in got) assert.ok(Buffer.byteLength(got.malformed) <= 123);
  });
  property(
    `control messages ${name}: known types with any fields`,
    fc.record({
      type: fc.constantFrom("register", "status", "summon", "challenge", "found", "client", "x"),
      id: fc.anything(),
      facts: fc.dictionary(text, fc.anything()),
      status: fc.anything(),
      client: fc.anything(),
      agent: fc.anything(),
      nonce: fc.anything(),
    }),
    (message) => void read(JSON.stringify(message) ?? ""),
  );
}

property(
  "authorized keys: any text",
  nearly("ssh-ed25519 ", "AAAA", "\n", 'from="', '",', "restrict ", "#"),
  (input) => {
    const { keys, refused } = parseAuthorizedKeys(input);
    for (const { line, reason } of refused) {
      assert.ok(line >= 1 && line <= input.split("\n").length);
      assert.doesNotMatch(plainText(reason), unsafe);
    }
    for (const { fingerprint } of keys) assert.match(fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/);
  },
);
property(
  "key options: any text",
  nearly('from="', '"', ",", "no-", "pty", "\\", "command=", "expiry-time="),
  (input) => {
    const read = parseKeyOptions(input);
    assert.ok(typeof read === "string" || typeof read.pty === "boolean");
  },
);
property(
  "address patterns: nothing that is no address is let in",
  fc.tuple(nearly("10.", "*", "!", "/8", "::", ",", "?"), text),
  ([list, address]) => {
    faultInPatterns(list);
    if (!/^[0-9a-f:.%]+/i.test(address)) assert.equal(matchesPatterns(list, address), false);
  },
);

property(
  "ids: what is taken is safe in a URL, a file name and a shell",
  nearly("a", "..", "/", "%2f", "-"),
  (input) => {
    if (!isRendezvousId(input)) return;
    assert.equal(encodeURIComponent(input), input);
    assert.equal(new URL(`http://x/client/${input}`).pathname, `/client/${input}`);
    assert.equal(sh.word(input).replaceAll("'", ""), input);
  },
);
property(
  "ids: a key's own id is known as one, and no proof is invented",
  fc.tuple(bytes, text),
  ([key, signature]) => {
    const encoded = key.toString("base64");
    assert.equal(looksDerived(derivedId(encoded as never)), true);
    assert.equal(isAnswer({ key: encoded, signature }, "n", "h", "i"), false);
  },
);
property(
  "doors: any request target",
  fc.tuple(
    nearly("/agent/", "/client/", "/dial/", "?wait=", "/", "%", "x"),
    fc.constantFrom("", "/ci"),
  ),
  ([target, context]) => {
    const route = readRoute(target, context);
    if (route.kind === "agent" || route.kind === "client") assert.ok(isRendezvousId(route.id));
    if (route.kind === "client") assert.ok(route.waitMs >= 0 && route.waitMs <= 3_600_000);
    if (route.kind === "none") assert.ok(route.status >= 400 && route.status < 500);
    assert.doesNotMatch(pathOf(target), /\?/);
  },
);

for (const [name, parse, kind] of [
  ["duration", duration, /^Write /],
  ["durations", durations, /^Write /],
  ["listen", listenAddress("0.0.0.0"), /./],
  ["relay URL", relayUrl, /./],
  ["web URL", webUrl, /./],
  ["context path", contextPath, /^Write /],
] as const)
  property(
    `flags: ${name}`,
    nearly("1", "m", "h", ":", "http://", "x", "/", ".", "[::1]", "@"),
    (input) => may(kind, () => void parse(input)),
  );
property(
  "flags: a duration that is taken is within a year",
  nearly("1", "9", "s", "m", "h"),
  (input) =>
    may(/^Write /, () => {
      const ms = duration(input);
      assert.ok(ms >= 0 && ms <= 8_784 * 3_600_000);
    }),
);

property(
  "text from outside is one printable line",
  fc.tuple(text, fc.integer({ min: 1, max: 50 })),
  ([input, max]) => {
    const plain = plainText(input, max);
    assert.doesNotMatch(plain, unsafe);
    assert.ok([...plain].length <= max);
  },
);

property("sftp packets: any bytes in any chunks", fc.array(bytes, { maxLength: 6 }), (chunks) => {
  const reader = packetReader();
  try {
    for (const chunk of chunks) {
      reader.push(chunk);
      while (reader.next());
    }
  } catch (error) {
    assert.ok(error instanceof SftpError);
  }
});
property(
  "the host key pin: any bytes in any chunks never match, and a refusal is final",
  fc.array(bytes, { maxLength: 8 }),
  (chunks) => {
    const pin = pinHostKey(`SHA256:${"A".repeat(43)}`);
    let refused = false;
    for (const chunk of [Buffer.from("SSH-2.0-x\r\n"), ...chunks]) {
      const passed = pin.pass(chunk);
      if (refused) assert.deepEqual(passed, []);
      assert.notEqual(pin.verdict, "matched");
      refused ||= pin.verdict !== "pending";
    }
  },
);

property(
  "the usage page: any query makes commands in which nothing is left to be replaced",
  fc.record({
    ci: fc.oneof(fc.constantFrom("github", "azure", "drone", "circleci", "jenkins"), text),
    shells: text,
    keys: fc.constantFrom("url", "file", "text"),
    keyUrl: nearly("https://", "x", "'", "$("),
    keyFile: text,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what GitHub would replace
    keyText: nearly("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA ", "\n", "${{ x }}"),
    timeout: text,
  }),
  (fields) => {
    const choices = readChoices(new URLSearchParams(fields));
    problemsOf(choices);
    const { job } = commandsFor(choices, "https://r.example");
    assert.doesNotMatch(job.code, /\$[{([]|<</);
    const again = readChoices(new URLSearchParams(writeChoices(choices)));
    if (!writeChoices(choices).includes("PRIVATE")) assert.equal(again.shells, choices.shells);
  },
);

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  contextPath,
  duration,
  durations,
  integer,
  listenAddress,
  logLevel,
  names,
  option,
  program,
  proxyRange,
  relayUrl,
  several,
  timeout,
  urlArgument,
  webUrl,
  withFlags,
} from "../../cli/flags.ts";

const good: [string, (text: string) => unknown, string, unknown][] = [
  ["duration", duration, "90s", 90_000],
  ["duration", duration, "30m", 1_800_000],
  ["duration", duration, "2h", 7_200_000],
  ["duration", duration, "0s", 0],
  ["duration", duration, "8784h", 31_622_400_000],
  ["timeout", timeout, "3s", 3_000],
  ["durations", durations, "1m,5m,10s,5m", [300_000, 60_000, 10_000]],
  ["durations", durations, "", []],
  ["names", names, " zsh, ,bash", ["zsh", "bash"]],
  ["integer", integer(0, 255), "0", 0],
  ["integer", integer(0, 255), "255", 255],
  ["listen", listenAddress("0.0.0.0"), "8000", { host: "0.0.0.0", port: 8000 }],
  ["listen", listenAddress("0.0.0.0"), "127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
  ["listen", listenAddress("0.0.0.0"), "[::1]:80", { host: "::1", port: 80 }],
  ["listen", listenAddress("0.0.0.0"), "localhost:65535", { host: "localhost", port: 65535 }],
  ["context path", contextPath, "/", ""],
  ["context path", contextPath, "/a/b/", "/a/b"],
  ["range", proxyRange, "10.0.0.0/8", "10.0.0.0/8"],
  ["range", proxyRange, "::1", "::1"],
  ["range", proxyRange, "loopback", "loopback"],
  ["level", logLevel, "debug", "debug"],
  ["key url", webUrl, "https://forge.example/ann.keys?x=1", "https://forge.example/ann.keys?x=1"],
];
for (const [name, parse, text, want] of good)
  test(`${name} reads ${JSON.stringify(text)}`, () => assert.deepEqual(parse(text), want));

const bad: [string, (text: string) => unknown, string[]][] = [
  ["duration", duration, ["", "10", "-1m", "1.5h", "1d", "8785h", "1h30m", " 5m", "9999999999s"]],
  ["timeout", timeout, ["0s", "2s"]],
  ["durations", durations, ["5m,,1m", "5m;1m", "x"]],
  ["integer", integer(0, 255), ["", "-1", "256", "1.5", "0x10", "1e2"]],
  [
    "listen",
    listenAddress("0.0.0.0"),
    ["", ":80", "a b:80", "1.2.3.4:", "65536", "[zz]:80", "::1:80", "[1.2.3.4]:80"],
  ],
  ["context path", contextPath, ["x", "/a b", "/../x", "/a//b", "/a?b", "/%2e"]],
  ["range", proxyRange, ["10.0.0.0/33", "::1/129", "10.0.0.0/8/8", "host", "", "10.0.0.0/"]],
  ["level", logLevel, ["loud", ""]],
  ["url", relayUrl, ["", "host", "ftp://x", "https://a:b@x", "https://x?y", "https://x#y"]],
  ["key url", webUrl, ["file:///etc/passwd", "x", ""]],
];
for (const [name, parse, texts] of bad)
  for (const text of texts)
    test(`${name} refuses ${JSON.stringify(text)} with what to write instead`, () =>
      assert.throws(() => parse(text), { name: "InvalidArgumentError" }));

for (const [value, flags, want] of [
  ["", "--insecure", undefined],
  ["0", "--insecure", undefined],
  ["false", "--insecure", undefined],
  ["1", "--insecure", "CONVERGE_INSECURE"],
  ["", "--insecure <text>", undefined],
  ["0", "--insecure <text>", "CONVERGE_INSECURE"],
] as const)
  test(`a twin that is ${JSON.stringify(value)} ${want ? "counts" : "is none"} for ${flags}`, () => {
    process.env["CONVERGE_INSECURE"] = value;
    try {
      assert.equal(option(flags, "").envVar, want);
    } finally {
      delete process.env["CONVERGE_INSECURE"];
    }
  });

test("a bad URL is repeated without its secrets", () => {
  assert.throws(() => urlArgument(relayUrl, "https://ann:word@relay/x?token=1"), {
    message: "https://relay/x: A relay's URL has no user, no ? and no #.",
  });
});

test("flags are read under commander's names, each as what it is, and a misspelt one does not compile", () => {
  const command = program("program", "0", "");
  const readFlags = withFlags(command, [
    option("--keys-file <file>", ""),
    option("--keys-url <url>", "", { read: several(webUrl), otherwise: [] }),
    option("--max-duration <duration>", "", { read: duration }),
    option("--linger <duration>", "", { read: duration, otherwise: 0, shown: "0s" }),
    option("--read-only", ""),
    option("--json", ""),
    option("--no-port-forwarding", ""),
  ]);
  command.parse(["--keys-file", "f", "--max-duration", "2s", "--read-only"], { from: "user" });
  const flags: {
    keysFile: string | undefined;
    keysUrl: string[];
    maxDuration: number | undefined;
    linger: number;
    readOnly: boolean | undefined;
    json: boolean | undefined;
    portForwarding: boolean;
  } = readFlags();
  assert.deepEqual(flags, {
    keysFile: "f",
    keysUrl: [],
    maxDuration: 2_000,
    linger: 0,
    readOnly: true,
    portForwarding: true,
  });
  // @ts-expect-error It is keysFile.
  assert.equal(readFlags().keyFile, undefined);
  // @ts-expect-error It may not be given.
  const maxDuration: number = readFlags().maxDuration;
  assert.equal(maxDuration, 2_000);
});

/** Which proxy the environment names for a URL: the same as curl takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { proxyFor } from "../../../src/io/dial/proxy.ts";

const proxy = "http://proxy.test:3128";

for (const [exceptions, url, isDirect] of [
  ["", "https://relay.corp.test", false],
  ["corp.test", "https://relay.corp.test", true],
  ["corp.test", "https://corp.test", true],
  ["corp.test", "https://notcorp.test", false],
  ["corp.test", "https://corp.test.example", false],
  [".corp.test", "https://relay.corp.test", true],
  [".corp.test", "https://corp.test", true],
  ["*.corp.test", "https://relay.corp.test", true],
  ["*.corp.test", "https://corp.test", false],
  ["CORP.test", "https://Relay.Corp.Test", true],
  ["corp.test.", "https://relay.corp.test", true],
  ["corp.test", "https://relay.corp.test.", true],
  ["*", "https://anything.example", true],
  ["a.test, *", "https://anything.example", true],
  ["a.test, corp.test", "https://relay.corp.test", true],
  ["a.test corp.test", "https://relay.corp.test", true],
  [" a.test ,\tcorp.test , ", "https://relay.corp.test", true],
  [",,", "https://relay.corp.test", false],
  [".", "https://relay.corp.test", false],
  ["relay.test:443", "https://relay.test", true],
  ["relay.test:443", "wss://relay.test/agent/x", true],
  ["relay.test:443", "https://relay.test:8443", false],
  ["relay.test:8443", "https://relay.test:8443", true],
  ["relay.test:80", "http://relay.test", true],
  ["test:443", "https://relay.test", true],
  ["127.0.0.1", "https://127.0.0.1:8000", true],
  ["127.0.0.1:8000", "https://127.0.0.1:8000", true],
  ["127.0.0.1:1", "https://127.0.0.1:8000", false],
  ["0.0.1", "https://127.0.0.1", false],
  ["127.0.0.0/8", "https://127.1.2.3", true],
  ["127.0.0.0/8", "https://128.0.0.1", false],
  ["10.0.0.0/8,192.168.0.0/16", "https://192.168.7.7", true],
  ["0.0.0.0/0", "https://192.168.7.7", true],
  ["10.0.0.0/33", "https://10.0.0.1", false],
  ["10.0.0.0/", "https://10.0.0.1", false],
  ["10.0.0.0/x", "https://10.0.0.1", false],
  ["127.0.0.0/8", "https://relay.test", false],
  ["::1", "https://[::1]:8000", true],
  ["[::1]", "https://[::1]:8000", true],
  ["[::1]:8000", "https://[::1]:8000", true],
  ["[::1]:8001", "https://[::1]:8000", false],
  ["0:0:0:0:0:0:0:1", "https://[::1]", true],
  ["fd00::/8", "https://[fd12::7]", true],
  ["[fd00::]/8", "https://[fe80::7]", false],
  ["::/0", "https://10.0.0.1", false],
] as const)
  test(`NO_PROXY=${JSON.stringify(exceptions)}: ${url} ${isDirect ? "goes directly" : "goes through the proxy"}`, () => {
    const env = { ALL_PROXY: proxy, NO_PROXY: exceptions };
    assert.equal(proxyFor(new URL(url), env), isDirect ? "" : proxy);
  });

for (const [env, url, want] of [
  [{ HTTPS_PROXY: "proxy:3128" }, "https://relay.test", "http://proxy:3128"],
  [{ HTTPS_PROXY: "proxy:3128" }, "wss://relay.test", "http://proxy:3128"],
  [{ HTTPS_PROXY: "proxy:3128" }, "http://relay.test", ""],
  [{ HTTP_PROXY: "proxy:3128" }, "ws://relay.test", "http://proxy:3128"],
  [{ HTTP_PROXY: "proxy:3128" }, "https://relay.test", ""],
  [{ ALL_PROXY: "proxy" }, "https://relay.test", "http://proxy"],
  [{ ALL_PROXY: "a", HTTPS_PROXY: "b" }, "https://relay.test", "http://b"],
  [{ HTTPS_PROXY: "A", https_proxy: "b" }, "https://relay.test", "http://b"],
  [{ HTTPS_PROXY: "", ALL_PROXY: "a" }, "https://relay.test", "http://a"],
  [{ HTTPS_PROXY: " " }, "https://relay.test", ""],
  [{ HTTPS_PROXY: "https://p:1" }, "https://relay.test", "https://p:1"],
  [{ HTTPS_PROXY: "socks5://p:1" }, "https://relay.test", "socks5://p:1"],
  [{ HTTPS_PROXY: "u:w@p:1" }, "https://relay.test", "http://u:w@p:1"],
  [{}, "https://relay.test", ""],
] as const)
  test(`${JSON.stringify(env)}: ${url} goes through ${want || "none"}`, () =>
    assert.equal(proxyFor(new URL(url), env), want));

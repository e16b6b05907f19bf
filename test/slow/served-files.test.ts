/** The files and scripts that the relay serves: validators, ranges, hashes, and shellcheck. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endPrograms, run } from "../support/child.ts";
import { type RelayProgram, relayProgram } from "../support/programs.ts";
import { root } from "../support/shipped.ts";

let relay: RelayProgram;
before(async () => {
  relay = await relayProgram();
});
after(endPrograms);

describe("what the relay serves", () => {
  test("files have validators, ranges, packed copies and hashes", async () => {
    const url = `${relay.url}/static/agent.cjs`;
    const file = readFileSync(join(root, "dist/downloads/agent.cjs"));
    const whole = await fetch(url, { headers: { "accept-encoding": "identity" } });
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), file);
    const etag = whole.headers.get("etag") ?? "";
    const ask = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", `If-None-Match: ${etag}`];
    assert.equal((await run("curl", [...ask, url])).stdout.toString(), "304");
    const part = await fetch(url, {
      headers: { range: "bytes=10-19", "accept-encoding": "identity" },
    });
    assert.deepEqual(
      [part.status, part.headers.get("content-range"), Buffer.from(await part.arrayBuffer())],
      [206, `bytes 10-19/${file.length}`, file.subarray(10, 20)],
    );
    const packed = await fetch(url, { headers: { "accept-encoding": "gzip" } });
    assert.equal(packed.headers.get("content-encoding"), "gzip");
    assert.deepEqual(Buffer.from(await packed.arrayBuffer()), file);
    const alias = await fetch(`${relay.url}/static/agent`, { redirect: "manual" });
    assert.equal(alias.headers.get("location"), "agent-linux-x64");
    for (const path of [
      ".agent.cjs",
      "sub/agent.cjs",
      "..%2f..%2fpackage.json",
      "../../package.json",
      ".hidden",
      "%00",
    ])
      assert.ok((await fetch(`${relay.url}/static/${path}`)).status >= 400, path);
    const sums = await (await fetch(`${relay.url}/static/SHA256SUMS`)).text();
    const check = await run("sha256sum", ["--check", "--ignore-missing", "-"], {
      cwd: join(root, "dist/downloads"),
      input: sums,
    });
    assert.equal(check.status, 0, check.stderr);
    assert.match(check.stdout.toString(), /agent-linux-x64: OK\nagent\.cjs: OK\n/);
  });

  test("scripts are clean for shellcheck, with whatever address the relay is asked under", async () => {
    for (const [host, isGood] of [
      ["relay.example", true],
      ["[::1]:8000", true],
      ["it's$(touch gone)`x`", false],
      ["a^b", false],
    ] as const)
      for (const name of ["agent.sh", "wsproxy.sh"]) {
        const text = await new Promise<string>((done) => {
          const asked = { port: relay.port, path: `/${name}`, headers: { host } };
          request(asked, (answer) => {
            let all = "";
            answer.on("data", (data) => {
              all += data;
            });
            answer.on("end", () => done(all));
          }).end();
        });
        if (!isGood) {
          assert.equal(text, "The Host header of this request is no host name.\n");
          continue;
        }
        const { status, stdout } = await run("shellcheck", ["-"], { input: text });
        assert.deepEqual([status, stdout.toString()], [0, ""], `${name} for ${host}`);
        assert.match(text, /^relay=\S+$/m);
      }
  });
});

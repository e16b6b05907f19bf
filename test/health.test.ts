/** `converge --health`: it follows the configuration, and says what is wrong. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { certificates } from "./support/certificates.ts";
import { endPrograms, folder, run } from "./support/child.ts";
import { relayProgram } from "./support/programs.ts";
import { built } from "./support/shipped.ts";

after(endPrograms);

const health = async (env: Record<string, string>): Promise<[number | null, string]> => {
  const { status, stderr } = await run(process.execPath, [built("converge"), "--health"], { env });
  return [status, stderr];
};

test("a relay that is well: 0, wherever its configuration has put it", async () => {
  const plain = await relayProgram(["--context-path", "/ci"]);
  const at = { CONVERGE_LISTEN: `127.0.0.1:${plain.port}` };
  assert.deepEqual(await health({ ...at, CONVERGE_CONTEXT_PATH: "/ci" }), [0, ""]);
  assert.deepEqual(await health(at), [
    1,
    `converge: 127.0.0.1:${plain.port}/healthz answers 404.\n`,
  ]);
  // Who listens on all addresses is asked at the machine's own.
  const everywhere = { CONVERGE_LISTEN: `0.0.0.0:${plain.port}`, CONVERGE_CONTEXT_PATH: "/ci" };
  assert.deepEqual(await health(everywhere), [0, ""]);
});

test("one with TLS is asked by TLS, whatever name its certificate has", async () => {
  const { certFile: cert, keyFile: key } = certificates(folder()).issue(
    "relay",
    "DNS:relay.example",
  );
  const relay = await relayProgram(["--tls-cert", cert, "--tls-key", key], { scheme: "https" });
  const env = {
    CONVERGE_LISTEN: `127.0.0.1:${relay.port}`,
    CONVERGE_TLS_CERT: cert,
    CONVERGE_TLS_KEY: key,
  };
  assert.deepEqual(await health(env), [0, ""]);
});

test("one that is not there, and one that is frozen: 1 and why", async () => {
  const frozen = createServer(() => {}).listen(0, "127.0.0.1");
  await new Promise((done) => frozen.once("listening", done));
  const { port } = frozen.address() as AddressInfo;
  const env = { CONVERGE_LISTEN: `127.0.0.1:${port}` };
  const slow = `converge: 127.0.0.1:${port}/healthz does not answer: no answer in 2.5 s.\n`;
  assert.deepEqual(await health(env), [1, slow]);
  frozen.closeAllConnections();
  await new Promise((done) => frozen.close(done));
  const [status, said] = await health(env);
  assert.equal(status, 1);
  assert.match(said, /^converge: 127\.0\.0\.1:\d+\/healthz does not answer: .*ECONNREFUSED/);
});

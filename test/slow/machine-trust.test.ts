/** An authority that the machine trusts, as curl would find it: wsproxy, agent, keys and doctor do too. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, program } from "../support/child.ts";
import { ed25519Pair } from "../support/ed25519-pair.ts";
import { jobFolder, type RelayProgram, relayProgram } from "../support/programs.ts";
import { built } from "../support/shipped.ts";

let relay: RelayProgram;
let ca: string;
let other: string;
let dir: string;
let keys: ReturnType<typeof createServer>;
before(async () => {
  dir = folder();
  const authority = certificates(dir);
  ca = authority.ca;
  other = certificates(folder()).ca;
  mkdirSync(join(dir, "certs"));
  copyFileSync(ca, join(dir, "certs/0a1b2c3d.0"));
  const { certFile, keyFile } = authority.issue("relay", "IP:127.0.0.1");
  relay = await relayProgram(["--tls-cert", certFile, "--tls-key", keyFile], { scheme: "https" });
  const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  keys = createServer(pair, (_request, response) => response.end(ed25519Pair("dev").public));
  await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve));
});
after(async () => {
  keys.close();
  await endPrograms();
});

type Env = Record<string, string>;
/** Whether each of them takes the certificate. */
async function verdicts(env: Env, wrap: readonly string[] = [], flags: readonly string[] = []) {
  const start = (name: "agent" | "wsproxy", args: readonly string[], cwd = dir) => {
    const [file = "", ...rest] = [...wrap, process.execPath, built(name), ...args];
    return program(file, rest, { cwd, env: { HOME: cwd, SHELL: "/bin/bash", ...env } });
  };
  const proxy = await finished(start("wsproxy", [...flags, `${relay.url}/client/nobody`]));
  const doctor = await finished(start("wsproxy", ["doctor", ...flags, relay.url]));
  const job = jobFolder().dir;
  const from = `https://127.0.0.1:${(keys.address() as AddressInfo).port}/dev.keys`;
  const agent = start("agent", [...flags, "--authorized-keys-url", from, relay.url], job);
  await agent.see(/rendez-vous id|TLS certificate was not/);
  const isIn = agent.out().includes("rendez-vous id");
  agent.kill("SIGTERM");
  await agent.exited;
  const alone = ["--authorized-keys", "none", "--authorized-keys-url", from];
  const keyed = start("agent", [...alone, ...flags, "--insecure", relay.url], job);
  await keyed.see(/rendez-vous id|Nobody could log in/);
  const hasKeys = keyed.out().includes("rendez-vous id");
  keyed.kill("SIGTERM");
  await keyed.exited;
  return [proxy.status === 7, doctor.status === 0, isIn, hasKeys];
}

for (const [name, env] of [
  ["SSL_CERT_FILE", () => ({ SSL_CERT_FILE: ca })],
  ["SSL_CERT_DIR", () => ({ SSL_CERT_DIR: `/nowhere:${join(dir, "certs")}` })],
  ["NODE_EXTRA_CA_CERTS", () => ({ NODE_EXTRA_CA_CERTS: ca })],
  [
    "NODE_EXTRA_CA_CERTS beside SSL_CERT_FILE",
    () => ({ NODE_EXTRA_CA_CERTS: ca, SSL_CERT_FILE: other }),
  ],
] as const)
  test(`${name} names the authority: all take the certificate`, async () =>
    assert.deepEqual(await verdicts(env()), [true, true, true, true]));

test("the distribution's bundle has the authority: all take the certificate", async () => {
  // In a mount namespace with another bundle; it fails by name where there can be none.
  const bundle = "/etc/ssl/certs/ca-certificates.crt";
  const script = `mount --bind "$1" ${bundle}; shift; exec "$@"`;
  const wrap = ["unshare", "--mount", "sh", "-ec", script, "sh", ca];
  assert.deepEqual(await verdicts({}, wrap), [true, true, true, true]);
});

for (const [name, env, flags, want] of [
  ["nobody knows the authority", () => ({}), () => [], [false, false, false, false]],
  [
    "another one is named",
    () => ({ SSL_CERT_FILE: other }),
    () => [],
    [false, false, false, false],
  ],
  [
    "--ca names another one, which alone counts for the relay",
    () => ({ SSL_CERT_FILE: ca }),
    () => ["--ca", other],
    [false, false, false, true],
  ],
] as const)
  test(`${name}: it is refused`, async () =>
    assert.deepEqual(await verdicts(env(), [], flags()), want));

/** What clients negotiate with an agent by themselves, and that old ones still get in. */
import assert from "node:assert/strict";
import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  verify,
} from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createMLKEM768 } from "@oqs/liboqs-js";
import { run } from "../support/child.ts";
import { kexInit, packet, reader, string, strings } from "../support/raw-ssh.ts";
import { built } from "../support/shipped.ts";
import { stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
before(async () => {
  world = await meet();
  writeFileSync(join(world.agent.dir, ".hold"), "");
});
after(() => world.close());

test("OpenSSH takes sntrup761 with X25519 by itself", async () => {
  const { status, stdout, stderr } = await world.ssh(["-v", "echo", "hello"]);
  assert.deepEqual([status, stdout.toString()], [0, "hello\n"]);
  assert.match(stderr, /kex: algorithm: sntrup761x25519-sha512/);
});

test("an OpenSSH that knows curve25519 only gets in", async () => {
  const { status, stderr } = await world.ssh(["-v", "-oKexAlgorithms=curve25519-sha256", "true"]);
  assert.equal(status, 0);
  assert.match(stderr, /kex: algorithm: curve25519-sha256/);
});

test("it survives new keys in the middle of a transfer", async () => {
  const args = ["-v", "-oRekeyLimit=1M", "head -c 8000000 /dev/zero"];
  const { status, stdout, stderr } = await world.ssh(args);
  assert.deepEqual([status, stdout.length], [0, 8_000_000]);
  // The first exchange, and new ones; how many is a matter of what is under way when one is asked for.
  const exchanges = (stderr.match(/kex: algorithm: sntrup761/g) ?? []).length;
  assert.ok(exchanges > 2, `${exchanges} exchanges`);
});

test("PuTTY's plink takes sntrup761 by itself", async () => {
  const key = join(world.dir, "key.ppk");
  const puttygen = await run("puttygen", [world.keyFile, "-o", key, "-O", "private"]);
  assert.equal(puttygen.status, 0, puttygen.stderr);
  const client = `${world.relay.url.href.replace(/\/$/, "")}/client/${world.agent.id}`;
  const { status, stdout, stderr } = await run(
    "plink",
    [
      "-ssh",
      "-v",
      "-batch",
      "-i",
      key,
      "-hostkey",
      world.agent.fingerprint,
      "-proxycmd",
      `${process.execPath} ${built("wsproxy")} ${client}`,
      "job@agent",
      "echo hello; exit 7",
    ],
    { env: { HOME: world.dir } },
  );
  assert.deepEqual([status, stdout.toString()], [7, "hello\n"], stderr);
  assert.match(stderr, /Doing NTRU Prime . Curve25519 hybrid key exchange/);
});

test("a client that knows ML-KEM proves the agent's host key with it", async () => {
  // No ssh of this system speaks it, so the exchange is done here, byte by byte, with another
  // implementation of the KEM; the signature holds only if both came to the same K.
  const base = world.relay.url.href.replace(/\/$/, "");
  const link = stranger(`${base}/client/${world.agent.id}`, null);
  await until("the link is open", link.isOpen);
  const take = reader(link);
  const send = (data: Buffer): void => link.socket.send(data);
  const takePacket = async (): Promise<Buffer> => {
    const whole = await take((all) =>
      all.length < 4 || all.length < all.readUInt32BE(0) + 4 ? 0 : all.readUInt32BE(0) + 4,
    );
    return whole.subarray(5, whole.length - (whole[4] ?? 0));
  };
  const clientIdent = "SSH-2.0-byhand";
  send(Buffer.from(`${clientIdent}\r\n`));
  const serverIdent = (await take((all) => all.indexOf("\n") + 1)).toString().trim();
  const ownInit = kexInit("mlkem768x25519-sha256");
  send(packet(ownInit));
  const theirInit = await takePacket();
  assert.match(theirInit.toString("latin1"), /mlkem768x25519-sha256,sntrup761x25519-sha512,/);

  const kem = await createMLKEM768();
  const { publicKey, secretKey } = kem.generateKeyPair();
  const x25519 = generateKeyPairSync("x25519");
  const init = Buffer.concat([
    publicKey,
    x25519.publicKey.export({ type: "spki", format: "der" }).subarray(-32),
  ]);
  send(packet(Buffer.concat([Buffer.of(30), string(init)])));
  const answer = await takePacket();
  assert.equal(answer[0], 31);
  const [hostKey = Buffer.alloc(0), reply = Buffer.alloc(0), signature = Buffer.alloc(0)] = strings(
    answer.subarray(1),
  );
  const theirs = createPublicKey({
    key: Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), reply.subarray(1_088)]),
    format: "der",
    type: "spki",
  });
  const secret = createHash("sha256")
    .update(kem.decapsulate(new Uint8Array(reply.subarray(0, 1_088)), secretKey))
    .update(diffieHellman({ privateKey: x25519.privateKey, publicKey: theirs }))
    .digest();
  const exchange = createHash("sha256");
  for (const part of [clientIdent, serverIdent, ownInit, theirInit, hostKey, init, reply, secret])
    exchange.update(string(part));
  const [, raw = Buffer.alloc(0)] = strings(hostKey);
  const hostPublicKey = createPublicKey({
    key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]),
    format: "der",
    type: "spki",
  });
  const [, bytes = Buffer.alloc(0)] = strings(signature);
  assert.equal(verify(null, exchange.digest(), hostPublicKey, bytes), true);
  const digest = createHash("sha256").update(hostKey).digest("base64").replace(/=+$/, "");
  assert.equal(`SHA256:${digest}`, world.agent.fingerprint);
  link.socket.terminate();
});

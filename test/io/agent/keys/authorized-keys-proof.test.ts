/** Authorized keys: signatures, of security keys too, and what a real ssh makes of them. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { AuthContext } from "ssh2";
import {
  findKey,
  fingerprintOf,
  parseAuthorizedKeys,
  verifies,
} from "../../../../src/io/agent/keys/authorized-keys.ts";
import { extensions } from "../../../../src/io/agent/ssh/algorithms.ts";
import { ed25519Pair } from "../../../support/ed25519-pair.ts";
import {
  anywhere,
  only,
  pairs,
  type SecurityKey,
  Server,
  securityKeys,
  str,
  utils,
} from "../../../support/key-lines.ts";

describe("signatures", () => {
  test("a fingerprint is what ssh-keygen says", () => {
    for (const pair of Object.values(pairs)) {
      const said = execFileSync("ssh-keygen", ["-lf", "-"], {
        input: pair.public,
        encoding: "utf8",
      });
      const [, blob = ""] = pair.public.split(" ");
      assert.equal(fingerprintOf(Buffer.from(blob, "base64")), said.split(" ")[1]);
    }
  });

  for (const [name, hash] of [
    ["ed25519", undefined],
    ["p256", undefined],
    ["p384", undefined],
    ["p521", undefined],
    ["rsa", "sha256"],
    ["rsa", "sha512"],
  ] as const) {
    test(`${name} ${hash ?? ""} verifies its own signature and no other`, () => {
      const key = only(pairs[name].public);
      const secret = utils.parseKey(pairs[name].private);
      assert.ok(!(secret instanceof Error));
      const blob = Buffer.from("what is signed");
      const signature = secret.sign(blob, hash);
      const signed = { algo: key.type, hashAlgo: hash, signature, blob };
      assert.equal(verifies(key, signed), true);
      assert.equal(verifies(key, { ...signed, blob: Buffer.from("what is not") }), false);
      assert.equal(verifies(key, { ...signed, signature: signature.subarray(1) }), false);
      assert.equal(verifies(key, { ...signed, signature: Buffer.alloc(0) }), false);
      assert.equal(verifies(key, { ...signed, algo: "ssh-dss" }), false);
      assert.equal(verifies(only(pairs.other.public), { ...signed, algo: "ssh-ed25519" }), false);
    });
  }

  test("an RSA signature with SHA-1, or of no named hash, is none", () => {
    const key = only(pairs.rsa.public);
    const secret = utils.parseKey(pairs.rsa.private);
    assert.ok(!(secret instanceof Error));
    const blob = Buffer.from("x");
    for (const hashAlgo of ["sha1", undefined]) {
      const signature = secret.sign(blob, "sha1");
      assert.equal(verifies(key, { algo: "ssh-rsa", hashAlgo, signature, blob }), false);
    }
  });

  for (const security of securityKeys()) {
    test(`${security.type} verifies only what was signed by touch`, () => {
      const key = only(`restrict,pty ${security.type} ${security.blob.toString("base64")} stick`);
      const blob = Buffer.from("what is signed");
      // What ssh2's server leaves of a signature: without the algorithm and the inner length.
      const bare = (flags: number): Buffer =>
        security.signature(blob, flags).subarray(4 + security.type.length + 4);
      const signed = { algo: key.type, hashAlgo: undefined, signature: bare(1), blob };
      assert.equal(verifies(key, signed), true);
      assert.equal(verifies(key, { ...signed, signature: bare(5) }), true);
      assert.equal(verifies(key, { ...signed, signature: bare(0) }), false);
      assert.equal(
        verifies(key, { ...signed, signature: Buffer.concat([bare(1), Buffer.of(1)]) }),
        false,
      );
      assert.equal(
        verifies(key, {
          ...signed,
          signature: Buffer.concat([bare(1).subarray(0, -1), Buffer.of(9)]),
        }),
        false,
      );
      assert.equal(verifies(key, { ...signed, blob: Buffer.from("x") }), false);
      for (const n of [0, 3, 5, 20]) {
        assert.equal(verifies(key, { ...signed, signature: bare(1).subarray(0, n) }), false);
      }
    });
  }
});

describe("a real ssh", () => {
  const folder = mkdtempSync(join(tmpdir(), "converge-keys-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Whether ssh with these arguments logs in at a server that knows this file. */
  async function logsIn(file: string, args: string[]): Promise<boolean> {
    const { keys } = parseAuthorizedKeys(file);
    const hostKeys = [ed25519Pair().private];
    const server = new Server({ hostKeys, ...{ extInfo: extensions } }, (client) => {
      client.on("error", () => undefined);
      client.on("authentication", (auth: AuthContext) => {
        if (auth.method !== "publickey") return auth.reject(["publickey"]);
        const found = findKey(keys, auth.key.data, anywhere);
        if (!("key" in found)) return auth.reject(["publickey"]);
        const { signature, blob, hashAlgo } = auth;
        if (signature === undefined || blob === undefined) return auth.accept();
        const signed = { algo: auth.key.algo, hashAlgo, signature, blob };
        return verifies(found.key, signed) ? auth.accept() : auth.reject(["publickey"]);
      });
      client.on("session", (accept) => {
        accept().on("exec", (take) => {
          const channel = take();
          channel.exit(0);
          channel.end();
        });
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const common = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
    const ssh = spawn(
      "ssh",
      [
        "-F",
        "none",
        ...common.flatMap((o) => ["-o", o]),
        "-p",
        `${port}`,
        ...args,
        "me@127.0.0.1",
        "x",
      ],
      { stdio: "ignore" },
    );
    const [status] = await once(ssh, "exit");
    server.close();
    return status === 0;
  }

  function keyFile(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  // Not rsa-sha2-512 alone: ssh2 1.17 lacks a comma before it in the server-sig-algs it announces.
  for (const [name, extra] of [
    ["ed25519", []],
    ["p256", []],
    ["p384", []],
    ["p521", []],
    ["rsa", ["-o", "PubkeyAcceptedAlgorithms=rsa-sha2-256"]],
    ["rsa", []],
  ] as const) {
    test(`logs in with ${name} ${extra.join(" ")}, and not when another key is listed`, async () => {
      const path = keyFile(`${name}${extra.length}`, pairs[name].private);
      const args = ["-i", path, "-o", "IdentitiesOnly=yes", ...extra];
      assert.equal(await logsIn(pairs[name].public, args), true);
      assert.equal(await logsIn(pairs.other.public, args), false);
    });
  }

  for (const [n, security] of securityKeys().entries()) {
    for (const [touched, flags] of [
      ["a touched", 1],
      ["an untouched", 0],
    ] as const) {
      test(`with ${touched} ${security.type} in its agent ${flags ? "logs in" : "is refused"}`, async () => {
        const path = join(folder, `agent${n}${flags}`);
        const agent = createServer((socket) => answerAsAgent(socket, security, flags));
        agent.listen(path);
        await once(agent, "listening");
        const file = `${security.type} ${security.blob.toString("base64")} stick`;
        assert.equal(await logsIn(file, ["-o", `IdentityAgent=${path}`]), flags === 1);
        agent.close();
      });
    }
  }
});

/** Just enough of an ssh agent (draft-ietf-sshm-ssh-agent): lists one key and signs with it. */
function answerAsAgent(socket: Socket, security: SecurityKey, flags: number): void {
  let held = Buffer.alloc(0);
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const asked = held.subarray(4, 4 + held.readUInt32BE(0));
      held = held.subarray(4 + asked.length);
      if (asked[0] === 11) {
        const list = Buffer.concat([
          Buffer.from([12, 0, 0, 0, 1]),
          str(security.blob),
          str("stick"),
        ]);
        socket.write(str(list));
      } else if (asked[0] === 13) {
        const at = 1 + 4 + asked.readUInt32BE(1);
        const data = asked.subarray(at + 4, at + 4 + asked.readUInt32BE(at));
        socket.write(str(Buffer.concat([Buffer.from([14]), str(security.signature(data, flags))])));
      } else {
        socket.write(str(Buffer.from([5])));
      }
    }
  });
}

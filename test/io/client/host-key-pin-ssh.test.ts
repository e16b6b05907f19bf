/** Host key pin: real ssh clients through a proxy that asks it, to an ssh2 server and to sshd. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { after, describe, test } from "node:test";
import ssh2 from "ssh2";
import { fingerprintOf } from "../../../src/io/agent/keys/authorized-keys.ts";
import { pinHostKey, type Verdict } from "../../../src/io/client/host-key-pin.ts";
import { ed25519Pair } from "../../support/ed25519-pair.ts";

const { Server } = ssh2;

const unchecked = (what: string): Verdict => ({
  refused: `The server's host key could not be checked: ${what}`,
});
interface Far {
  readonly from: Readable;
  readonly to: Writable;
  close(): void;
}

/** Runs ssh to a port behind which stands the far end, with the pin between them. */
async function sshThrough(
  fingerprint: string,
  far: () => Far,
  args: readonly string[],
): Promise<{ status: number; said: string; verdict: Verdict }> {
  const pin = pinHostKey(fingerprint);
  const proxy = createServer((near) => {
    const { from, to, close } = far();
    near.on("error", () => undefined).on("close", close);
    to.on("error", () => undefined);
    near.pipe(to);
    from.on("error", () => undefined).on("end", () => near.end());
    from.on("data", (chunk: Buffer) => {
      for (const bytes of pin.pass(chunk)) near.write(bytes);
      if (typeof pin.verdict === "object") near.destroy();
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"];
  const ssh = spawn(
    "ssh",
    [
      "-F",
      "none",
      ...options.flatMap((o) => ["-o", o]),
      "-p",
      `${port}`,
      ...args,
      "me@127.0.0.1",
      "x",
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  ssh.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  ssh.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = await once(ssh, "close");
  proxy.close();
  return { status: Number(status), said, verdict: pin.verdict };
}

function fingerprintOfText(publicKey: string): string {
  return fingerprintOf(Buffer.from(publicKey.split(" ")[1] ?? "", "base64"));
}

describe("a real ssh", () => {
  const folder = mkdtempSync(join(tmpdir(), "converge-pin-"));
  // sshd as root wants /run/sshd; as nobody it does not, but must be able to read its files.
  chmodSync(folder, 0o755);
  after(() => rmSync(folder, { recursive: true, force: true }));
  const other = fingerprintOfText(ed25519Pair().public);

  for (const kex of [
    "curve25519-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
  ] as const) {
    for (const isRight of [true, false]) {
      test(`with ${kex} ${isRight ? "gets through to" : "never talks to"} an ssh2 server with ${isRight ? "the pinned" : "another"} key`, async () => {
        const host = ed25519Pair();
        let asked = 0;
        const server = new Server(
          { hostKeys: [host.private], algorithms: { kex: [kex] } },
          (client) => {
            client.on("error", () => undefined);
            client.on("authentication", (auth) => {
              asked++;
              auth.accept();
            });
            client.on("session", (accept) => {
              accept().on("exec", (take) => {
                const channel = take();
                channel.write("here");
                channel.exit(0);
                channel.end();
              });
            });
          },
        );
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        const { port } = server.address() as AddressInfo;
        const shown = fingerprintOfText(host.public);
        const far = (): Far => {
          const socket = connect(port, "127.0.0.1");
          return { from: socket, to: socket, close: () => socket.destroy() };
        };
        const got = await sshThrough(isRight ? shown : other, far, ["-o", "LogLevel=ERROR"]);
        server.close();
        if (isRight) {
          assert.deepEqual(got, { status: 0, said: "here", verdict: "matched" });
        } else {
          const refused = `The server's host key is ${shown}, but ${other} was expected.`;
          assert.deepEqual([got.status, got.verdict, asked], [255, { refused }, 0]);
        }
      });
    }
  }

  const hostKey = join(folder, "host");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", hostKey]);
  const hostFingerprint = fingerprintOfText(readFileSync(`${hostKey}.pub`, "utf8"));
  const asNobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if ("uid" in asNobody) chmodSync(hostKey, 0o644);

  /** One sshd for one connection, on its stdin and stdout. */
  function sshd(...lines: string[]): () => Far {
    const config = join(folder, `sshd-${lines.length}`);
    writeFileSync(config, ["UsePAM no", "AuthorizedKeysFile none", ...lines, ""].join("\n"));
    return () => {
      const child = spawn("/usr/sbin/sshd", ["-i", "-e", "-f", config, "-h", hostKey], {
        stdio: ["pipe", "pipe", "ignore"],
        ...asNobody,
      });
      return { from: child.stdout, to: child.stdin, close: () => void child.kill() };
    };
  }

  for (const [kex, kexName] of [
    ["curve25519-sha256", "curve25519-sha256"],
    ["sntrup761x25519-sha512@openssh.com", "sntrup761x25519-sha512@openssh.com"],
    ["ecdh-sha2-nistp384,diffie-hellman-group18-sha512", "ecdh-sha2-nistp384"],
  ] as const) {
    test(`reaches OpenSSH's sshd by ${kexName} as far as its login, with the pinned key`, async () => {
      const far = sshd(`KexAlgorithms ${kex}`);
      const got = await sshThrough(hostFingerprint, far, ["-v"]);
      assert.equal(got.verdict, "matched");
      assert.match(got.said, new RegExp(`kex: algorithm: ${kexName}`));
      assert.match(got.said, /Permission denied \(/);
    });
  }

  test("never sees the key of OpenSSH's sshd when another is pinned", async () => {
    const got = await sshThrough(other, sshd("KexAlgorithms curve25519-sha256"), ["-v"]);
    const refused = `The server's host key is ${hostFingerprint}, but ${other} was expected.`;
    assert.deepEqual([got.status, got.verdict], [255, { refused }]);
    assert.doesNotMatch(got.said, /Server host key|Permission denied/);
  });

  test("is refused by OpenSSH's sshd as it comes, since that offers a group exchange", async () => {
    const got = await sshThrough(hostFingerprint, sshd(), ["-v"]);
    assert.deepEqual(
      got.verdict,
      unchecked(
        'It offers the key exchange "diffie-hellman-group-exchange-sha256", which cannot be checked.',
      ),
    );
    assert.doesNotMatch(got.said, /Server host key|Permission denied/);
  });
});

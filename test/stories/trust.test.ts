/**
 * Trust: who sees what, and who gets in. A relay that puts its own agent in the middle, a relay that
 * keeps every byte, strangers by the dozen, and Debian's ssh-audit.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import ssh2 from "ssh2";
import { strangersMost } from "../../src/io/agent/ssh/pre-auth.ts";
import { missesMost } from "../../src/io/relay/admission/misses.ts";
import { endPrograms, finished, type Program, program, run } from "../support/child.ts";
import { handClock } from "../support/clock.ts";
import { type Forwarder, forwarder } from "../support/forwarder.ts";
import { freePort } from "../support/ports.ts";
import {
  agentProgram,
  jobFolder,
  ours,
  type RelayProgram,
  relayProgram,
  ssh,
  sshArgs,
} from "../support/programs.ts";
import { kexInit, packet, string } from "../support/raw-ssh.ts";
import { hold } from "../support/started.ts";
import { stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

after(endPrograms);

describe("a relay with an agent of its own in the middle", () => {
  test("is refused before the client authenticates, when the fingerprint is known", async () => {
    const honest = await relayProgram();
    const evil = await relayProgram();
    const agent = await agentProgram(honest.url, ["--id", "job"]);
    // The evil one has everything that a relay can have: the id, and the client's public key.
    const keys = readFileSync(join(agent.dir, ".authorized_keys"), "utf8");
    const imposter = await agentProgram(evil.url, ["--id", "job", "--log-level", "debug"]);
    writeFileSync(join(imposter.dir, ".authorized_keys"), keys);

    const through = `${evil.url}/client/job`;
    const caught = await finished(
      program("ssh", [...sshArgs(agent, "", through), "-v", "echo reached"]),
    );
    assert.equal(caught.status, 255);
    assert.match(caught.err, /The host key does not match: expected SHA256:/);
    assert.doesNotMatch(caught.err, /NEWKEYS|Offering public key/);
    assert.doesNotMatch(imposter.err() + imposter.out(), /login refused|client joined/);

    // Without the pin it works: that is what the pin is for.
    const blind = sshArgs(agent, "", through).map((arg) =>
      arg.replace(/--fingerprint SHA256:\S+ /, ""),
    );
    const fooled = await finished(program("ssh", [...blind, "echo reached"]));
    assert.deepEqual([fooled.status, fooled.out], [0, "reached\n"], fooled.err);
  });

  test("a host key from a CI secret is the same in the next run, and the secret is in no shell", async () => {
    const relay = await relayProgram();
    const secret = "long enough and from the CI";
    const how = { env: { MY_SECRET: secret } };
    const args = ["--host-key-secret-env", "MY_SECRET"];
    const first = await agentProgram(relay.url, args, how);
    const second = await agentProgram(relay.url, args, how);
    assert.equal(second.ready.fingerprint, first.ready.fingerprint);
    const { out } = await finished(ssh(second, ["env; cat /proc/$PPID/cmdline | tr '\\0' ' '"]));
    assert.match(out, /^agentdir=/m);
    assert.doesNotMatch(out, /MY_SECRET=|long enough/);
    for (const [args, want] of [
      [
        ["--host-key-secret-env", "NOT_SET"],
        /^converge: --host-key-secret-env: NOT_SET is not set\.\n$/,
      ],
      [
        ["--host-key-secret-env", "X", "--host-key", "f"],
        /Give one of --host-key, --host-key-secret-env and --host-key-secret-file/,
      ],
    ] as const) {
      const { dir } = jobFolder();
      const { status, err } = await finished(ours("agent", [...args, relay.url], { cwd: dir }));
      assert.equal(status, 2);
      assert.match(err, want);
    }
  });
});

describe("a relay that keeps every byte", () => {
  let relay: RelayProgram;
  let tap: Forwarder;
  const kept: Buffer[] = [];
  before(async () => {
    relay = await relayProgram();
    tap = await forwarder(
      () => relay.port,
      (data) => kept.push(Buffer.from(data)),
    );
  });
  after(() => tap.close());

  test("finds nothing of what was typed, printed, copied or forwarded", async () => {
    const url = `http://127.0.0.1:${tap.port}`;
    const agent = await agentProgram(url);
    writeFileSync(join(agent.dir, ".hold"), "");
    const canary = "Xq7-canary-Xq7";
    const typed = await finished(ssh(agent, ["cat"], { input: `typed ${canary}\n` }));
    assert.equal(typed.out, `typed ${canary}\n`);
    writeFileSync(join(agent.dir, "secret"), `copied ${canary}\n`.repeat(1_000));
    const got = join(agent.dir, "got");
    const scp = sshArgs(agent).slice(0, -1);
    const copied = await finished(program("scp", [...scp, "job@agent:secret", got]));
    assert.equal(copied.status, 0, copied.err);
    assert.equal(readFileSync(got, "utf8"), readFileSync(join(agent.dir, "secret"), "utf8"));
    const server = createServer((socket) => socket.end(`forwarded ${canary}\n`));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const address = server.address();
    const there = typeof address === "object" && address ? address.port : 0;
    const stdio = await finished(
      program("ssh", [...sshArgs(agent).slice(0, -1), "-W", `127.0.0.1:${there}`, "job@agent"]),
    );
    assert.equal(stdio.out, `forwarded ${canary}\n`);
    server.close();

    const all = Buffer.concat(kept);
    for (const secret of [canary, "ssh-connection", "secret", "publickey"])
      assert.equal(all.includes(secret), false, secret);
    // The same search finds what is not secret: the capture is whole and not compressed.
    assert.ok(all.length > 15_000 * 2);
    for (const known of ["SSH-2.0-converge", "SSH-2.0-OpenSSH", "converge.agent.v1", "ssh-ed25519"])
      assert.equal(all.includes(known), true, known);
  });
});

describe("the agent's ssh server", () => {
  let world: World;
  let port: number;
  let listener: Program;
  before(async () => {
    world = await meet({}, { trustProxy: ["loopback"] });
    hold(world.agent);
    port = await freePort();
    const client = `${world.relay.url.href.replace(/\/$/, "")}/client/${world.agent.id}`;
    listener = ours("wsproxy", ["--listen", String(port), client]);
    await listener.see("Listening on");
  });
  after(() => world.close());

  test("ssh-audit finds what older libraries need, and nothing else", async () => {
    const audit = await run("ssh-audit", ["-n", "-l", "warn", "-p", String(port), "127.0.0.1"]);
    const said = audit.stdout
      .toString()
      .split("\n")
      .filter((line) => /^\((?:kex|key|enc|mac|cve|sec)\)/.test(line))
      // Its list ends before these: the first is how Terrapin is prevented, the others are newer.
      .filter((line) => !/kex-strict-s-v00@openssh\.com|mlkem768x25519|sntrup761x25519/.test(line));
    assert.deepEqual(
      said.map((line) => line.replaceAll(/ +/g, " ")),
      [
        "(kex) ecdh-sha2-nistp256 -- [fail] using weak elliptic curves",
        "(mac) hmac-sha2-256 -- [warn] using encrypt-and-MAC mode",
        "(mac) hmac-sha2-512 -- [warn] using encrypt-and-MAC mode",
      ],
    );
    assert.match(
      (await run("ssh-audit", ["-n", "-p", String(port), "127.0.0.1"])).stdout.toString(),
      /curve25519-sha256/,
    );
  });

  test("strangers by the dozen keep nobody out", async () => {
    const client = `${world.relay.url.href.replace(/\/$/, "")}/client/${world.agent.id}`;
    // From several addresses, each of which has a share only.
    const links = Array.from({ length: strangersMost + 15 }, (_, n) =>
      stranger(client, null, { headers: { "x-forwarded-for": `192.0.2.${n % 4}` } }),
    );
    await until("all came through", () => links.every((link) => link.isOpen() || link.closed()));
    for (const link of links) if (link.isOpen()) link.socket.send("SSH-2.0-nobody\r\n");
    const { status, stdout } = await world.ssh(["echo in"]);
    assert.deepEqual([status, stdout.toString()], [0, "in\n"]);
    await until(
      "the rest was put out",
      () => links.filter((link) => !link.closed()).length <= strangersMost,
    );
    for (const link of links) link.socket.terminate();
  });

  test("an identification without end and a flood before the login are cut", async () => {
    const client = `${world.relay.url.href.replace(/\/$/, "")}/client/${world.agent.id}`;
    for (const [sent, reason] of [
      [[Buffer.alloc(600, 0x41)], "its identification has no end"],
      [
        [
          Buffer.from("SSH-2.0-x\r\n"),
          ...Array.from({ length: 9 }, () => Buffer.alloc(32_768, 0x0a)),
        ],
        /it sent too much before it logged in|Bad packet length/,
      ],
      [
        [Buffer.from("SSH-2.0-x\r\n"), packet(Buffer.concat([Buffer.of(30), string("key")]))],
        "Received unexpected packet type 30",
      ],
    ] as const) {
      const before = world.agent.log.lines.length;
      const link = stranger(client, null);
      await until("it is open", link.isOpen);
      for (const data of sent) link.socket.send(data);
      await link.end;
      const said = world.agent.log.lines
        .slice(before)
        .map(({ fields }) => String(fields["reason"]));
      assert.ok(
        said.some((text) => (typeof reason === "string" ? text === reason : reason.test(text))),
        said.join(),
      );
    }
  });

  test("strict key exchange: a packet slipped in before the keys ends the connection", async () => {
    const client = `${world.relay.url.href.replace(/\/$/, "")}/client/${world.agent.id}`;
    for (const [strict, isCut] of [
      [",kex-strict-c-v00@openssh.com", true],
      ["", false],
    ] as const) {
      const link = stranger(client, null);
      await until("it is open", link.isOpen);
      const ignore = packet(Buffer.concat([Buffer.of(2), string("slipped in")])); // RFC 4253 11.2
      link.socket.send(Buffer.from("SSH-2.0-byhand\r\n"));
      link.socket.send(packet(kexInit(`curve25519-sha256${strict}`)));
      link.socket.send(ignore);
      // Where it may be there the exchange goes on, up to this key of no use.
      link.socket.send(packet(Buffer.concat([Buffer.of(30), string(Buffer.alloc(32, 9))])));
      const heard = (): Buffer =>
        Buffer.concat(link.heard.filter((part) => typeof part !== "string"));
      const hasAnswer = (): boolean => heard().includes("ssh-ed25519\0\0\0 ");
      await until("an answer, or the end", () => hasAnswer() || link.closed());
      assert.equal(hasAnswer(), !isCut, strict);
      link.socket.terminate();
    }
  });

  test("a connection has a bounded number of sessions, and the rest goes on", async () => {
    const connection = new ssh2.Client();
    await new Promise<void>((ready, fail) => {
      connection
        .once("ready", ready)
        .once("error", fail)
        .connect({
          host: "127.0.0.1",
          port,
          username: "job",
          privateKey: readFileSync(world.keyFile),
        });
    });
    const open = (): Promise<string> =>
      new Promise((done) => {
        connection.exec("cat", (error) => done(error ? error.message : "open"));
      });
    const opened: string[] = [];
    for (let n = 0; n < 66; n += 1) opened.push(await open());
    assert.deepEqual(
      opened.slice(62).map((text) => text.replace(/:.*/, "")),
      ["open", "open", "(SSH) Channel open failure", "(SSH) Channel open failure"],
    );
    connection.end();
    assert.equal((await world.ssh(["true"])).status, 0);
  });
});

describe("the relay's doors", () => {
  test("a page of another site gets nowhere, the relay's own page and programs do", async () => {
    const relay = await relayProgram(["--context-path", "/ci"]);
    const own = relay.url;
    for (const [path, protocol, page, status] of [
      ["/agent/x", "converge.agent.v1", "https://evil.example", 403],
      ["/agent/x", "converge.agent.v1", own, 403],
      ["/dial/x", "converge.data.v1", own, 403],
      ["/client/x", null, "https://evil.example", 403],
      ["/client/x", null, "null", 403],
      ["/client/x", null, own, 101],
      ["/client/x", null, undefined, 101],
    ] as const) {
      const options = page === undefined ? {} : { headers: { origin: page } };
      const link = stranger(`${own}/ci${path}`, protocol, options);
      await until("an answer", () => link.refusal() ?? link.closed() ?? link.isOpen());
      const got = link.refusal()?.status ?? 101;
      assert.equal(got, status, `${path} from ${page}`);
      link.socket.terminate();
    }
    for (const path of ["/api/sessions", "/api/sessions/live", "/sessions"]) {
      const asked = await fetch(`${own}/ci${path}`, {
        headers: { origin: "https://evil.example" },
      });
      assert.equal(asked.status, 403, path);
    }
    const same = await fetch(`${own}/ci/api/sessions`, { headers: { origin: own } });
    assert.equal(same.status, 200);
  });

  test("an address that guesses ids is held back, and nobody else", async () => {
    const clock = handClock();
    const world = await meet(null, { trustProxy: ["127.0.0.1"] }, clock);
    try {
      const base = world.relay.url.href.replace(/\/$/, "");
      const knock = async (address: string): Promise<number> => {
        const headers = { "x-forwarded-for": address };
        const link = stranger(`${base}/client/nobody`, null, { headers });
        await until("an end", () => link.refusal() ?? link.closed());
        return link.refusal()?.status ?? link.closed()?.code ?? 0;
      };
      const codes: number[] = [];
      for (let n = 0; n < missesMost + 2; n += 1) codes.push(await knock("192.0.2.1"));
      assert.deepEqual(codes.slice(-3), [4404, 429, 429]);
      assert.equal(await knock("192.0.2.2"), 4404);
      await clock.advance(4_000); // a twentieth of a minute and a little
      assert.deepEqual([await knock("192.0.2.1"), await knock("192.0.2.1")], [4404, 429]);
      const reasons = world.relay.log.lines.map(({ fields }) => fields["reason"]);
      assert.ok(reasons.includes("too many misses"));
    } finally {
      await world.close();
    }
  });

  test("a short id of one's own choice draws a warning", async () => {
    const relay = await relayProgram();
    const short = await agentProgram(relay.url, ["--id", "short"]);
    await short.see("short id: others may guess it");
    const long = await agentProgram(relay.url, ["--id", "long-enough"]);
    assert.doesNotMatch(long.err(), /short id/);
  });
});

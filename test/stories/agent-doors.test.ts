/** The agent's ssh server as strangers find it: dozens of them, floods before the login, and Debian's ssh-audit. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import ssh2 from "ssh2";
import { unauthenticatedMost } from "../../src/io/agent/ssh/pre-auth.ts";
import { endPrograms, type Program, run } from "../support/child.ts";
import { freePort } from "../support/ports.ts";
import { ours } from "../support/programs.ts";
import { kexInit, packet, string } from "../support/raw-ssh.ts";
import { hold } from "../support/started.ts";
import { stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

after(endPrograms);

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
    const links = Array.from({ length: unauthenticatedMost + 15 }, (_, n) =>
      stranger(client, null, { headers: { "x-forwarded-for": `192.0.2.${n % 4}` } }),
    );
    await until("all came through", () => links.every((link) => link.isOpen() || link.closed()));
    for (const link of links) if (link.isOpen()) link.socket.send("SSH-2.0-nobody\r\n");
    const { status, stdout } = await world.ssh(["echo in"]);
    assert.deepEqual([status, stdout.toString()], [0, "in\n"]);
    await until(
      "the rest was put out",
      () => links.filter((link) => !link.closed()).length <= unauthenticatedMost,
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

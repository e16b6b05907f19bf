/** A name with two addresses on a slow line: everything that dials is patient, and names what failed. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { endPrograms, finished, program } from "../support/child.ts";
import { ed25519Pair } from "../support/ed25519-pair.ts";
import { freePort, listen } from "../support/ports.ts";
import { jobFolder, type RelayProgram, relayProgram, sshArgs } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { knowing, name, needed, slowly } from "../support/slow-name.ts";

let relay: RelayProgram;
const fronts: { close(): void }[] = [];
before(async () => {
  needed();
  relay = await relayProgram();
});
after(async () => {
  for (const front of fronts) front.close();
  await endPrograms();
});

const late = async (target: number) => {
  const front = await slowly(target);
  fronts.push(front);
  return front;
};
const ours = (which: "agent" | "wsproxy", args: readonly string[], cwd?: string) =>
  program(...knowing(process.execPath, [built(which), ...args]), {
    input: "open",
    ...(cwd && { cwd, env: { HOME: cwd, SHELL: "/bin/bash" } }),
  });

test("wsproxy gets its answer", async () => {
  const front = await late(relay.port);
  const proxy = ours("wsproxy", [`http://${name}:${front.port}/client/nobody`]);
  await front.answerLate();
  const { status, err } = await finished(proxy);
  assert.equal(status, 7, err);
});

test("doctor finds nothing wrong", async () => {
  const front = await late(relay.port);
  const doctor = ours("wsproxy", ["doctor", `http://${name}:${front.port}`]);
  await front.answerLate();
  const { status, out } = await finished(doctor);
  assert.equal(status, 0, out);
});

test("the agent registers at its first try, and forwards to such a name", async () => {
  const front = await late(relay.port);
  const { dir, keyFile } = jobFolder();
  const url = `http://${name}:${front.port}`;
  const agent = ours("agent", ["--id", "patient", url], dir);
  await front.answerLate();
  await agent.see("rendez-vous id   patient");
  assert.doesNotMatch(agent.err(), /trying again/);

  const greeter = await listen((socket) => void socket.end("hello\n"));
  const far = await late(greeter.port);
  const [, fingerprint = ""] = /(SHA256:\S+)/.exec(agent.out()) ?? [];
  const clientUrl = `${relay.url}/client/patient`;
  const to = sshArgs({ keyFile, ready: { fingerprint, clientUrl } } as never);
  const ssh = program("ssh", ["-W", `${name}:${far.port}`, ...to], { input: "open" });
  await far.answerLate();
  await ssh.see("hello");
  await greeter.close();
});

test("keys come from a URL with such a name", async () => {
  const keys = createServer((_request, response) => response.end(ed25519Pair("dev").public));
  await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve));
  const front = await late((keys.address() as AddressInfo).port);
  const from = `http://${name}:${front.port}/dev.keys`;
  const { dir } = jobFolder();
  const nothing = ["--authorized-keys", "none"];
  const agent = ours("agent", [...nothing, "--authorized-keys-url", from, relay.url], dir);
  await front.answerLate();
  await agent.see("rendez-vous id");
  keys.close();
});

test("where no address answers, each is named with its error", async () => {
  const port = await freePort();
  const { err } = await finished(ours("wsproxy", [`http://${name}:${port}/client/x`]));
  assert.match(err, new RegExp(`connect ECONNREFUSED 127\\.0\\.0\\.1:${port}`));
  assert.match(err, new RegExp(`connect E\\w+ 100::1:${port}`));
  const agent = ours("agent", [`http://${name}:${port}`], jobFolder().dir);
  await agent.see(new RegExp(`"why":"[^"]*127\\.0\\.0\\.1:${port}[^"]*"`));
  assert.match(agent.err(), new RegExp(`"why":"[^"]*100::1:${port}[^"]*"`));
});

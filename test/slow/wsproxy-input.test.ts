/** What becomes of wsproxy's standard input changes neither its exit status nor its last sentence. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endPrograms, finished, folder, type Program, program } from "../support/child.ts";
import { freePort } from "../support/ports.ts";
import { runs } from "../support/processes.ts";
import { agentProgram, type RelayProgram, relayProgram } from "../support/programs.ts";
import { built } from "../support/shipped.ts";
import { until } from "../support/until.ts";

let relay: RelayProgram;
let dir: string;
before(async () => {
  relay = await relayProgram();
  dir = folder();
  writeFileSync(join(dir, "file"), Buffer.alloc(200_000, "SSH-2.0-nobody\r\n"));
  mkdirSync(join(dir, "unreadable"));
});
after(endPrograms);

/** wsproxy, in a shell that gives it this input. */
const wsproxy = (args: string, input: string): Program =>
  program("sh", ["-c", `exec ${process.execPath} ${built("wsproxy")} ${args} ${input}`], {
    cwd: dir,
    input: "open",
  });

/** Where an input comes from, and what the test does to it once the program has begun. */
const inputs: readonly [name: string, redirection: string, act: (run: Program) => void][] = [
  ["that stays open", "", () => {}],
  ["that is closed at once", "", ({ child }) => void child.stdin?.end()],
  ["that is closed in the middle", "", ({ child }) => void child.stdin?.end("SSH-2.0-x\r\n")],
  ["that breaks", "", ({ child }) => void child.stdin?.destroy()],
  ["of /dev/null", "</dev/null", () => {}],
  ["of a file longer than is held", "<file", () => {}],
  ["that is not there", "<&-", () => {}],
  ["that cannot be read", "<unreadable", () => {}],
];

describe("before anybody is joined", () => {
  for (const [name, redirection, act] of inputs)
    test(`an input ${name}: the statuses of the contract, a sentence each`, async () => {
      const closed = await freePort();
      const rows: readonly [args: string, status: number, sentence: RegExp][] = [
        [`${relay.url}/client/nobody`, 7, /^converge: No agent is registered as nobody\./],
        [`${relay.url}/elsewhere/x`, 6, /^converge: The relay refused: There is no websocket/],
        [
          `https://127.0.0.1:${relay.port}/client/x`,
          4,
          /^converge: \S+ speaks no TLS at that port/,
        ],
        [`http://127.0.0.1:${closed}/client/x`, 3, /^converge: The relay \S+ \(connect ECONNREF/],
        [
          `--wait 1s ${relay.url}/client/late`,
          7,
          /^\[converge\] No agent has registered .*\nconverge: No agent came as late within 1s\./,
        ],
        [`--raw ${relay.url}/elsewhere/x`, 6, /^converge: The relay refused: There is no webso/],
      ];
      const running = rows.map(([args]) => wsproxy(args, redirection));
      for (const run of running) act(run);
      for (const [n, run] of running.entries()) {
        const [args = "", status, sentence = /^$/] = rows[n] ?? [];
        const said = await finished(run);
        assert.equal(said.status, status, `${args}: ${said.err}`);
        assert.match(said.err, sentence);
        assert.equal(said.out, "");
      }
    });

  test("an input that ends while the client is parked: it waits on, and gets its answer", async () => {
    const waiting = wsproxy(`--wait 3s ${relay.url}/client/parked`, "");
    await waiting.see("waiting for it, up to ");
    waiting.child.stdin?.end();
    const { status, err } = await finished(waiting);
    assert.equal(status, 7, err);
  });

  test("an agent that is there: status 0, whether something was sent or not", async () => {
    const agent = await agentProgram(relay.url);
    // More than an identification would be no ssh, and the agent might cut it first.
    writeFileSync(join(dir, "ident"), "SSH-2.0-nobody\r\n");
    for (const input of ["</dev/null", "<ident"]) {
      const said = await finished(wsproxy(agent.ready.clientUrl, input));
      assert.equal(said.status, 0, said.err);
      assert.match(said.err, /^\[converge\] Found the agent: [^\n]*\n$/);
    }
  });

  test("whoever started it is gone without a word: nobody waits for an agent any more", async () => {
    const args = `--wait 50s ${relay.url}/client/orphan`;
    const parent = program("sh", [
      "-c",
      `${process.execPath} ${built("wsproxy")} ${args} </dev/null & echo pid $!; wait`,
    ]);
    await parent.see("waiting for it, up to ");
    const pid = Number(/^pid (\d+)$/m.exec(parent.out())?.[1]);
    assert.ok(runs(pid));
    parent.kill("SIGKILL");
    await until("it ended", () => !runs(pid), 10_000);
  });
});

/**
 * Fuzz: five minutes of clients whose words are cut, doubled, out of order and wrong, and whose links
 * drop anywhere, at the agent that people are given. After each round it is there and lets an honest
 * ssh in; in the end it has no more than in the beginning. `CONVERGE_FUZZ_SEED` begins with the round
 * of that seed.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { chmodSync, readdirSync } from "node:fs";
import { after, test } from "node:test";
import { allStats, wasStartedWith } from "../../src/io/agent/shell/proc.ts";
import { endPrograms, finished, folder } from "../support/child.ts";
import { lives } from "../support/lives.ts";
import { listen } from "../support/ports.ts";
import { agentProgram, jobFolder, relayProgram, ssh } from "../support/programs.ts";
import { randomOf } from "../support/random.ts";
import { shippedFile } from "../support/shipped.ts";
import { until } from "../support/until.ts";
import { rssMiB } from "../support/used.ts";

after(endPrograms);

/** As many as two cores do in five minutes. */
const rounds = Number(process.env["CONVERGE_FUZZ_ROUNDS"] ?? 500);
const livesAtOnce = 12;
const grownMostMiB = 64;

/** Lines about a mistake in the code, which a client must not be able to make it say. */
const faultsIn = (log: string): string[] =>
  log
    .split("\n")
    .filter((line) =>
      /Cannot (?:read|set) prop|is not (?:a function|iterable|defined)|ERR_[A-Z]|went wrong inside/.test(
        line,
      ),
    );

test("whatever clients say and wherever they drop, the shipped agent lives, and holds no more", async (t) => {
  const first = Number(process.env["CONVERGE_FUZZ_SEED"] ?? randomInt(2 ** 31));
  t.diagnostic(`CONVERGE_FUZZ_SEED=${first}`);
  const relay = await relayProgram();
  // Its folder is where clients may write and change modes: the keys are elsewhere.
  const [work, keys] = [folder(), jobFolder()];
  const mark = `FUZZ_MARK=${first}-${process.pid}`;
  const [name, value] = mark.split("=") as [string, string];
  const started = await agentProgram(
    relay.url,
    ["--linger", "10m", "--authorized-keys", `${keys.dir}/.authorized_keys`],
    { cwd: work, env: { HOME: work, [name]: value } },
    [process.execPath, shippedFile("agent.cjs")],
  );
  const agent = { ...started, keyFile: keys.keyFile };
  const echo = await listen((socket) => void socket.pipe(socket));
  const aim = { clientUrl: agent.ready.clientUrl, keyFile: agent.keyFile, echoPort: echo.port };
  const others = (): number[] =>
    allStats()
      .filter(({ pid, state }) => state !== "Z" && pid !== agent.pid && wasStartedWith(pid, mark))
      .map(({ pid }) => pid);
  const files = (): number => readdirSync(`/proc/${agent.pid}/fd`).length;
  let base = { rss: 0, files: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const seed = (first + round) % 2 ** 31;
    const hint = `CONVERGE_FUZZ_SEED=${seed}`;
    const done = await Promise.allSettled(
      Array.from({ length: livesAtOnce }, (_, n) => {
        const random = randomOf(seed * livesAtOnce + n);
        return random.pick(lives)(aim, random);
      }),
    );
    const reasons = done.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    assert.equal(agent.ended(), null, `${hint}: it ended: ${agent.err().slice(-2_000)}`);
    assert.deepEqual(reasons, [], hint);
    // What is confined to its connection is a fault of ours all the same.
    assert.deepEqual(faultsIn(agent.err()), [], hint);
    chmodSync(work, 0o700);
    const { status, out, err } = await finished(ssh(agent, ["echo I am in"]));
    assert.deepEqual(
      [status, out],
      [0, "I am in\n"],
      `${hint}: ${err}\n${agent.err().slice(-2_000)}`,
    );
    if (round === Math.floor(rounds / 10)) base = { rss: rssMiB(agent.pid), files: files() };
  }
  t.diagnostic(`${rounds} rounds of ${livesAtOnce} lives, the last is of ${first + rounds - 1}`);
  await until("no process of a session is left", () => others().length === 0);
  await until("no file of one is open", () => files() <= base.files + 5);
  const grown = await until(
    "its memory is what it was",
    () => {
      const more = rssMiB(agent.pid) - base.rss;
      return more < grownMostMiB ? `${Math.round(more)} MiB` : null;
    },
    60_000,
  );
  t.diagnostic(`RSS ${Math.round(base.rss)} MiB after a tenth, ${grown} more in the end`);
  await echo.close();
  agent.kill("SIGTERM");
  assert.deepEqual(await agent.exited, { status: 143, signal: null });
  assert.deepEqual(others(), []);
});

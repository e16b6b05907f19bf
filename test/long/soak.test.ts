/**
 * Soak: a minute of all floods at once at a relay, an agent and a wsproxy, while five honest sessions
 * echo every 100 ms. None is lost and none waits; and when it is over nobody holds more than before.
 * The floods are a process of their own (`support/floods.ts`), and so is everything that is flooded.
 */
import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import { allStats } from "../../src/io/agent/shell/proc.ts";
import { endPrograms, finished, type Program, program } from "../support/child.ts";
import { type AgentProgram, agentProgram, ours, relayProgram, ssh } from "../support/programs.ts";
import { root } from "../support/shipped.ts";
import { until } from "../support/until.ts";
import { cpuMs, rssMiB } from "../support/used.ts";

after(endPrograms);

const floodMs = Number(process.env["CONVERGE_SOAK_SECONDS"] ?? 60) * 1_000;
const beatMs = 100;
const echoMostMs = 250;
/** On a quiet machine it is below 20 ms; the floods and the tests share two cores with all else. */
const healthMostMs = 100;
const proxyAddress = "127.0.9.9";

/** Sessions whose `cat` sends back what it gets: when each line went, and how long it was away. */
interface Echo {
  readonly run: Program;
  readonly sent: number[];
  readonly awayMs: number[];
}
function echoing(agent: AgentProgram): Echo {
  const run = ssh(agent, ["cat"], { input: "open" });
  const echo: Echo = { run, sent: [], awayMs: [] };
  let rest = "";
  run.child.stdout?.on("data", (data: Buffer) => {
    const lines = (rest + data.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    // One that comes twice or out of turn is none that was sent.
    for (const line of lines) {
      assert.equal(Number(line), echo.awayMs.length);
      echo.awayMs.push(performance.now() - (echo.sent[Number(line)] ?? Number.NaN));
    }
  });
  return echo;
}
const beat = ({ run, sent }: Echo): void => {
  run.child.stdin?.write(`${sent.push(performance.now()) - 1}\n`);
};

const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? 0;
const figures = (values: readonly number[]): string =>
  `${[0.5, 0.99, 1].map((share) => percentile(values, share).toFixed(1)).join(", ")} ms`;

test("a minute of all floods at once: five sessions go on, and the memory comes back", async (t) => {
  const relay = await relayProgram(["--trust-proxy", proxyAddress]);
  const agent = await agentProgram(relay.url, ["--linger", "10m"]);
  const floods = program(
    process.execPath,
    [
      ...["--import", "tsx", join(root, "test/support/floods.ts")],
      ...[relay.url, agent.ready.id, proxyAddress],
    ],
    { cwd: root, input: "open" },
  );
  await floods.see('"hostile"');
  const hostileUrl = `http://127.0.0.1:${JSON.parse(floods.out()).hostile}`;
  const announced = await agentProgram(hostileUrl);
  const pinged = ours("wsproxy", [`${hostileUrl}/client/x`], { input: "open" });
  const echoes = Array.from({ length: 5 }, () => echoing(agent));
  for (const echo of echoes) beat(echo);
  await until("all echo", () => echoes.every(({ awayMs }) => awayMs.length === 1));

  const proxies = echoes.flatMap(({ run }) =>
    allStats().filter(({ parent }) => parent === run.pid),
  );
  assert.equal(proxies.length, 5, "a proxy command is its ssh's child");
  const watched = [
    ["relay", relay.pid],
    ["agent", agent.pid],
    ["agent of the hostile relay", announced.pid],
    ["wsproxy of the hostile relay", pinged.pid],
    ...proxies.map(({ pid }, n) => [`wsproxy ${n + 1}`, pid] as const),
  ] as const;
  const atFirst = watched.map(([, pid]) => rssMiB(pid));
  const most = [...atFirst];

  const healthMs: number[] = [];
  let unwell = 0;
  const prober = new Agent({ keepAlive: true });
  const probe = (): void => {
    const began = performance.now();
    get(`${relay.url}/healthz`, { agent: prober }, (answer) => {
      if (answer.statusCode !== 200) unwell += 1;
      answer.resume().on("end", () => healthMs.push(performance.now() - began));
    }).on("error", () => {
      unwell += 1;
    });
  };
  const logins: ReturnType<typeof finished>[] = [];
  const busy = (): number[] => [floods.pid, ...watched.map(([, pid]) => pid)].map(cpuMs);
  const busyBefore = busy();
  const began = performance.now();
  let beats = 0;
  floods.child.stdin?.write("begin\n");
  await new Promise<void>((done) => {
    const beating = setInterval(() => {
      for (const echo of echoes) beat(echo);
      probe();
      for (const [n, [, pid]] of watched.entries()) most[n] = Math.max(most[n] ?? 0, rssMiB(pid));
      beats += 1;
      if (beats % 100 === 50) logins.push(finished(ssh(agent, ["echo I am in"])));
      if (performance.now() - began < floodMs) return;
      clearInterval(beating);
      done();
    }, beatMs);
  });
  const shares = busy().map((ms, n) => (ms - (busyBefore[n] ?? 0)) / (performance.now() - began));
  floods.child.stdin?.write("stop\n");
  await floods.see('"counts"');
  const { counts } = JSON.parse(floods.out().split("\n")[1] ?? "{}");
  t.diagnostic(`floods: ${JSON.stringify(counts)}`);
  const [own, ...theirs] = shares.map((share) => `${Math.round(100 * share)} %`);
  const each = watched.map(([name], n) => `${name} ${theirs[n]}`).join(", ");
  t.diagnostic(`of a core: the floods ${own}, ${each}`);

  await until("every line is back", () =>
    echoes.every(({ sent, awayMs }) => sent.length === awayMs.length),
  );
  // The first was away for as long as a login takes.
  const awayMs = echoes.flatMap((echo) => echo.awayMs.slice(1));
  t.diagnostic(`${awayMs.length} echoes: median, p99 and longest ${figures(awayMs)}`);
  t.diagnostic(`${healthMs.length} × /healthz: median, p99 and longest ${figures(healthMs)}`);
  for (const run of [relay, agent, announced, pinged, ...echoes.map(({ run }) => run)])
    assert.equal(run.ended(), null, run.err().slice(-2_000));
  for (const [flood, times] of Object.entries(counts))
    assert.ok(Number(times) > floodMs / beatMs / 2, `${flood}: ${times} times is no flood`);
  for (const { status, out } of await Promise.all(logins))
    assert.deepEqual([status, out], [0, "I am in\n"]);
  assert.equal(unwell, 0, "every probe was answered");
  const lines = announced.news().filter(({ event }) => event === "relay ending").length;
  assert.ok(lines <= floodMs / 1_000 + 5, `${lines} lines about the end of the relay`);

  const over = (): string[] =>
    watched.flatMap(([name, pid], n) => {
      const [now, before] = [rssMiB(pid), atFirst[n] ?? 0];
      return now > before * 1.1 + 64 ? [`${name}: ${before} → ${now} MiB`] : [];
    });
  // The sessions go on, so that there is something to collect for.
  await until(
    "the memory is back",
    () => {
      for (const echo of echoes) beat(echo);
      return over().length === 0;
    },
    60_000,
  ).catch(() => assert.deepEqual(over(), []));
  for (const [n, [name, pid]] of watched.entries())
    t.diagnostic(
      `${name}: ${[atFirst[n] ?? 0, most[n] ?? 0, rssMiB(pid)].map(Math.round).join(", ")} MiB first, at most, after`,
    );
  assert.ok(percentile(awayMs, 0.99) <= echoMostMs, figures(awayMs));
  assert.ok(percentile(healthMs, 0.99) <= healthMostMs, figures(healthMs));
  for (const { run } of echoes) {
    run.child.stdin?.end();
    assert.deepEqual(await run.exited, { status: 0, signal: null });
  }
  prober.destroy();
});

/**
 * What an administrator sees afterwards: a real Prometheus scrapes a relay while real ssh sessions
 * run, and its numbers, the log's lines and what happened are the same, exactly.
 */
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { families } from "../../src/io/relay/http/metrics.ts";
import { endPrograms, finished, program } from "../support/child.ts";
import { faultOf } from "../support/log-schema.ts";
import { allSeries, canary, type Morning, spendMorning } from "../support/morning.ts";
import { root } from "../support/shipped.ts";

const read = (name: string): string => readFileSync(join(root, name), "utf8");

describe("one morning of a relay", () => {
  let relay: Morning["relay"];
  let prom: Morning["prom"];
  let agents: Morning["agents"];
  let lines: Morning["lines"];
  let counted: Morning["counted"];
  let equals: Morning["equals"];
  let metricsUrl: Morning["metricsUrl"];
  let scraped: Morning["scraped"];
  let seriesAtStart: Morning["seriesAtStart"];

  before(async () => {
    ({ relay, prom, agents, lines, counted, equals, metricsUrl, scraped, seriesAtStart } =
      await spendMorning());
  });
  after(async () => {
    await endPrograms();
    rmSync(prom.dir, { recursive: true, force: true });
  });

  for (const [expr, want] of [
    ["converge_agents", 1],
    ['converge_agents{state="held"}', 1],
    ["converge_clients", 0],
    ["converge_connected_clients", 0],
    ["converge_draining", 0],
    ["converge_agent_sessions_started_total", 5],
    ["converge_agent_sessions_ended_total", 4],
    ['converge_agent_sessions_ended_total{outcome="left"}', 2],
    ['converge_agent_sessions_ended_total{outcome="lost"}', 2],
    ["converge_agent_session_duration_seconds_count", 4],
    ["converge_agent_reconnects_total", 1],
    ["converge_agent_duplicate_ids_total", 1],
    ["converge_agent_warnings_total", 1],
    ["converge_agent_holds_total", 1],
    ['converge_agent_timeouts_total{cause="inactivity"}', 1],
    ['converge_agent_timeouts_total{cause="hard cap"}', 0],
    ["converge_client_sessions_started_total", 10],
    ["converge_client_sessions_ended_total", 10],
    ['converge_client_sessions_ended_total{outcome="served"}', 7],
    ['converge_client_sessions_ended_total{outcome="no such rendezvous"}', 2],
    ['converge_client_sessions_ended_total{outcome="client gave up"}', 1],
    ["converge_client_session_duration_seconds_count", 7],
    ["converge_splice_latency_seconds_count", 7],
    ["converge_client_logins_total", 7],
    ['converge_client_uses_total{kind="exec"}', 5],
    ['converge_client_uses_total{kind="sftp"}', 1],
    ['converge_client_uses_total{kind="shell"}', 1],
    ['converge_client_uses_total{kind="forward"}', 0],
    ["converge_rejected_connections_total", 4],
    ['converge_rejected_connections_total{reason="no such path"}', 1],
    ['converge_rejected_connections_total{reason="unknown ticket"}', 1],
    ['converge_rejected_connections_total{reason="bad request"}', 1],
    ['converge_rejected_connections_total{reason="version"}', 1],
    ["converge_control_message_errors_total", 1],
  ] as const)
    test(`Prometheus says ${expr} ${want}`, () => equals(expr, want));

  test("the bytes are those of the log's lines, and of no others", async () => {
    for (const [direction, field] of [
      ["to agent", "clientBytes"],
      ["to client", "agentBytes"],
    ] as const) {
      const sum = lines("client session ended").reduce((n, line) => n + Number(line[field]), 0);
      assert.ok(sum > 7 * 1_000);
      await equals(`converge_relayed_bytes_total{direction="${direction}"}`, sum);
    }
  });

  test("there are no series but those that were there at the start, whoever came", async () => {
    assert.ok(seriesAtStart > 80);
    assert.equal(await prom.sum(allSeries), seriesAtStart);
    const values = await prom.query('count by (id, address, client) ({__name__=~"converge_.*"})');
    assert.deepEqual(
      values.map(({ metric }) => metric),
      [{}],
    );
  });

  test("who was in build 4711 is in the log, with the key, for every session however short", () => {
    const ended = lines("client session ended").filter(({ id }) => id === "build-4711");
    assert.equal(ended.length, 7);
    for (const line of ended) {
      const { login, kinds, client, agent, outcome, since, session } = line as {
        login: { fingerprint: string; comment: string };
        kinds: string[];
        client: string;
        agent: { host: string };
        outcome: string;
        since: string;
        session: string;
      };
      assert.match(login.fingerprint, /^SHA256:/);
      assert.equal(login.comment, "dev@laptop");
      assert.equal(kinds.length, 1);
      assert.deepEqual([client, outcome], ["127.0.0.1", "served"]);
      assert.ok(agent.host && since);
      for (const msg of ["client session started", "client session joined", "client logged in"])
        assert.equal(lines(msg).filter((other) => other["session"] === session).length, 1, msg);
    }
    assert.deepEqual(ended.map(({ kinds }) => String(kinds)).sort(), [
      "exec",
      "exec",
      "exec",
      "exec",
      "exec",
      "sftp",
      "shell",
    ]);
  });

  test("every line of relay and agents is one of the schema's", () => {
    const all = [
      ...relay.lines(),
      ...agents.flatMap((one) =>
        one
          .err()
          .split("\n")
          .filter((line) => line.startsWith("{"))
          .map((line) => JSON.parse(line)),
      ),
    ];
    assert.ok(all.length > 60);
    assert.deepEqual(
      all.map(faultOf).filter((fault) => fault !== null),
      [],
    );
    assert.ok(
      faultOf({ ...lines("relay listening")[0], extra: 1 }),
      "the schema refuses what it does not know",
    );
  });

  test("nothing that was typed, shown or copied is in a log, a metric or the agent's output", async () => {
    const metrics = await scraped();
    assert.ok(metrics.includes("converge_build_info"));
    for (const text of [
      relay.err(),
      relay.out(),
      metrics,
      ...agents.flatMap((one) => [one.err(), one.out()]),
    ]) {
      for (const part of canary) assert.ok(!text.includes(part));
      assert.ok(!text.includes("letmein"), "nor a query string");
      assert.ok(!text.includes("AAAAAAAAAAAAAAAAAAAAAA"), "nor a ticket");
    }
  });

  test("on a port of its own there are metrics and nothing else, and none on the relay's", async () => {
    for (const path of ["/", "/sessions", "/api/sessions"])
      assert.equal((await fetch(new URL(path, metricsUrl()))).status, 404, path);
    assert.equal((await fetch(`${relay.url}/metrics`)).status, 404);
  });

  test("promtool finds nothing to say against the metrics", async () => {
    const text = await scraped();
    const said = await finished(program("promtool", ["check", "metrics"], { input: text }));
    assert.deepEqual([said.status, said.out, said.err], [0, "", ""]);
  });

  test("every query of the dashboard gives numbers", async () => {
    const { panels, templating, annotations } = JSON.parse(read("deploy/grafana/converge.json"));
    const filled = (expr: string): string =>
      expr.replaceAll("$__rate_interval", "1m").replace(/\$(?:job|instance)\b/g, ".*");
    const queries = panels.flatMap((panel: { targets?: { expr: string }[] }) =>
      (panel.targets ?? []).map(({ expr }) => filled(expr)),
    );
    assert.ok(queries.length > 30);
    for (const query of queries) {
      const samples = await prom.query(query);
      assert.ok(samples.length > 0, `nothing for ${query}`);
      // Nobody has lost a link this morning, and what there is none of has no median.
      const isOfNone = query.includes("converge_client_outage_seconds");
      for (const { value } of samples)
        assert.equal(Number.isFinite(Number(value[1])), !isOfNone, query);
    }
    for (const { expr } of annotations.list) await prom.query(filled(expr));
    for (const { query } of templating.list.slice(1)) {
      const [, match, label] = /^label_values\((.*), (\w+)\)$/.exec(query.query) ?? [];
      const found = await prom.api(
        `label/${label}/values?match[]=${encodeURIComponent(filled(String(match)))}`,
      );
      assert.equal((found as unknown as string[]).length, 1, query.query);
    }
  });

  test("every alert rule is evaluated without an error, and only the right one is raised", async () => {
    const { groups } = (await prom.api("rules")) as {
      groups: { rules: { name: string; health: string; lastError: string; state: string }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    const wanted = parse(read("deploy/prometheus/alerts.yaml")).groups[0].rules.length;
    assert.equal(rules.length, wanted);
    assert.deepEqual(
      rules.filter(({ health }) => health !== "ok").map(({ name, lastError }) => [name, lastError]),
      [],
    );
    assert.deepEqual(
      rules.filter(({ state }) => state !== "inactive").map(({ name }) => name),
      ["ConvergeControlMessageErrors"],
    );
  });

  test("every name in the table has its series, and nothing of ours is beside it", async () => {
    const text = await scraped();
    const typed = [...text.matchAll(/^# TYPE (converge_\w+) (\w+)$/gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    assert.deepEqual(
      typed.sort(),
      Object.entries(families)
        .map(([name, { type }]) => [name, type])
        .sort(),
    );
    assert.equal(await counted("converge_build_info"), 1);
  });
});

/** Metrics: each fact moves what it is about, and nothing else moves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RelayFact } from "../../../../src/actors/observe/facts.ts";
import { openMetrics } from "../../../../src/io/relay/http/metrics.ts";
import type { LinkId, RendezvousId } from "../../../../src/machines/vocabulary.ts";
import { facts as agent } from "../../../support/stranger.ts";

const nobody = {
  gauges: {
    agents: { waiting: 0, occupied: 0, held: 0, lost: 0, lingering: 0, ending: 0 },
    clients: { waiting: 0, summoning: 0, connected: 0, detached: 0 },
    kinds: { shell: 0, exec: 0, sftp: 0, forward: 0 },
  },
  totals: { clientBytes: 0, agentBytes: 0, pauses: 0 },
  isDraining: false,
};

/** Our series by their whole name, without those of build info and histograms' buckets. */
function seriesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => /^converge_/.test(line));
  return new Map(
    lines
      .filter((line) => !/_bucket|_build_info/.test(line))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

const id = "job" as RendezvousId;
const of = { session: "data-1" as LinkId, id, client: "192.0.2.1" };
const address = "192.0.2.7";
const came = {
  type: "agent session started",
  voucher: null,
  id,
  asked: id,
  address,
  agent,
} as const;
const left = { type: "agent session ended", id, address, since: "", agent } as const;
const ended = {
  type: "client session ended",
  ...of,
  since: "",
  seconds: 2.5,
  kinds: [],
  clientBytes: 7,
  agentBytes: 8,
  pauses: 9,
  login: null,
  agent,
} as const;
const refused = { type: "connection refused", address, path: "/", status: 1, said: "" } as const;

const rows: [RelayFact, Record<string, number>][] = [
  [{ ...came, returned: false }, { converge_agent_sessions_started_total: 1 }],
  [
    { ...came, returned: true },
    { converge_agent_sessions_started_total: 1, converge_agent_reconnects_total: 1 },
  ],
  [
    { ...came, asked: "other" as RendezvousId, returned: false },
    { converge_agent_sessions_started_total: 1, converge_agent_duplicate_ids_total: 1 },
  ],
  ...(["left", "lost", "superseded", "relay ended"] as const).map(
    (outcome): [RelayFact, Record<string, number>] => [
      { ...left, seconds: 3, outcome, ending: null },
      {
        [`converge_agent_sessions_ended_total{outcome="${outcome}"}`]: 1,
        converge_agent_session_duration_seconds_sum: 3,
        converge_agent_session_duration_seconds_count: 1,
      },
    ],
  ),
  ...(["inactivity", "hard cap"] as const).map((ending): [RelayFact, Record<string, number>] => [
    { ...left, seconds: 0, outcome: "left", ending },
    {
      'converge_agent_sessions_ended_total{outcome="left"}': 1,
      converge_agent_session_duration_seconds_count: 1,
      [`converge_agent_timeouts_total{cause="${ending}"}`]: 1,
    },
  ]),
  [{ type: "agent warned", id, times: 3 }, { converge_agent_warnings_total: 3 }],
  [{ type: "agent held", id }, { converge_agent_holds_total: 1 }],
  [
    { type: "client session started", ...of, waitSeconds: 0 },
    { converge_client_sessions_started_total: 1 },
  ],
  [
    { type: "client session joined", ...of, seconds: 0.25, agent },
    { converge_splice_latency_seconds_sum: 0.25, converge_splice_latency_seconds_count: 1 },
  ],
  [
    { type: "client logged in", ...of, login: { fingerprint: "", comment: "" } },
    { converge_client_logins_total: 1 },
  ],
  [{ type: "client used", ...of, kind: "sftp" }, { 'converge_client_uses_total{kind="sftp"}': 1 }],
  [
    { ...ended, outcome: "served", endedBy: "relay" },
    {
      'converge_client_sessions_ended_total{outcome="served",ended_by="relay"}': 1,
      converge_client_session_duration_seconds_sum: 2.5,
      converge_client_session_duration_seconds_count: 1,
    },
  ],
  ...(["agent silent", "broken", "no such rendezvous", "client gave up"] as const).map(
    (outcome): [RelayFact, Record<string, number>] => [
      { ...ended, outcome, endedBy: null },
      { [`converge_client_sessions_ended_total{outcome="${outcome}",ended_by="nobody"}`]: 1 },
    ],
  ),
  [
    { ...refused, reason: "no id free" },
    { 'converge_rejected_connections_total{reason="no id free"}': 1 },
  ],
  [
    { type: "control message malformed", id, address, why: "" },
    { converge_control_message_errors_total: 1 },
  ],
];
for (const [fact, moves] of rows)
  test(`${fact.type} moves ${Object.keys(moves).join(", ")}`, async () => {
    const metrics = openMetrics();
    const before = seriesOf(await metrics.text(nobody));
    metrics.count(fact);
    const after = seriesOf(await metrics.text(nobody));
    assert.deepEqual([...after.keys()], [...before.keys()], "no series comes or goes");
    const moved = [...after].filter(([name, value]) => value !== before.get(name));
    assert.deepEqual(Object.fromEntries(moved), moves);
  });

test("bytes and pauses are the splices' own totals, gauges are what is there now", async () => {
  const metrics = openMetrics();
  const totals = { clientBytes: 10, agentBytes: 20, pauses: 3 };
  await metrics.text({ ...nobody, totals });
  const more = { clientBytes: 11, agentBytes: 25, pauses: 3 };
  const gauges = { ...nobody.gauges, agents: { ...nobody.gauges.agents, held: 4 } };
  const series = seriesOf(await metrics.text({ gauges, totals: more, isDraining: true }));
  const moved = [...series].filter(([, value]) => value !== 0);
  assert.deepEqual(Object.fromEntries(moved), {
    converge_draining: 1,
    'converge_agents{state="held"}': 4,
    'converge_relayed_bytes_total{direction="to agent"}': 11,
    'converge_relayed_bytes_total{direction="to client"}': 25,
    converge_backpressure_pauses_total: 3,
  });
});

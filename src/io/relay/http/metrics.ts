/**
 * Metrics: every number that Prometheus may scrape, named here and nowhere else.
 *
 * Counters come from the facts that are also the log's lines, gauges from the relay's snapshot at
 * the moment of the scrape, bytes from the splices' own counts: nothing is kept twice. Every label
 * has a fixed set of values, so there are as many series for a million agents as for one; ids and
 * addresses are the log's business.
 */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  Registry,
} from "prom-client";
import { type RelayFact, refusalReasons } from "../../../actors/observe/facts.ts";
import {
  agentStates,
  channelKinds,
  clientStates,
  type Gauges,
} from "../../../actors/observe/gauges.ts";
import {
  agentOutcomes,
  type Counts,
  type Ending,
  type PairingOutcome,
  type SpliceReport,
} from "../../../machines/vocabulary.ts";
import { protocolVersion } from "../../protocol/wire.ts";
import { version } from "../../version.ts";
import { type Family, make, only } from "./metric-family.ts";

const outcomes: readonly PairingOutcome["kind"][] = [
  "served",
  "agent silent",
  "client gave up",
  "no such rendezvous",
  "broken",
];
const endedBy: readonly (SpliceReport["endedBy"] | "nobody")[] = [
  "client",
  "agent",
  "relay",
  "nobody",
];
const timeouts: readonly Ending["kind"][] = ["inactivity", "hard cap"];
/** From a command that is over at once to a day at a terminal. */
const durations = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];

export const families = {
  converge_build_info: {
    type: "gauge",
    help: "Always 1; the labels say which release runs.",
    labels: {
      version: [version],
      protocol: [String(protocolVersion)],
      node: [process.versions.node],
    },
  },
  converge_draining: { type: "gauge", help: "1 once the relay was told to end, else 0." },
  converge_agents: {
    type: "gauge",
    help: "Agents whose control link stands, by the state that they report.",
    labels: { state: agentStates },
  },
  converge_clients: {
    type: "gauge",
    help: "Clients: waiting for an agent, summoning it, connected with it, or without a link for now.",
    labels: { state: clientStates },
  },
  converge_connected_clients: {
    type: "gauge",
    help: "Connected clients that have used a kind of channel; one may be in several.",
    labels: { kind: channelKinds },
  },
  converge_agent_sessions_started_total: {
    type: "counter",
    help: "Registrations of agents, those after a lost link too.",
  },
  converge_agent_sessions_ended_total: {
    type: "counter",
    help: "Control links of registered agents that ended, by how.",
    labels: { outcome: agentOutcomes },
  },
  converge_agent_session_duration_seconds: {
    type: "histogram",
    help: "From an agent's registration to the end of that control link.",
    buckets: durations,
  },
  converge_agent_reconnects_total: {
    type: "counter",
    help: "Registrations of agents that had their id before.",
  },
  converge_agent_duplicate_ids_total: {
    type: "counter",
    help: "Registrations that were given another id, since the one asked for was taken.",
  },
  converge_agent_warnings_total: {
    type: "counter",
    help: "Warnings before the end of a session that agents have shown.",
  },
  converge_agent_holds_total: { type: "counter", help: "Times that a hold file was set." },
  converge_agent_timeouts_total: {
    type: "counter",
    help: "Agents that ended by time, by which limit it was.",
    labels: { cause: timeouts },
  },
  converge_client_sessions_started_total: { type: "counter", help: "Knocks of clients." },
  converge_client_sessions_ended_total: {
    type: "counter",
    help: "Client sessions that ended, by how, and by who hung up.",
    labels: { outcome: outcomes, ended_by: endedBy },
  },
  converge_client_session_duration_seconds: {
    type: "histogram",
    help: "From knock to hang-up of clients that were joined with their agent.",
    buckets: durations,
  },
  converge_client_logins_total: {
    type: "counter",
    help: "Logins that agents have reported; a key was accepted.",
  },
  converge_client_uses_total: {
    type: "counter",
    help: "Clients that used a kind of channel, each kind once per client.",
    labels: { kind: channelKinds },
  },
  converge_client_resumes_total: {
    type: "counter",
    help: "Clients that lost their link and went on over another, as their agents tell.",
  },
  converge_client_outage_seconds: {
    type: "histogram",
    help: "How long such clients had no link.",
    buckets: [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600],
  },
  converge_splice_latency_seconds: {
    type: "histogram",
    help: "From the knock, or from the arrival of an agent that was waited for, to the splice.",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  converge_relayed_bytes_total: {
    type: "counter",
    help: "Bytes of spliced links, by where they go.",
    labels: { direction: ["to agent", "to client"] },
  },
  converge_backpressure_pauses_total: {
    type: "counter",
    help: "Times that one side of a splice was paused since the other took its bytes too slowly.",
  },
  converge_rejected_connections_total: {
    type: "counter",
    help: "Connections that were turned away, by why.",
    labels: { reason: refusalReasons },
  },
  converge_control_message_errors_total: {
    type: "counter",
    help: "Messages of agents that were malformed.",
  },
} satisfies Record<string, Family>;

type Name = keyof typeof families;

/** Gauges that prom-client names as if they were counters; `promtool check metrics` refuses them. */
const misnamed = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

export interface MetricsNow {
  readonly gauges: Gauges;
  readonly totals: Readonly<Counts>;
  readonly isDraining: boolean;
}

export interface Metrics {
  readonly contentType: string;
  count(fact: RelayFact): void;
  /** Everything in Prometheus's text format. */
  text(now: MetricsNow): Promise<string>;
}

export function openMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  const made = new Map<string, Metric>(
    Object.entries<Family>(families).map(([name, family]) => [name, make(name, family, registry)]),
  );
  const family = <M>(kind: new (...args: never[]) => M, name: Name): M => {
    const metric = made.get(name);
    if (!(metric instanceof kind)) throw new Error(`${name} is not a ${kind.name}`);
    return metric;
  };
  const add = (name: Name, labels: Record<string, string> = {}, n = 1): void =>
    family(Counter, name).inc(labels, n);
  const observe = (name: Name, seconds: number): void => family(Histogram, name).observe(seconds);
  const set = (name: Name, labels: Record<string, string>, n: number): void =>
    family(Gauge, name).set(labels, n);
  /** For a total that is kept elsewhere. */
  const put = (name: Name, totals: [Record<string, string>, number][]): void => {
    family(Counter, name).reset();
    for (const [labels, n] of totals) add(name, labels, n);
  };
  set("converge_build_info", only(families.converge_build_info.labels), 1);

  return {
    contentType: registry.contentType,
    count: (fact) => {
      switch (fact.type) {
        case "agent session started":
          add("converge_agent_sessions_started_total");
          if (fact.returned) add("converge_agent_reconnects_total");
          else if (fact.id !== fact.asked) add("converge_agent_duplicate_ids_total");
          break;
        case "agent session ended":
          add("converge_agent_sessions_ended_total", { outcome: fact.outcome });
          observe("converge_agent_session_duration_seconds", fact.seconds);
          if (fact.ending === "inactivity" || fact.ending === "hard cap")
            add("converge_agent_timeouts_total", { cause: fact.ending });
          break;
        case "agent warned":
          add("converge_agent_warnings_total", {}, fact.times);
          break;
        case "agent held":
          add("converge_agent_holds_total");
          break;
        case "client session started":
          add("converge_client_sessions_started_total");
          break;
        case "client session joined":
          observe("converge_splice_latency_seconds", fact.seconds);
          break;
        case "client logged in":
          add("converge_client_logins_total");
          break;
        case "client resumed":
          add("converge_client_resumes_total");
          observe("converge_client_outage_seconds", fact.awaySeconds);
          break;
        case "client detached":
          break; // the gauge has it
        case "client used":
          add("converge_client_uses_total", { kind: fact.kind });
          break;
        case "client session ended": {
          const { outcome, endedBy, seconds } = fact;
          const labels = { outcome, ended_by: endedBy ?? "nobody" };
          add("converge_client_sessions_ended_total", labels);
          if (outcome === "served") observe("converge_client_session_duration_seconds", seconds);
          break;
        }
        case "connection refused":
          add("converge_rejected_connections_total", { reason: fact.reason });
          break;
        case "control message malformed":
          add("converge_control_message_errors_total");
          break;
      }
    },
    text: ({ gauges, totals, isDraining }) => {
      set("converge_draining", {}, isDraining ? 1 : 0);
      for (const state of agentStates) set("converge_agents", { state }, gauges.agents[state]);
      for (const state of clientStates) set("converge_clients", { state }, gauges.clients[state]);
      for (const kind of channelKinds)
        set("converge_connected_clients", { kind }, gauges.kinds[kind]);
      put("converge_relayed_bytes_total", [
        [{ direction: "to agent" }, totals.clientBytes],
        [{ direction: "to client" }, totals.agentBytes],
      ]);
      put("converge_backpressure_pauses_total", [[{}, totals.pauses]]);
      return registry.metrics();
    },
  };
}

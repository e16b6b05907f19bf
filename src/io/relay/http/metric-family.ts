/**
 * Metric family: one name of Prometheus with all the series that it will ever have. Which names
 * there are is in `metrics.ts`.
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Each label with all values that it can have. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds, for histograms. */
  readonly buckets?: readonly number[];
}

/** Makes a metric with every series that it will ever have, so that rates see the first event. */
export function make(
  name: string,
  { type, help, labels = {}, buckets }: Family,
  registry: Registry,
) {
  const config = { name, help, labelNames: Object.keys(labels), registers: [registry] };
  if (type === "histogram") return new Histogram({ ...config, buckets: [...(buckets ?? [])] });
  const metric = type === "gauge" ? new Gauge(config) : new Counter(config);
  for (const values of combinations(labels)) metric.inc(values, 0);
  return metric;
}

/** `{a: [1, 2], b: [3]}` is `{a: 1, b: 3}` and `{a: 2, b: 3}`. */
function combinations(labels: Readonly<Record<string, readonly string[]>>) {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (made, [label, values]) =>
      made.flatMap((one) => values.map((value) => ({ ...one, [label]: value }))),
    [{}],
  );
}

/** The one combination of labels that have one value each. */
export const only = (labels: Readonly<Record<string, readonly string[]>>): Record<string, string> =>
  combinations(labels)[0] ?? {};

/**
 * Prometheus: Debian's own, scraping one relay twice a second, asked over its API.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "./child.ts";
import { freePort } from "./ports.ts";
import { root } from "./shipped.ts";
import { until } from "./until.ts";

export interface Sample {
  readonly metric: Record<string, string>;
  /** Seconds since 1970, and the number as text. */
  readonly value: [number, string];
}

export interface Prometheus {
  readonly dir: string;
  query(expr: string): Promise<Sample[]>;
  /** The sum of what an expression gives; NaN when it gives nothing. */
  sum(expr: string): Promise<number>;
  api(path: string): Promise<Record<string, unknown>>;
}

/** Starts one with the alert rules; `endPrograms` ends it, and the caller removes `dir`. */
export async function prometheus(target: URL): Promise<Prometheus> {
  const dir = mkdtempSync(join(tmpdir(), "converge-prometheus-"));
  const port = await freePort();
  const rules = join(root, "deploy/prometheus/alerts.yaml");
  writeFileSync(
    join(dir, "prometheus.yaml"),
    JSON.stringify({
      global: { scrape_interval: "500ms", evaluation_interval: "500ms" },
      rule_files: [rules],
      scrape_configs: [
        {
          job_name: "converge",
          metrics_path: target.pathname,
          static_configs: [{ targets: [target.host] }],
        },
      ],
    }),
  );
  const run = program("prometheus", [
    `--config.file=${join(dir, "prometheus.yaml")}`,
    `--storage.tsdb.path=${join(dir, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  await run.see("Server is ready to receive web requests");
  const api = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as Record<string, unknown>;
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data as Record<string, unknown>;
  };
  const query = async (expr: string): Promise<Sample[]> =>
    (await api(`query?query=${encodeURIComponent(expr)}`))["result"] as Sample[];
  const sum = async (expr: string): Promise<number> => {
    const samples = await query(expr);
    if (samples.length === 0) return Number.NaN;
    return samples.reduce((total, { value }) => total + Number(value[1]), 0);
  };
  await until("the first scrape", async () => (await sum("up")) === 1);
  return { dir, query, sum, api };
}

/**
 * Deploy: what administrators copy. Each file goes through the tool that will read it, or is at
 * least read as what it is; what it names exists.
 */
import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parse } from "yaml";
import { pingMs } from "../src/io/protocol/wire.ts";
import { families } from "../src/io/relay/http/metrics.ts";
import { built, root } from "./support/shipped.ts";

const read = (name: string): string => readFileSync(join(root, "deploy", name), "utf8");
const run = (file: string, ...args: string[]): SpawnSyncReturns<string> =>
  spawnSync(file, args, { cwd: join(root, "deploy"), encoding: "utf8" });

/** Names of ours in an expression, without what a histogram adds. */
const namesIn = (text: string): string[] =>
  [...text.matchAll(/\bconverge_\w+/g)].map(([name]) => {
    const base = name.replace(/_(?:bucket|sum|count)$/, "");
    return name in families ? name : base;
  });

describe("dashboard and rules", () => {
  const dashboard = JSON.parse(read("grafana/converge.json"));
  const targets: { expr: string }[] = dashboard.panels.flatMap(
    (panel: { targets?: unknown[] }) => panel.targets ?? [],
  );

  test("the dashboard shows every metric there is, and none that is not", () => {
    const shown = new Set(namesIn(targets.map(({ expr }) => expr).join(" ")));
    assert.deepEqual([...shown].sort(), Object.keys(families).sort());
  });

  test("its panels have ids of their own, a data source by variable, and do not overlap", () => {
    interface Panel {
      id: number;
      type: string;
      datasource?: { uid: string };
      gridPos: { x: number; y: number; w: number; h: number };
    }
    const panels: Panel[] = dashboard.panels;
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { gridPos, type, datasource } of panels) {
      if (type !== "row") assert.match(datasource?.uid ?? "", /^\$\{datasource\}$/);
      assert.ok(gridPos.x + gridPos.w <= 24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x},${y}`), `two panels at ${x},${y}`);
          taken.add(`${x},${y}`);
        }
    }
  });

  test("the rules name metrics that there are", () => {
    for (const name of namesIn(read("prometheus/alerts.yaml").replace(/^#.*$/gm, "")))
      assert.ok(name in families, name);
  });

  for (const args of [
    ["check", "rules", "prometheus/alerts.yaml"],
    ["check", "config", "prometheus/prometheus.yaml"],
    ["test", "rules", "prometheus/alerts.test.yaml"],
  ])
    test(`promtool ${args.join(" ")}`, () => {
      const said = run("promtool", ...args);
      assert.equal(said.status, 0, said.stdout + said.stderr);
    });
});

describe("systemd", () => {
  const dir = mkdtempSync(join(tmpdir(), "converge-unit-"));
  after(() => rmSync(dir, { recursive: true }));
  const unit = read("systemd/converge.service");

  test("the unit is verified, and what it exposes is little", () => {
    const file = join(dir, "converge.service");
    writeFileSync(file, unit.replaceAll("/usr/bin/node", process.execPath));
    const verified = run("systemd-analyze", "verify", "--man=no", file);
    assert.deepEqual([verified.status, verified.stderr], [0, ""]);
    const rated = run("systemd-analyze", "security", "--offline=true", "--threshold=20", file);
    assert.equal(rated.status, 0, rated.stdout.split("\n").at(-2));
  });

  test("it waits for longer than the drain, and takes the relay's own end for a success", () => {
    assert.match(unit, /^TimeoutStopSec=60s$/m); // the drain is 30 s unless it is told otherwise
    assert.match(unit, /^SuccessExitStatus=143$/m);
  });
});

describe("the image", () => {
  const file = read("docker/Dockerfile");

  test("what it copies is there, and let in by its ignore file", () => {
    const ignore = read("docker/Dockerfile.dockerignore").split("\n");
    const copied = [...file.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names = ""]) =>
      names.split(" "),
    );
    assert.ok(copied.length > 8);
    for (const name of copied) {
      assert.ok(existsSync(join(root, name)), name);
      assert.ok(ignore.includes(`!${name}`), `${name} is ignored`);
    }
  });

  test("its user is a number and nobody's, and its program is the one that is built", () => {
    assert.match(file, /^USER 65532:65532$/m);
    const [, json = "[]"] = /^ENTRYPOINT (.*)$/m.exec(file) ?? [];
    assert.deepEqual(JSON.parse(json), ["node", "/opt/converge/dist/cli/converge.js"]);
    assert.ok(built("converge").endsWith("dist/cli/converge.js"));
  });

  test("its health check is the program's own, which follows the configuration", () => {
    const [, json = "[]"] = /^ {2}CMD (\[.*\])$/m.exec(file) ?? [];
    assert.deepEqual(JSON.parse(json), ["node", "/opt/converge/dist/cli/converge.js", "--health"]);
  });

  test("compose: read-only, no capability, and more time than the drain", () => {
    const { services } = parse(read("docker/compose.yaml"));
    const { converge, prometheus, grafana } = services;
    assert.deepEqual(
      [converge.read_only, converge.cap_drop, converge.security_opt],
      [true, ["ALL"], ["no-new-privileges:true"]],
    );
    assert.ok(
      Number.parseInt(converge.stop_grace_period, 10) >
        Number.parseInt(converge.environment.CONVERGE_DRAIN_TIMEOUT, 10),
    );
    for (const volume of [...prometheus.volumes, ...grafana.volumes])
      if (volume.startsWith("."))
        assert.ok(existsSync(join(root, "deploy/docker", volume.split(":")[0])), volume);
  });
});

test("every YAML and JSON file of deploy can be read; templates are helm's", () => {
  const names = readdirSync(join(root, "deploy"), { recursive: true, encoding: "utf8" });
  const plain = names.filter(
    (name) => /\.(?:yaml|json)$/.test(name) && !name.includes("templates/"),
  );
  assert.ok(plain.length >= 8);
  for (const name of plain)
    assert.doesNotThrow(
      () => (name.endsWith(".json") ? JSON.parse(read(name)) : parse(read(name))),
      name,
    );
});

test("the proxies' time-outs are above the time in which the relay pings", () => {
  const seconds = { s: 1, m: 60, h: 3_600 } as const;
  const found = [
    ...read("proxy/nginx.conf").matchAll(/proxy_(?:read|send)_timeout (\d+)([smh]);/g),
    ...read("proxy/haproxy.cfg").matchAll(/timeout (?:tunnel|client|server) +(\d+)([smh])/g),
    ...read("proxy/traefik.yaml").matchAll(/idleTimeout: (\d+)([smh])/g),
  ];
  assert.equal(found.length, 6);
  for (const [text, n, unit] of found)
    assert.ok(Number(n) * seconds[unit as keyof typeof seconds] * 1_000 > 2 * pingMs, text);
  const traefik = parse(read("proxy/traefik.yaml"));
  assert.equal(traefik.entryPoints.websecure.transport.respondingTimeouts.readTimeout, "0s");
  const { http } = parse(read("proxy/traefik-dynamic.yaml"));
  assert.deepEqual(http.routers.converge.entryPoints, Object.keys(traefik.entryPoints));
  assert.ok(http.routers.converge.service in http.services);
});

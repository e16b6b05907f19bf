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
import { parse, parseAllDocuments } from "yaml";
import { families } from "../src/io/metrics.ts";
import { pingMs } from "../src/io/wire.ts";
import { endPrograms, finished, program, relayProgram } from "./support/programs.ts";
import { built, root } from "./support/world.ts";

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

  test("its health check says yes to a relay, and no to none", async () => {
    const [, json = "[]"] = /^ {2}CMD (\[.*\])$/m.exec(file) ?? [];
    const [node, flag, script]: string[] = JSON.parse(json);
    assert.deepEqual([node, flag], ["node", "-e"]);
    const relay = await relayProgram(["--context-path", "/x"]);
    const check = (port: number, env: Record<string, string>) =>
      finished(
        program(process.execPath, ["-e", String(script).replace(":8000", `:${port}`)], { env }),
      );
    assert.equal((await check(relay.port, { CONVERGE_CONTEXT_PATH: "/x/" })).status, 0);
    assert.equal((await check(relay.port, {})).status, 1);
    assert.equal((await check(1, {})).status, 1);
    await endPrograms();
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

describe("the chart", () => {
  const cached = join(root, ".cache/helm/helm");
  const helm = existsSync(cached) ? cached : "helm";
  type Manifest = Record<string, unknown> & { kind: string; metadata: { name: string } };

  const render = (...sets: string[]): Manifest[] => {
    const args = sets.flatMap((set) => ["--set", set]);
    const said = run(helm, "template", "relay", "helm/converge", "--namespace", "ci", ...args);
    assert.equal(said.status, 0, said.stderr);
    const documents = parseAllDocuments(said.stdout);
    assert.ok(Array.isArray(documents));
    return documents.flatMap((document) => {
      assert.deepEqual(document.errors, []);
      return document.contents ? [document.toJS() as Manifest] : [];
    });
  };
  const kinds = (manifests: Manifest[]): string[] => manifests.map(({ kind }) => kind).sort();
  const the = (kind: string, manifests: Manifest[]): ReturnType<typeof parse> => {
    const found = manifests.find((manifest) => manifest.kind === kind);
    assert.ok(found, kind);
    return found;
  };
  const everything = [
    ...["ingress", "autoscaling", "serviceMonitor", "alertRules"].map(
      (name) => `${name}.enabled=true`,
    ),
    "relay.contextPath=/converge",
    "replicas=3",
  ];

  test("it is of the release that is built here", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const chart = parse(read("helm/converge/Chart.yaml"));
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  });

  test("helm lint has nothing to say", () => {
    const said = run(helm, "lint", "--strict", "helm/converge");
    assert.equal(said.status, 0, said.stdout + said.stderr);
  });

  test("by default: one relay, no autoscaler, and what needs no other definitions", () => {
    assert.deepEqual(kinds(render()), [
      "ConfigMap",
      "Deployment",
      "NetworkPolicy",
      "PodDisruptionBudget",
      "Service",
      "Service",
    ]);
    const { spec } = the("Deployment", render());
    assert.deepEqual([spec.replicas, spec.strategy], [1, { type: "Recreate" }]);
  });

  test("with everything on", () => {
    assert.deepEqual(kinds(render(...everything)), [
      "ConfigMap",
      "Deployment",
      "HorizontalPodAutoscaler",
      "Ingress",
      "NetworkPolicy",
      "PodDisruptionBudget",
      "PrometheusRule",
      "Service",
      "Service",
      "ServiceMonitor",
    ]);
    const { spec } = the("Deployment", render(...everything));
    assert.equal(spec.replicas, undefined, "the autoscaler's business");
    const ingress = the("Ingress", render(...everything));
    assert.equal(ingress.spec.rules[0].http.paths[0].path, "/converge");
    const { annotations } = ingress.metadata;
    for (const limit of ["read", "send"]) {
      const seconds = annotations[`nginx.ingress.kubernetes.io/proxy-${limit}-timeout`];
      assert.ok(Number(seconds) * 1_000 > 3 * pingMs, limit);
    }
  });

  test("none of it", () => {
    const none = ["networkPolicy", "podDisruptionBudget", "dashboard"];
    assert.deepEqual(kinds(render(...none.map((name) => `${name}.enabled=false`))), [
      "Deployment",
      "Service",
      "Service",
    ]);
  });

  test("the pod may do nothing but serve, and is asked at the paths that there are", () => {
    for (const [sets, path] of [
      [[], ""],
      [everything, "/converge"],
    ] as const) {
      const { template } = the("Deployment", render(...sets)).spec;
      const [container] = template.spec.containers;
      assert.equal(template.spec.automountServiceAccountToken, false);
      assert.equal(template.spec.securityContext.runAsNonRoot, true);
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.equal(container.livenessProbe.httpGet.path, `${path}/healthz`);
      assert.equal(container.readinessProbe.httpGet.path, `${path}/readyz`);
      assert.ok(template.spec.terminationGracePeriodSeconds > 60);
    }
  });

  test("its environment is a configuration that the relay accepts", async () => {
    for (const sets of [[], everything]) {
      const [container] = the("Deployment", render(...sets)).spec.template.spec.containers;
      const env = Object.fromEntries(
        container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
      );
      const said = await finished(
        program(process.execPath, [built("converge"), "--check-config"], { env }),
      );
      assert.deepEqual([said.status, said.err], [0, ""]);
    }
  });

  test("the metrics are not on the service that may be public, and nothing is dialled", () => {
    const manifests = render();
    const policy = the("NetworkPolicy", manifests).spec;
    assert.deepEqual([policy.policyTypes, policy.egress], [["Ingress", "Egress"], []]);
    const ports = manifests
      .filter(({ kind }) => kind === "Service")
      .map(({ metadata, spec }) => [
        metadata.name,
        (spec as { ports: { name: string }[] }).ports.map(({ name }) => name),
      ]);
    assert.deepEqual(ports.sort(), [
      ["relay", ["http"]],
      ["relay-metrics", ["metrics"]],
    ]);
  });

  test("a secret with a policy is mounted where the relay looks for it", () => {
    const { template } = the("Deployment", render("relay.policySecret=who")).spec;
    const [{ env, volumeMounts }] = template.spec.containers;
    const { value } = env.find(({ name }: { name: string }) => name === "CONVERGE_POLICY");
    assert.equal(value, `${volumeMounts[0].mountPath}/policy.json`);
    assert.equal(template.spec.volumes[0].name, volumeMounts[0].name);
    assert.equal(template.spec.volumes[0].secret.secretName, "who");
    assert.equal(the("Deployment", render()).spec.template.spec.volumes, undefined);
  });

  test("dashboard and rules in it are the very files", () => {
    const manifests = render(...everything);
    const { data } = the("ConfigMap", manifests);
    assert.deepEqual(JSON.parse(data["converge.json"]), JSON.parse(read("grafana/converge.json")));
    assert.deepEqual(the("PrometheusRule", manifests).spec, parse(read("prometheus/alerts.yaml")));
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

/** The chart in deploy: what helm makes of it, for each of its values. */
import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { pingMs } from "../src/io/protocol/wire.ts";
import { finished, program } from "./support/child.ts";
import { built, root } from "./support/shipped.ts";

const read = (name: string): string => readFileSync(join(root, "deploy", name), "utf8");
const run = (file: string, ...args: string[]): SpawnSyncReturns<string> =>
  spawnSync(file, args, { cwd: join(root, "deploy"), encoding: "utf8" });

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

/**
 * The relay behind the reverse proxies of deploy/proxy: the very files, with another port, other
 * certificates and another relay put in, and everything of a session through them.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { certificates } from "../support/certificates.ts";
import { endPrograms, finished, folder, type Program, program } from "../support/child.ts";
import { freePort } from "../support/ports.ts";
import {
  type AgentProgram,
  agentProgram,
  type RelayProgram,
  relayProgram,
  sshArgs,
} from "../support/programs.ts";
import { screen } from "../support/screen.ts";
import { root } from "../support/shipped.ts";
import { stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";

interface Front {
  readonly dir: string;
  readonly port: number;
  readonly relayPort: number;
  readonly certFile: string;
  readonly keyFile: string;
}

/** An example with places of this machine; fails when it no longer has the place to be changed. */
function filled(name: string, places: readonly (readonly [string, string])[]): string {
  let text = readFileSync(join(root, "deploy/proxy", name), "utf8");
  for (const [example, here] of places) {
    assert.ok(text.includes(example), `${name} has no ${example}`);
    text = text.replaceAll(example, here);
  }
  return text;
}

/** Writes the configuration; gives the commands that check it and that run it. */
const proxies: Record<string, (front: Front) => Record<"check" | "run", [string, string[]]>> = {
  nginx: ({ dir, port, relayPort, certFile, keyFile }) => {
    const site = filled("nginx.conf", [
      ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
      ["server 127.0.0.1:8000", `server 127.0.0.1:${relayPort}`],
      ["/etc/ssl/certs/relay.example.com.pem", certFile],
      ["/etc/ssl/private/relay.example.com.key", keyFile],
    ]);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${dir}/${name};`)
      .join(" ");
    const file = join(dir, "nginx.conf");
    writeFileSync(
      file,
      `daemon off; pid ${dir}/nginx.pid; error_log stderr; events {}\nhttp { access_log off; ${temporary}\n${site}}\n`,
    );
    const args = ["-e", "stderr", "-p", dir, "-c", file];
    return { check: ["/usr/sbin/nginx", ["-t", ...args]], run: ["/usr/sbin/nginx", args] };
  },
  haproxy: ({ dir, port, relayPort, certFile, keyFile }) => {
    const both = join(dir, "both.pem");
    writeFileSync(both, `${readFileSync(certFile)}${readFileSync(keyFile)}`);
    const file = join(dir, "haproxy.cfg");
    const text = filled("haproxy.cfg", [
      ["bind :443", `bind 127.0.0.1:${port}`],
      ["server relay 127.0.0.1:8000", `server relay 127.0.0.1:${relayPort}`],
      ["/etc/haproxy/relay.example.com.pem", both],
    ]);
    writeFileSync(file, text);
    const haproxy = "/usr/sbin/haproxy";
    return { check: [haproxy, ["-c", "-f", file]], run: [haproxy, ["-db", "-f", file]] };
  },
  caddy: ({ dir, port, relayPort, certFile, keyFile }) => {
    const text = filled("Caddyfile", [
      ["relay.example.com {", `https://127.0.0.1:${port} {\n\ttls ${certFile} ${keyFile}`],
      ["reverse_proxy 127.0.0.1:8000", `reverse_proxy 127.0.0.1:${relayPort}`],
    ]);
    const file = join(dir, "Caddyfile");
    const here = `{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system ${dir}/caddy\n}\n`;
    writeFileSync(file, here + text);
    const args = ["--adapter", "caddyfile", "--config", file];
    return { check: ["caddy", ["validate", ...args]], run: ["caddy", ["run", ...args]] };
  },
};

for (const [name, configure] of Object.entries(proxies))
  describe(`behind ${name}`, () => {
    let relay: RelayProgram;
    let agent: AgentProgram;
    const ours: Program[] = [];
    let base = "";
    let ca = "";
    let commands: ReturnType<typeof configure>;

    const get = async (path: string, ...more: string[]): Promise<[string, string]> => {
      const url = `${new URL(base).origin}${path}`;
      const said = await finished(
        program("curl", ["-sS", "--cacert", ca, "-w", "\n%{http_code}", ...more, url]),
      );
      const [, body = "", status = ""] = /^(.*)\n(\d+)$/s.exec(said.out) ?? [];
      return [status, body];
    };

    before(async () => {
      const dir = folder();
      mkdirSync(join(dir, "logs"));
      const authority = certificates(dir);
      ca = authority.ca;
      const port = await freePort();
      base = `https://127.0.0.1:${port}/converge`;
      const drain = ["--drain-timeout", "0s"];
      relay = await relayProgram([
        ...drain,
        "--context-path",
        "/converge",
        "--trust-proxy",
        "127.0.0.1",
      ]);
      ours.push(relay);
      const pair = authority.issue("proxy", "IP:127.0.0.1");
      commands = configure({ dir, port, relayPort: relay.port, ...pair });
      const env = { HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir };
      ours.push(program(...commands.run, { env }));
      await until("the proxy answers", async () => (await get("/converge/readyz"))[0] === "200");
      agent = await agentProgram(base, ["--ca", ca, "--id", "behind"]);
      ours.unshift(agent);
      writeFileSync(join(agent.dir, ".hold"), "");
    });
    after(async () => {
      for (const run of ours.splice(0)) {
        run.kill("SIGTERM"); // not SIGKILL, which would leave nginx's workers
        await run.exited;
      }
      await endPrograms();
    });

    const ssh = (...args: string[]) => program("ssh", [...sshArgs(agent, `--ca ${ca}`), ...args]);

    test("the example passes the proxy's own check", async () => {
      const said = await finished(program(...commands.check, { env: { HOME: agent.dir } }));
      assert.equal(said.status, 0, said.err);
      assert.doesNotMatch(`${said.out}${said.err}`, /\[(?:warn|alert|emerg)|Caddyfile.*format/i);
    });

    test("the agent is told the URL that people use, and ssh goes through it", async () => {
      assert.equal(agent.ready.clientUrl, `${base}/client/behind`);
      const said = await finished(ssh("echo through; exit 7"));
      assert.deepEqual([said.status, said.out], [7, "through\n"], said.err);
      const seen = screen("ssh", ["-tt", ...sshArgs(agent, `--ca ${ca}`)]);
      await seen.see("$ ");
      seen.type("echo keys $((40+2))\r");
      await seen.see("keys 42");
      seen.type("exit\r");
      assert.equal(await seen.exited, 0);
    });

    test("sftp carries 8 MiB there and back", async () => {
      const bytes = randomBytes(8 * 1024 * 1024);
      writeFileSync(join(agent.dir, "here"), bytes);
      const { dir } = agent;
      const batch = `put ${dir}/here ${dir}/there\nget ${dir}/there ${dir}/back\n`;
      const sftp = program("sftp", ["-q", ...sshArgs(agent, `--ca ${ca}`)], { input: batch });
      assert.equal((await finished(sftp)).status, 0, sftp.err());
      assert.ok(readFileSync(join(dir, "back")).equals(bytes));
    });

    test("pages, metrics and the list of sessions are there, and nothing outside the path", async () => {
      for (const path of ["/", "/sessions", "/usage", "/healthz", "/readyz"])
        assert.equal((await get(`/converge${path}`))[0], "200", path);
      assert.match((await get("/converge/api/sessions"))[1], /"id":"behind"/);
      assert.match((await get("/converge/metrics"))[1], /^converge_client_logins_total 3$/m);
      for (const path of ["/", "/sessions", "/convergence", "/metrics"])
        assert.equal((await get(path))[0], "404", path);
      // One event of the live list comes at once, not when a buffer is full.
      const live = program("curl", ["-sSN", "--cacert", ca, `${base}/api/sessions/live`]);
      await live.see('"id":"behind"');
    });

    test("a forged X-Forwarded-For is not believed", async () => {
      const forged = stranger(`${base}/client/nobody`, null, {
        ca: readFileSync(ca),
        headers: { "x-forwarded-for": "203.0.113.9" },
      });
      await forged.end;
      const line = await until("its line", () =>
        relay.lines().find(({ msg, id }) => msg === "client session ended" && id === "nobody"),
      );
      assert.equal(line["client"], "127.0.0.1");
    });
  });

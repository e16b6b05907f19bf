/**
 * Nginx: Debian's own, in front of a relay, as an administrator would set it up: TLS ends at it or
 * not, a path of its own, websockets passed on.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "./child.ts";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

export interface Nginx {
  readonly url: URL;
  close(): Promise<void>;
}

/** Serves `path` (`/x/`) from `upstream`, the path in full. */
export async function nginx(path: string, upstream: URL): Promise<Nginx> {
  const dir = mkdtempSync(join(tmpdir(), "converge-nginx-"));
  const port = await freePort();
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${dir}/${kind};`)
    .join("\n  ");
  writeFileSync(
    join(dir, "nginx.conf"),
    `daemon off;
master_process off;
pid ${dir}/pid;
error_log ${dir}/error.log;
events {}
http {
  access_log off;
  ${temp}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    location ${path} {
      proxy_pass ${upstream.origin};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_read_timeout 1h;
    }
  }
}
`,
  );
  const running = program(
    "/usr/sbin/nginx",
    ["-e", `${dir}/error.log`, "-p", dir, "-c", `${dir}/nginx.conf`],
    { limitMs: 300_000 },
  );
  const url = new URL(path, `http://127.0.0.1:${port}`);
  await until("nginx answers", () =>
    fetch(new URL("/nothing", url)).then(
      () => true,
      () => running.child.exitCode !== null,
    ),
  );
  return {
    url,
    close: async () => {
      running.child.kill("SIGTERM");
      await running.exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

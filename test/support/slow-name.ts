/**
 * Slow name: a name with an address of each family, of which IPv6 leads nowhere and IPv4 answers late,
 * as on a slow line: the first SYN is lost, and TCP asks again after a second.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { folder } from "./child.ts";
import { until } from "./until.ts";

/** RFC 6666: packets to it are discarded, if there is a route at all. */
const nowhere = "100::1";
export const name = "dual.test";

/** How a program is started so that it knows the name: in a mount namespace with other `hosts`. */
export function knowing(file: string, args: readonly string[]): [file: string, args: string[]] {
  const hosts = join(folder(), "hosts");
  writeFileSync(hosts, `127.0.0.1 localhost ${name}\n::1 localhost\n${nowhere} ${name}\n`);
  const script = 'mount --bind "$1" /etc/hosts; shift; exec "$@"';
  return ["unshare", ["--mount", "sh", "-ec", script, "sh", hosts, file, ...args]];
}

/** Hands connections on to a port; its own queue holds two. */
const front = `
  const { connect, createServer } = require("node:net");
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: Number(process.argv[1]), host: "127.0.0.1", allowHalfOpen: true });
    for (const one of [near, far]) one.on("error", () => {});
    near.pipe(far).pipe(near);
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(server.address().port));
`;

/** Connections that wait for the answer to their SYN (proc(5): state 02) at a port. */
function waiting(port: number): number {
  const to = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${to} 02 `)).length;
}

/** A port that leads to another one; the first connection is answered after more than half a second. */
export async function slowly(
  target: number,
): Promise<{ port: number; answerLate(): Promise<void>; close(): void }> {
  const child = spawn(process.execPath, ["-e", front, String(target)]);
  const [line] = await once(child.stdout, "data");
  const port = Number(String(line));
  child.kill("SIGSTOP");
  await until("it is stopped", () =>
    /^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, "utf8")),
  );
  const fillers = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  for (const filler of fillers) await once(filler, "connect");
  return {
    port,
    answerLate: async () => {
      await until("somebody waits for an answer", () => waiting(port) > 0);
      const sinceMs = performance.now();
      await until(
        "more than half a second",
        () => waiting(port) === 0 || performance.now() - sinceMs > 600,
      );
      for (const filler of fillers) filler.destroy();
      child.kill("SIGCONT");
    },
    close: () => void child.kill("SIGKILL"),
  };
}

/** Fails by name where this machine cannot do it. */
export const needed = (): void => {
  execFileSync("unshare", ["--mount", "true"]);
};

/**
 * Wine: programs for Windows, run under Wine in a prefix of the test's own, and what they say. Node
 * there cannot write to a pipe of this system, so they write to files. `endWine` ends all.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { endPrograms, folder, type How, type Program, program } from "./child.ts";
import { type AgentProgram, jobFolder, type Ready } from "./programs.ts";
import { root, shippedFile } from "./shipped.ts";
import { until } from "./until.ts";

const { environment, loader, node, prefix, runnable, server } = (await import(
  join(root, "scripts/wine.mjs")
)) as {
  environment(dir: string): Record<string, string>;
  runnable(file: string): Buffer;
  loader: string;
  node: string;
  prefix: string;
  server: string;
};

let made: string | null = null;

/** A prefix of this test: its files are links, but for the registry, which is written. */
function ownPrefix(): string {
  if (made) return made;
  if (![loader, server, node, prefix].every((file) => existsSync(file)))
    throw new Error("There is no Wine: npm test -- FILE installs it.");
  made = mkdtempSync(`${prefix}-${process.pid}-`);
  execFileSync("cp", ["-al", `${prefix}/.`, made]);
  for (const name of readdirSync(made).filter((name) => name.endsWith(".reg"))) {
    rmSync(join(made, name));
    copyFileSync(join(prefix, name), join(made, name));
  }
  return made;
}

/** A path of this system as Windows programs have it. */
export const windowsPath = (path: string): string => `Z:${path.replaceAll("/", "\\")}`;

/** Node for Windows, as programs there name it. */
export const nodeThere = windowsPath(node);

/** Starts a program; `file` may be a path of this system. Its standard input is empty. */
export function windows(file: string, args: readonly string[], how: How = {}): Program {
  const dir = folder();
  const [out, err] = [join(dir, "out"), join(dir, "err")];
  const line = `exec "$@" >${out} 2>${err} </dev/null`;
  const run = program("/bin/sh", ["-c", line, "sh", loader, file, ...args], {
    ...how,
    env: { ...environment(ownPrefix()), ...how.env },
  });
  const read = (path: string): Buffer => (existsSync(path) ? readFileSync(path) : Buffer.alloc(0));
  const text = { out: () => read(out).toString("latin1"), err: () => read(err).toString() };
  return {
    ...run,
    bytes: () => read(out),
    ...text,
    see: async (what) => {
      const find = (): string | undefined =>
        [text.out(), text.err()]
          .map((said) => (typeof what === "string" ? said.includes(what) && what : what.exec(said)))
          .map((found) => (typeof found === "string" ? found : found ? found[0] : undefined))
          .find((found) => found !== undefined);
      await until(`${what} said by ${file}`, () => find() !== undefined || run.ended()).catch(
        () => {},
      );
      const found = find();
      if (found !== undefined) return found;
      throw new Error(`never said: ${what}; it said: ${text.out()}\n${text.err()}`);
    },
  };
}

/** What agent is run: as one file with Node beside it, or as one program. */
export type Form = "agent.cjs" | "agent-win-x64.exe";

function commandOf(form: Form): [string, ...string[]] {
  if (form === "agent.cjs") return [node, windowsPath(shippedFile(form))];
  const file = join(folder(), form);
  writeFileSync(file, runnable(shippedFile(form)));
  return [file];
}

/** Starts an agent in a job's folder, by default with cmd, and waits until it is registered; without a URL its environment has one. */
export async function windowsAgent(
  relayUrl: string | null,
  args: readonly string[] = ["--shells", "cmd", "--linger", "5m"],
  { form = "agent.cjs", ...how }: How & { form?: Form } = {},
): Promise<AgentProgram> {
  const { dir, keyFile } = jobFolder();
  const [file, ...before] = commandOf(form);
  const run = windows(file, [...before, "--json", ...args, ...(relayUrl ? [relayUrl] : [])], {
    cwd: dir,
    ...how,
  });
  const news = (): Record<string, unknown>[] =>
    run
      .out()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  await run.see('"event":"ready"');
  const ready = news()[0] as unknown as Ready;
  return Object.assign(run, { dir, keyFile, ready, news });
}

/** Ends every program of the test, here and there, and the prefix with them. */
export async function endWine(): Promise<void> {
  await endPrograms();
  if (!made) return;
  const env = environment(made);
  // It has gone by itself when nobody is left, and says so by its status.
  spawnSync(server, ["--kill"], { env, stdio: "ignore", timeout: 20_000 });
  spawnSync(server, ["--wait"], { env, stdio: "ignore", timeout: 20_000 });
  rmSync(made, { recursive: true, force: true });
  made = null;
}

/**
 * Shipped: where the files are that people are given, and whether the stories run against them. None
 * is handed out that is older than the sources: a test would mix the two.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

/** Set by `npm test -- --shipped`. */
export const isShipped = process.env["CONVERGE_TEST_SHIPPED"] === "1";

/** What people download, as the build has made it. */
export function shippedFile(name: string): string {
  return fresh(`dist/downloads/${name}`);
}

/** The agent's insides, bundled as agent.cjs is. */
export const shippedDoor = (): string => fresh("dist/agent-door.cjs");

/** A program, as a user would start it with Node. */
export const built = (name: "converge" | "agent" | "wsproxy"): string =>
  isShipped && name !== "converge"
    ? shippedFile(`${name}.cjs`)
    : fresh(join("dist/cli", `${name}.js`));

/** When the newest source was changed, in ms; looked at once, when a test needs to know. */
let sourcesMs = 0;

/** The whole path of something in dist/; throws a sentence if it is not there, or older than the sources. */
export function fresh(made: string): string {
  const file = join(root, made);
  if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build first`);
  sourcesMs ||= Math.max(
    ...["src", "cli", "web"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map(
        (name) => statSync(join(root, folder, name)).mtimeMs,
      ),
    ),
  );
  if (statSync(file).mtimeMs < sourcesMs)
    throw new Error(`${made} is older than the sources: run node scripts/build.mjs`);
  return file;
}

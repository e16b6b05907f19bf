/** Shipped: where the files are that people are given, and whether the stories run against them. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

/** Set by `npm test -- --shipped`. */
export const isShipped = process.env["CONVERGE_TEST_SHIPPED"] === "1";

/** What people download, as the build has made it. */
export function shippedFile(name: string): string {
  return there(join(root, "dist/downloads", name));
}

/** The agent's insides, bundled as agent.cjs is. */
export const shippedDoor = join(root, "dist/agent-door.cjs");

/** A program, as a user would start it with Node. */
export const built = (name: "converge" | "agent" | "wsproxy"): string =>
  isShipped && name !== "converge"
    ? shippedFile(`${name}.cjs`)
    : there(join(root, "dist/cli", `${name}.js`));

function there(file: string): string {
  if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build first`);
  return file;
}

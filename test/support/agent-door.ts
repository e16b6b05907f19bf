/**
 * Agent door: the agent's code as the world starts it in this process. From source; or, with
 * CONVERGE_TEST_SHIPPED=1, out of a bundle that is made as agent.cjs is, minifier and all, so that the
 * same stories hold for what people are given.
 */
import { createRequire } from "node:module";
import { isShipped, shippedDoor } from "./shipped.ts";

interface Door {
  readonly openAgent: typeof import("../../src/io/agent/agent.ts").openAgent;
}

export const { openAgent }: Door = isShipped
  ? createRequire(import.meta.url)(shippedDoor())
  : await import("../../src/io/agent/agent.ts");

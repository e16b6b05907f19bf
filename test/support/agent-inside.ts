/** Agent inside: what is bundled for the stories that run against what is shipped. */
export { openAgent } from "../../src/io/agent/agent.ts";

/** Agent inside: what is bundled for the stories that run against what is shipped. */
export { startAgent } from "../../src/actors/agent.ts";
export { openAgentPorts } from "../../src/io/agent/ports.ts";

/**
 * Standalone: agent and wsproxy as one executable, told apart by the name it was started under, or
 * by CONVERGE_PROGRAM where the loader hides that name. It knows nothing of what they do.
 */
const name = process.env["CONVERGE_PROGRAM"] ?? process.argv0;
delete process.env["CONVERGE_PROGRAM"];
void (/wsproxy[^/\\]*$/.test(name) ? import("./wsproxy.ts") : import("./agent.ts"));

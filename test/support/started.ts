/** Started: an ssh into a world under way, on pipes, and one that is a master of others. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "./agent.ts";
import { type How, type Program, program } from "./child.ts";
import { until } from "./until.ts";
import type { World } from "./world.ts";

/** An ssh to an agent of a world, with pipes instead of a terminal. */
export function startSsh(
  world: World,
  args: readonly string[],
  how: How & { agent?: Agent; key?: string } = {},
): Program {
  const identity = how.key === "" ? [] : ["-i", how.key ?? world.keyFile];
  const whole = [...world.options(how.agent), ...identity, "job@agent", ...args];
  return program("ssh", whole, { input: "open", ...how });
}

/** Makes an agent outlive its clients, for tests with many of them. */
export function hold(agent: Agent): void {
  writeFileSync(join(agent.dir, ".hold"), "");
}

/** The options that lead an ssh to a running master, and the master itself. */
export async function startMaster(
  world: World,
  args: readonly string[] = [],
): Promise<{ master: Program; options: string[] }> {
  masters += 1;
  const path = join(world.dir, `master-${masters}`);
  const options = ["-F/dev/null", `-oControlPath=${path}`, "-oBatchMode=yes"];
  const master = startSsh(world, ["-oControlMaster=yes", `-oControlPath=${path}`, "-N", ...args]);
  await until("the master listens", async () => {
    const check = program("ssh", [...options, "-O", "check", "job@agent"]);
    return (await check.exited).status === 0;
  });
  return { master, options };
}
let masters = 0;

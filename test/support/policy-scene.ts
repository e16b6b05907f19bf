import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { handClock } from "./clock.ts";
import { stranger } from "./stranger.ts";
import { until } from "./until.ts";
import { meet, type World } from "./world.ts";

/** The tokens that its files hold. */
export const shared = "a-token-of-the-agents-0001";
export const people = "a-token-of-the-people-0002";

export interface Scene {
  readonly world: World;
  readonly base: string;
  /** Puts a policy in the place of the one that is there, and waits until the relay says that it saw it. */
  change(policy: unknown): Promise<void>;
  /** What an upgrade to `/agent/…` with this token is answered. */
  knock(token?: string): Promise<{ status: number; body: string }>;
  fields(message: string): Record<string, unknown>[];
}

export async function scene(policy: unknown, act: (scene: Scene) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "policy-"));
  const file = join(dir, "policy.json");
  const write = (what: unknown): void =>
    writeFileSync(file, typeof what === "string" ? what : JSON.stringify(what));
  writeFileSync(join(dir, "agents"), `${shared}\n`);
  writeFileSync(join(dir, "people"), people);
  write(policy);
  const world = await meet(null, { policy: file }, handClock({ pings: false }));
  const fields = (message: string): Record<string, unknown>[] =>
    world.relay.log.lines.filter((line) => line.message === message).map((line) => line.fields);
  const base = world.relay.url.href.replace(/\/$/, "");
  let agents = 0;
  try {
    await act({
      world,
      base,
      fields,
      change: async (what) => {
        const seen = (): number =>
          fields("policy reloaded").length + fields("policy not reloaded").length;
        const before = seen();
        write(what);
        await until("the policy was read again", () => seen() > before);
      },
      knock: async (token) => {
        agents += 1;
        const link = stranger(`${base}/agent/agent-${agents}`, "converge.agent.v1", {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        });
        await until("an answer", () => link.refusal() || link.isOpen());
        const answer = link.refusal() ?? { status: 101, body: "" };
        link.socket.terminate();
        return answer;
      },
    });
  } finally {
    await world.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The relay's doors: pages of other sites, addresses that guess ids, and ids that are easily guessed. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { missesMost } from "../../src/io/relay/admission/limits.ts";
import { endPrograms } from "../support/child.ts";
import { handClock } from "../support/clock.ts";
import { agentProgram, relayProgram } from "../support/programs.ts";
import { stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet } from "../support/world.ts";

after(endPrograms);

describe("the relay's doors", () => {
  test("a page of another site gets nowhere, the relay's own page and programs do", async () => {
    const relay = await relayProgram(["--context-path", "/ci"]);
    const own = relay.url;
    for (const [path, protocol, page, status] of [
      ["/agent/x", "converge.agent.v1", "https://evil.example", 403],
      ["/agent/x", "converge.agent.v1", own, 403],
      ["/dial/x", "converge.data.v1", own, 403],
      ["/client/x", null, "https://evil.example", 403],
      ["/client/x", null, "null", 403],
      ["/client/x", null, own, 101],
      ["/client/x", null, undefined, 101],
    ] as const) {
      const options = page === undefined ? {} : { headers: { origin: page } };
      const link = stranger(`${own}/ci${path}`, protocol, options);
      await until("an answer", () => link.refusal() ?? link.closed() ?? link.isOpen());
      const got = link.refusal()?.status ?? 101;
      assert.equal(got, status, `${path} from ${page}`);
      link.socket.terminate();
    }
    for (const path of ["/api/sessions", "/api/sessions/live", "/sessions"]) {
      const asked = await fetch(`${own}/ci${path}`, {
        headers: { origin: "https://evil.example" },
      });
      assert.equal(asked.status, 403, path);
    }
    const same = await fetch(`${own}/ci/api/sessions`, { headers: { origin: own } });
    assert.equal(same.status, 200);
  });

  test("an address that guesses ids is held back, and nobody else", async () => {
    const clock = handClock();
    const world = await meet(null, { trustProxy: ["127.0.0.1"] }, clock);
    try {
      const base = world.relay.url.href.replace(/\/$/, "");
      const knock = async (address: string): Promise<number> => {
        const headers = { "x-forwarded-for": address };
        const link = stranger(`${base}/client/nobody`, null, { headers });
        await until("an end", () => link.refusal() ?? link.closed());
        return link.refusal()?.status ?? link.closed()?.code ?? 0;
      };
      const codes: number[] = [];
      for (let n = 0; n < missesMost + 2; n += 1) codes.push(await knock("192.0.2.1"));
      assert.deepEqual(codes.slice(-3), [4404, 429, 429]);
      assert.equal(await knock("192.0.2.2"), 4404);
      await clock.advance(4_000); // a twentieth of a minute and a little
      assert.deepEqual([await knock("192.0.2.1"), await knock("192.0.2.1")], [4404, 429]);
      const reasons = world.relay.log.lines.map(({ fields }) => fields["reason"]);
      assert.ok(reasons.includes("too many misses"));
    } finally {
      await world.close();
    }
  });

  test("a short id of one's own choice draws a warning", async () => {
    const relay = await relayProgram();
    const short = await agentProgram(relay.url, ["--id", "short"]);
    await short.see("short id: others may guess it");
    const long = await agentProgram(relay.url, ["--id", "long-enough"]);
    assert.doesNotMatch(long.err(), /short id/);
  });
});

/**
 * Faults of our own: something is thrown at each place where the relay handles what comes from
 * outside. The one link or request ends, the log has one line, and the relay goes on for the others.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { Subject } from "rxjs";
import { defaultLimits, openLimits } from "../../src/io/relay/admission/limits.ts";
import { originOf } from "../../src/io/relay/admission/origin.ts";
import { openRefusals } from "../../src/io/relay/admission/refusals.ts";
import { openLinks } from "../../src/io/relay/links.ts";
import { openUpgrades } from "../../src/io/relay/upgrade.ts";
import { handClock } from "../support/clock.ts";
import { root } from "../support/shipped.ts";
import { messages, register, type Stranger, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

let world: World;
let base = "";
before(async () => {
  world = await meet(null, {}, handClock({ pings: false }));
  base = world.relay.url.origin;
});
after(() => world.close());
beforeEach(() => void world.relay.log.lines.splice(0));

const faults = (): unknown[] =>
  world.relay.log.lines
    .filter(({ message }) => message === "fault confined")
    .map(({ fields }) => `${fields["what"]}: ${fields["reason"]}`);

/** From now on the next call that fits throws; what comes before and after is done. */
function breakOnce<T extends object, K extends keyof T>(
  of: T,
  name: K,
  fits: (...args: never[]) => boolean = () => true,
): void {
  const whole = of[name] as (...args: never[]) => unknown;
  of[name] = ((...args: never[]) => {
    if (!fits(...args)) return whole.apply(of, args);
    of[name] = whole as T[K];
    throw new Error("injected");
  }) as T[K];
}

const status = { state: "waiting", leftMs: 60_000, held: false, clients: [] };
const answer = async (link: Stranger): Promise<number> => {
  await until("an answer", () => link.refusal() ?? link.closed() ?? link.isOpen());
  return link.refusal()?.status ?? link.closed()?.code ?? 101;
};

describe("an event that the relay cannot take ends the link by which it came", () => {
  let other: Stranger;
  before(async () => {
    other = await register(world.relay.url, "undisturbed");
  });
  const on = (type: string): void =>
    breakOnce(
      world.relay.actor,
      "send",
      ((event: { type: string }) => event.type === type) as never,
    );
  const agentOf = (id: string) => register(world.relay.url, id);

  for (const [type, act] of Object.entries({
    "AGENT.REGISTERED": async () => (await agentOf("a1")).end,
    "AGENT.REPORTED": async () => {
      const agent = await agentOf("a2");
      agent.say({ type: "status", status });
      return agent.end;
    },
    "CLIENT.KNOCKED": async () => stranger(`${base}/client/undisturbed`, "converge.client.v1").end,
    "AGENT.DIALLED": async () => {
      const agent = await agentOf("a3");
      stranger(`${base}/client/a3`, "converge.client.v1");
      const { ticket } = await until("a summons", () =>
        messages(agent).find(({ type }) => type === "summon"),
      );
      return stranger(`${base}/dial/${ticket}`, "converge.data.v1").end;
    },
  }))
    test(type, async () => {
      on(type);
      const { code } = await act();
      assert.equal(code, 1011);
      assert.deepEqual(faults(), ["arrival: injected"]);
      assert.ok(other.isOpen());
      assert.equal(await answer(stranger(`${base}/client/undisturbed`)), 101);
    });
});

test("a control message whose handling throws ends its link", async () => {
  const [agent, other] = [
    await register(world.relay.url, "b1"),
    await register(world.relay.url, "b2"),
  ];
  breakOnce(world.clock, "wall");
  agent.say({ type: "status", status });
  assert.equal((await agent.end).code, 1006);
  assert.deepEqual(faults(), ["control link: injected"]);
  other.say({ type: "status", status });
  await until("the other's word", () =>
    world.relay.rows().some(({ id, state }) => id === "b2" && state === "waiting"),
  );
});

test("an upgrade whose handling throws gets none", async () => {
  breakOnce(world.clock, "now", () => /admission.limits/.test(new Error().stack ?? ""));
  assert.equal(await answer(stranger(`${base}/client/undisturbed`)), 1006);
  assert.deepEqual(faults(), ["upgrade: injected"]);
});

test("a fact that cannot be written is missing, and what it is about goes on", async () => {
  breakOnce(
    world.relay.log,
    "info",
    ((_: object, what: string) => what === "agent session started") as never,
  );
  const agent = await register(world.relay.url, "c1");
  assert.equal(agent.id, "c1");
  assert.deepEqual(faults(), ["fact: injected"]);
});

test("a token whose judging fails refuses that one agent", async () => {
  const clock = handClock({ pings: false });
  const noted: unknown[] = [];
  const note = (what: string): void => void noted.push(what);
  const links = openLinks(clock, note);
  const origin = originOf({
    publicUrl: null,
    alsoHosts: [],
    contextPath: "",
    trustProxy: [],
    hasTls: false,
  });
  const verdicts = [
    () => Promise.reject(new Error("injected")),
    async () => ({
      get by(): string {
        throw new Error("injected");
      },
    }),
    async () => ({ by: null }),
  ];
  const record = (): void => {};
  const upgrades = openUpgrades({
    links,
    origin,
    limits: openLimits(defaultLimits, links.size, clock),
    tokens: { judge: () => verdicts.shift()?.() ?? { by: null } },
    refusals: openRefusals(origin, record),
    contextPath: "",
    clock,
    record,
    noteFault: note,
  });
  const http = createServer().on("upgrade", upgrades.upgrade).listen(0, "127.0.0.1");
  await once(http, "listening");
  const dial = (): Stranger =>
    stranger(
      `http://127.0.0.1:${(http.address() as AddressInfo).port}/agent/x`,
      "converge.agent.v1",
    );
  assert.deepEqual([await answer(dial()), await answer(dial())], [1006, 1006]);
  const third = dial();
  assert.equal(await answer(third), 101);
  assert.deepEqual(noted, ["upgrade", "upgrade"]);
  third.socket.terminate();
  http.close();
  clock.stop();
});

test("pages, lists and feeds that cannot be made are 500 or cut, each by itself", async () => {
  const { ports } = world.relay;
  const changes = new Subject<never>();
  const none = {
    search: "",
    order: "id" as const,
    history: null,
    page: 1,
    pages: 1,
    found: 0,
    total: 0,
    clients: 0,
  };
  const rows = { at: "now", isWhole: true, rows: [], gone: [], ...none };
  const live = {
    now: () => rows,
    gauges: () => {
      throw new Error("injected");
    },
    changes: () => changes,
  };
  const site = {
    pages: [{ name: "faq", path: "faq" }],
    render: () => {
      throw new Error("injected");
    },
    refuse: () => "",
  };
  const where = { host: "127.0.0.1", port: 0, tls: null };
  const folders = {
    assets: join(root, "dist/assets"),
    downloads: join(root, "dist/downloads"),
    bootstrap: join(root, "dist/bootstrap"),
  };
  const server = await ports.listen(
    { ...where, metricsAt: { host: "127.0.0.1", port: 0 } },
    { ...folders, site, live },
  );
  const at = (path: string, port = server.port): string => `http://127.0.0.1:${port}${path}`;
  const feed = await fetch(at("/api/sessions/live"));
  assert.equal((await fetch(at("/faq"))).status, 500);
  assert.equal((await fetch(at("/metrics", server.metricsAt?.port))).status, 500);
  changes.error(new Error("injected"));
  await assert.rejects(feed.text());
  breakOnce(live, "now");
  assert.equal((await fetch(at("/api/sessions"))).status, 500);
  assert.equal((await fetch(at("/healthz"))).status, 200);
  assert.deepEqual(faults(), ["live feed: injected"]);
  await server.close();
});

/**
 * Bad input: ways to be wrong at a relay's doors, with a table's answers for each; and after all of
 * it a session as ever. A story has one table.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { openFiles } from "./processes.ts";
import { bytesOver, messages, register, type Stranger, stranger } from "./stranger.ts";
import { until } from "./until.ts";
import { meet, type World } from "./world.ts";

export let world: World;
let base: string;
let filesBefore: number;
const strangers: Stranger[] = [];

const known = <T extends Stranger>(one: T): T => {
  strangers.push(one);
  return one;
};
export const open = (path: string, protocol?: string): Stranger =>
  known(stranger(`${base}${path}`, protocol));

/** The HTTP answer to a websocket that is not to be. */
export const refused = (path: string, protocol?: string) => async () =>
  await until("an answer", open(path, protocol).refusal);

/** The answer to bytes over TCP: status and body. */
export const answerTo = (request: string) => async () => {
  const answer = await bytesOver(Number(world.relay.url.port), request);
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), body };
};
export const upgrade = (path: string, headers: Record<string, string> = {}): string =>
  [
    `GET ${path} HTTP/1.1`,
    ...Object.entries({
      Host: "relay",
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`),
    "\r\n",
  ].join("\r\n");

/** How a link is closed after something was done on it. */
export const closedAfter =
  (path: string, protocol: string | undefined, act: (link: Stranger) => unknown = () => {}) =>
  async () => {
    const link = open(path, protocol);
    await until("an open link", () => link.isOpen() || link.closed());
    await act(link);
    return await link.end;
  };
/** The same on a control link, once the challenge is there. */
export const controlAfter = (act: (link: Stranger) => unknown) =>
  closedAfter("/agent/bad", subprotocols.agent, async (link) => {
    await until("a challenge", () => link.heard.length > 0);
    await act(link);
  });

/** A client and the ticket that an agent made by hand was summoned with. */
export async function knock(
  id: string,
): Promise<{ agent: Stranger; client: Stranger; ticket: string; end(): void }> {
  const agent = known(await register(world.relay.url, id));
  const client = open(`/client/${id}`);
  const summons = await until("a summons", () =>
    messages(agent).find(({ type }) => type === "summon"),
  );
  const end = (): void => {
    for (const { socket } of [agent, client]) socket.terminate();
  };
  return { agent, client, ticket: String(summons["ticket"]), end };
}

/** A raw ssh client of the good agent: how it is closed after it said this and then nothing. */
export const sshAfter = (said: string | Buffer, waitMs: number) => async () => {
  const client = open("/client/good");
  await until("the agent's own words", () => client.heard.length > 0);
  client.socket.send(Buffer.from(said));
  if (waitMs > 0) {
    await world.clock.advance(waitMs - 2_000);
    assert.equal(client.closed(), null, "it was cut too early");
    await world.clock.advance(3_000);
  }
  return await client.end;
};

/** Name, what is done, and what is to come of it. */
export type Wrong = readonly [string, () => Promise<unknown>, unknown];

/** The tests of one table. */
export function answers(table: readonly Wrong[]): void {
  before(async () => {
    world = await meet({ id: "good" });
    base = world.relay.url.href.replace(/\/$/, "");
    filesBefore = openFiles();
  });
  after(() => world.close());

  test("everything that is wrong has its answer", { timeout: 120_000 }, async (t) => {
    for (const [name, attempt, want] of table)
      await t.test(name, { timeout: 30_000 }, async () => {
        const seen = await attempt();
        const { code, reason } = (want ?? {}) as { code?: number; reason?: unknown };
        if (reason instanceof RegExp) {
          assert.match((seen as { reason: string }).reason, reason);
          assert.equal((seen as { code: number }).code, code);
        } else assert.deepEqual(seen, want);
      });
  });

  test("after all that the relay holds nothing of it, and a session works as ever", async () => {
    for (const { socket } of strangers) socket.terminate();
    const { pairings } = world.relay.actor.getSnapshot().context;
    await until("no pairing is left", () => {
      const now = world.relay.actor.getSnapshot().context.pairings;
      return now.size === 0;
    });
    assert.ok(pairings.size <= 1);
    await until("no socket is left", () => openFiles() <= filesBefore);
    assert.equal(world.agent.ending(), null);
    assert.deepEqual(
      world.agent.news.map(({ event }) => event),
      ["ready"],
    );
    const said = await world.ssh(["echo fine"]);
    assert.deepEqual([said.status, said.stdout.toString()], [0, "fine\n"], said.stderr);
  });
}

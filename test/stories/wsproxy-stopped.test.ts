/** An ssh that stops for minutes, or is killed: wsproxy keeps every byte, and ends with it. */
import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { after, afterEach, before, describe, test } from "node:test";
import { connect as connectTo } from "../../src/io/client/connect.ts";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import { endPrograms, finished, program } from "../support/child.ts";
import { runs } from "../support/processes.ts";
import { sshWith } from "../support/ssh-through.ts";
import { messages, register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const base = (world: World): string => world.relay.url.href.replace(/\/$/, "");

let world: World;
before(async () => {
  world = await meet(null);
});
afterEach(endPrograms);
after(() => world.close());

describe("an ssh that stops", () => {
  const proxiesOf = async (pid: number): Promise<number> => {
    const { out } = await finished(program("pgrep", ["-P", String(pid), "-f", "wsproxy"]));
    return Number(out.trim().split("\n")[0]);
  };

  for (const [amount, lines] of [
    ["a little more than the pipe holds", 30_000],
    ["more than ssh's own window", 1_000_000],
  ] as const)
    test(`suspended for three minutes with ${amount} on its way: it goes on and no byte is lost`, async () => {
      const agent = await world.startAgent();
      const command = `touch begun; while [ ! -e go ]; do sleep 0.02; done; seq -w ${lines}; echo end`;
      const suspended = sshWith(world, agent, { command: [command] });
      const row = () => world.relay.rows().find(({ id }) => id === agent.rendezvous());
      await until("it is in", () => row()?.clients[0]?.state === "connected");
      await until("it has begun", () =>
        world.ssh(["test -e begun"], { agent }).then(({ status }) => status === 0),
      );
      suspended.kill("SIGSTOP");
      await world.ssh(["touch go"], { agent });
      let seen = -1;
      let looks = 0;
      await until("nothing moves any more", () => {
        const now = row()?.clients[0]?.agentBytes ?? 0;
        looks = now === seen && now > 100_000 ? looks + 1 : 0;
        seen = now;
        return looks > 20;
      });
      for (let minutes = 0; minutes < 3; minutes += 1) {
        await world.clock.advance(60_000);
        assert.equal(row()?.clients.length, 1, "it was dropped");
      }
      suspended.kill("SIGCONT");
      const said = await finished(suspended);
      assert.equal(said.status, 0, said.err);
      const got = said.out.split("\n");
      assert.deepEqual([got.length, got.at(-2)], [lines + 2, "end"]);
      assert.ok(got.slice(0, -2).every((line, n) => Number(line) === n + 1));
    });

  // The first is held by wsproxy and the kernel, so that the relay knows nothing of it.
  for (const [amount, blocks] of [
    ["a little more than wsproxy holds", 72],
    ["far more than everybody holds", 1_000],
  ] as const)
    test(`a reader that takes nothing for three minutes, with ${amount}, loses nothing`, async () => {
      const id = `flood-${blocks}`;
      const mute = await register(world.relay.url, id);
      const taken: Buffer[] = [];
      let take: () => void = () => {};
      const isOpen = new Promise<void>((resolve) => {
        take = resolve;
      });
      const output = new Writable({
        write: (data: Buffer, _encoding, done) => {
          taken.push(data);
          void isOpen.then(() => done());
        },
      });
      const stop = new AbortController();
      const ended = connectTo(
        {
          url: new URL(`${base(world)}/client/${id}`),
          raw: false,
          waitMs: 0,
          resumeMs: 0,
          notice: null,
          fingerprint: null,
          debug: () => {},
          trust: { ca: null, insecure: false },
        },
        { input: new PassThrough(), output },
        () => {},
        world.clock,
        stop.signal,
      );
      const summons = await until("the summons", () =>
        messages(mute).find(({ type }) => type === "summon"),
      );
      const data = stranger(`${base(world)}/dial/${summons["ticket"]}`, subprotocols.data);
      await until("it is spliced", data.isOpen);
      const block = Buffer.alloc(64 * 1024);
      for (let n = 0; n < blocks; n += 1) {
        block.writeUInt32BE(n);
        data.socket.send(Buffer.from(block));
      }
      const row = () => world.relay.rows().find((one) => one.id === id);
      let seen = -1;
      let looks = 0;
      await until("the relay took no more", () => {
        const now = row()?.clients[0]?.agentBytes ?? 0;
        looks = now === seen && now > 0 ? looks + 1 : 0;
        seen = now;
        return looks > 20;
      });
      if (blocks === 1_000) assert.ok(seen < blocks * block.length, "it was taken all the same");
      for (let minutes = 0; minutes < 3; minutes += 1) {
        await world.clock.advance(60_000);
        assert.equal(row()?.clients.length, 1, "it was dropped");
      }
      take();
      const total = (): number => taken.reduce((sum, { length }) => sum + length, 0);
      await until("everything", () => total() === blocks * block.length);
      const all = Buffer.concat(taken);
      for (let n = 0; n < blocks; n += 1) assert.equal(all.readUInt32BE(n * block.length), n);
      stop.abort();
      await ended;
      for (const { socket } of [mute, data]) socket.terminate();
    });

  test("killed: its wsproxy ends within two seconds, and the relay forgets the client", async () => {
    const agent = await world.startAgent();
    for (const command of ["sleep 1000", "yes", "cat > /dev/null"]) {
      const killed = sshWith(world, agent, { command: [command], input: "open" });
      const row = () => world.relay.rows().find(({ id }) => id === agent.rendezvous());
      await until("it is in", () => row()?.clients[0]?.kinds.includes("exec"));
      const proxy = await proxiesOf(killed.pid);
      assert.ok(runs(proxy));
      killed.kill("SIGKILL");
      await until("its wsproxy is gone", () => !runs(proxy), 4_000);
      await until("the relay forgot it", () => row()?.clients.length === 0);
    }
  });
});

/** Peers that never say what they should, or say it in no ssh: when they are cut, and how. */
import assert from "node:assert/strict";
import { closeCodes, subprotocols } from "../../src/io/protocol/wire.ts";
import {
  answers,
  closedAfter,
  controlAfter,
  knock,
  open,
  sshAfter,
  world,
} from "../support/bad-input.ts";
import { stands, until } from "../support/until.ts";

const cutByAgent = { code: closeCodes.peerLost, reason: "the agent's connection was lost" };

/** The agent said an ssh DISCONNECT and left in order. */
const partedByAgent = { code: closeCodes.done, reason: "" };

answers([
  [
    "an agent that never answers the challenge",
    controlAfter(async (link) => {
      await world.clock.advance(9_000);
      assert.equal(link.closed(), null);
      await world.clock.advance(2_000);
    }),
    { code: 4408, reason: "the agent did not register in time" },
  ],
  [
    "an agent that never dials back",
    async () => {
      const { client, end } = await knock("never");
      await world.clock.advance(9_000);
      assert.equal(client.closed(), null);
      await world.clock.advance(2_000);
      const seen = await client.end;
      end();
      return seen;
    },
    { code: 4408, reason: "the agent did not answer" },
  ],
  [
    "an agent that summons nobody, and a client that comes while it is half dead",
    async () => {
      const { agent, end } = await knock("half-dead");
      agent.socket.terminate();
      const late = open("/client/half-dead");
      await until("an end or a summons", () => late.closed() ?? late.isOpen());
      await world.clock.advance(11_000);
      const seen = await late.end;
      end();
      return seen.code === 4404 || seen.code === 4408;
    },
    true,
  ],
  [
    "no agent under the id",
    closedAfter("/client/nobody", undefined),
    { code: 4404, reason: "no agent is registered under this id" },
  ],
  ["an ssh client that never says its version", sshAfter(Buffer.alloc(0), 30_000), cutByAgent],
  ["an ssh client that never logs in", sshAfter("SSH-2.0-nobody\r\n", 30_000), cutByAgent],
  ["a web browser instead of ssh", sshAfter("GET / HTTP/1.1\r\n\r\n", 0), partedByAgent],
  ["noise instead of ssh", sshAfter(Buffer.alloc(2_000, 0xa5), 0), cutByAgent],
  ["zeros instead of ssh", sshAfter(Buffer.alloc(100_000), 0), partedByAgent],
  ["ssh of version 1", sshAfter("SSH-1.5-old\r\n", 0), partedByAgent],
  [
    "a packet of 4 GiB",
    sshAfter(Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(64, 0xff)]), 0),
    cutByAgent,
  ],
  [
    "a packet of length zero",
    sshAfter(Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(64)]), 0),
    cutByAgent,
  ],
  [
    "a flood before the pairing is held back, and all of it arrives when it pairs",
    async () => {
      const { agent, client, ticket, end } = await knock("flooded");
      const block = 64 * 1024;
      const blocks = 400;
      for (let n = 0; n < blocks; n += 1) {
        const data = Buffer.alloc(block);
        data.writeUInt32BE(n);
        client.socket.send(data);
      }
      await stands("the flood", () => client.socket.bufferedAmount);
      const before = client.socket.bufferedAmount;
      assert.ok(before > (blocks * block) / 2, `only ${before} were held back`);
      const data = open(`/dial/${ticket}`, subprotocols.data);
      const got = (): number => data.heard.reduce((sum, part) => sum + part.length, 0);
      await until("all of it", () => got() === blocks * block);
      const all = Buffer.concat(data.heard as Buffer[]);
      for (let n = 0; n < blocks; n += 1) assert.equal(all.readUInt32BE(n * block), n);
      agent.socket.terminate();
      end();
      return (await data.end).code;
    },
    closeCodes.peerLost,
  ],
]);

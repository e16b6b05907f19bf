/** Messages that are wrong, on control links and on data links, and tickets that lead nowhere. */
import assert from "node:assert/strict";
import { subprotocols } from "../../src/io/protocol/wire.ts";
import {
  answers,
  closedAfter,
  controlAfter,
  knock,
  open,
  refused,
  world,
} from "../support/bad-input.ts";
import { facts } from "../support/stranger.ts";
import { until } from "../support/until.ts";

const ticketSentence = "That ticket is not known, or was used.\n";

const right = { type: "register", id: "bad", host: "x", key: "", signature: "", facts };

answers([
  [
    "garbage instead of JSON",
    controlAfter((link) => link.say("{")),
    { code: 4400, reason: "not JSON" },
  ],
  ...["[]", "null", "5", '"register"', "{}", '{"type":5}'].map(
    (text) =>
      [
        `${text} as a message`,
        controlAfter((link) => link.say(text)),
        { code: 4400, reason: "not an object with a type" },
      ] as const,
  ),
  ...(
    [
      ["an id that is a number", { id: 5 }, "id: not a rendez-vous id"],
      ["an id with a space in the message", { id: "a b" }, "id: not a rendez-vous id"],
      ["a key that is no base64", { key: "§" }, /^key: /],
      ["a key that is too long", { key: "A".repeat(400) }, /^key: /],
      ["a host that is too long", { host: "x".repeat(2_000) }, /^host: /],
      ["facts that are a list", { facts: [] }, /^facts/],
      ["facts that are missing", { facts: undefined }, /^facts: /],
      ["a shell that is an object", { facts: { ...facts, shell: {} } }, /^facts\.shell: /],
    ] as const
  ).map(
    ([name, over, reason]) =>
      [
        name,
        controlAfter((link) => link.say({ ...right, ...over })),
        { code: 4400, reason },
      ] as const,
  ),
  ...(
    [
      ["a status that is empty", {}, /^status\./],
      [
        "a status with a time below zero",
        { state: "waiting", leftMs: -1, held: false, clients: [] },
        /^status\.leftMs: /,
      ],
      [
        "a status with ten thousand clients",
        {
          state: "waiting",
          leftMs: 1,
          held: false,
          clients: Array.from({ length: 1_001 }, () => ({})),
        },
        /^status\.clients/,
      ],
    ] as const
  ).map(
    ([name, status, reason]) =>
      [
        name,
        controlAfter((link) => link.say({ type: "status", status })),
        { code: 4400, reason },
      ] as const,
  ),
  [
    "a message of an unknown type is ignored, and so is a status before the registration",
    async () => {
      const agent = open("/agent/later-release", subprotocols.agent);
      await until("a challenge", () => agent.heard.length > 0);
      agent.say({ type: "dance", steps: 3 });
      agent.say({
        type: "status",
        status: { state: "waiting", leftMs: 1, held: false, clients: [] },
      });
      agent.socket.ping();
      await new Promise((resolve) => {
        agent.socket.once("pong", resolve);
      });
      const seen = agent.closed();
      agent.socket.terminate();
      return seen;
    },
    null,
  ],
  [
    "a control message that is too large",
    controlAfter((link) => link.say(`"${"x".repeat(70_000)}"`)),
    { code: 1009, reason: "" },
  ],
  [
    "bytes on a control link",
    controlAfter((link) => link.socket.send(Buffer.from("{}"))),
    { code: 4400, reason: "control messages are text" },
  ],
  [
    "text on a data link before the splice",
    async () => {
      const { client, end } = await knock("texting");
      client.say("hello");
      const seen = await client.end;
      end();
      return seen;
    },
    { code: 1003, reason: "binary frames only" },
  ],
  [
    "text on a data link after the splice",
    async () => {
      const { client, ticket, end } = await knock("texting-later");
      const data = open(`/dial/${ticket}`, subprotocols.data);
      data.socket.on("open", () => data.socket.send(Buffer.from("x")));
      await until("a splice", () => client.heard.length > 0);
      data.say("hello");
      const seen = [await data.end, await client.end];
      end();
      return seen;
    },
    [
      { code: 1003, reason: "binary frames only" },
      { code: 1000, reason: "" },
    ],
  ],
  [
    "a frame on a data link that is too large",
    closedAfter("/client/good", undefined, (link) => link.socket.send(Buffer.alloc(5_000_000))),
    { code: 1009, reason: "" },
  ],
  [
    "a ticket that is guessed",
    refused(`/dial/${"A".repeat(22)}`),
    { status: 404, body: ticketSentence },
  ],
  ["a ticket that is a word", refused("/dial/__proto__"), { status: 404, body: ticketSentence }],
  ["no ticket", refused("/dial/"), { status: 404, body: ticketSentence }],
  [
    "a ticket that is used twice",
    async () => {
      const { ticket, end } = await knock("twice");
      const first = open(`/dial/${ticket}`, subprotocols.data);
      await until("a splice", first.isOpen);
      const seen = await refused(`/dial/${ticket}`, subprotocols.data)();
      assert.equal(first.closed(), null);
      end();
      await first.end;
      return seen;
    },
    { status: 404, body: ticketSentence },
  ],
  [
    "a ticket whose client has left",
    async () => {
      const { client, ticket, end } = await knock("left");
      client.socket.terminate();
      await until("the relay forgot it", () =>
        world.relay.rows().every(({ id, clients }) => id !== "left" || clients.length === 0),
      );
      const seen = await refused(`/dial/${ticket}`, subprotocols.data)();
      end();
      return seen;
    },
    { status: 404, body: ticketSentence },
  ],
]);

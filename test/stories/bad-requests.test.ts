import { subprotocols } from "../../src/io/protocol/wire.ts";
import { answers, answerTo, closedAfter, knock, refused, upgrade } from "../support/bad-input.ts";

const idSentence = "A rendez-vous id is 1 to 128 of the characters A-Z a-z 0-9 . _ - only.\n";

const pathSentence = "There is no websocket here: use /agent/<id> or /client/<id>.\n";

answers([
  ["an id with a space", refused("/agent/a%20b"), { status: 400, body: idSentence }],
  ["an id with a slash", refused("/agent/a/b"), { status: 404, body: pathSentence }],
  ["an id of 129", refused(`/client/${"x".repeat(129)}`), { status: 400, body: idSentence }],
  ["an id that is ..", answerTo(upgrade("/client/..")), { status: 400, body: idSentence }],
  ["an id that is .", answerTo(upgrade("/client/.")), { status: 400, body: idSentence }],
  ["an id with ü", refused("/client/ü"), { status: 400, body: idSentence }],
  ["an empty id", refused("/client/"), { status: 400, body: idSentence }],
  ["no id", refused("/client"), { status: 400, body: idSentence }],
  ["an id with a line end", refused("/client/a%0d%0ab"), { status: 400, body: idSentence }],
  ["a path that does not exist", refused("/nowhere/x"), { status: 404, body: pathSentence }],
  ["the root", refused("/"), { status: 404, body: pathSentence }],
  [
    "a whole URL as target",
    answerTo(upgrade("http://relay/client/x")),
    { status: 404, body: pathSentence },
  ],
  [
    "a wait that is no number",
    refused("/client/x?wait=soon"),
    { status: 400, body: "wait is a number of milliseconds.\n" },
  ],
  [
    "a URL of 3 KiB",
    refused(`/client/x?${"y".repeat(3_000)}`),
    { status: 414, body: "That URL is too long.\n" },
  ],
  [
    "a URL of 64 KiB",
    answerTo(upgrade(`/${"y".repeat(65_536)}`)),
    {
      status: 431,
      body: '{"error":"Request Header Fields Too Large","message":"Exceeded maximum allowed HTTP header size","statusCode":431}',
    },
  ],
  [
    "an upgrade to something else",
    answerTo(upgrade("/client/x", { Upgrade: "h2c" })),
    { status: 400, body: "Invalid Upgrade header" },
  ],
  [
    "a websocket key that is none",
    answerTo(upgrade("/client/x", { "Sec-WebSocket-Key": "short" })),
    { status: 400, body: "Missing or invalid Sec-WebSocket-Key header" },
  ],
  [
    "a websocket version of the past",
    answerTo(upgrade("/client/x", { "Sec-WebSocket-Version": "7" })),
    { status: 400, body: "Missing or invalid Sec-WebSocket-Version header" },
  ],
  [
    "bytes that are no HTTP",
    answerTo("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    { status: 400, body: '{"error":"Bad Request","message":"Client Error","statusCode":400}' },
  ],
  [
    "a version of the future on /agent",
    closedAfter("/agent/bad", "converge.agent.v9"),
    { code: 4426, reason: "the relay speaks protocol version 1, the other side 9" },
  ],
  [
    "no version on /agent",
    closedAfter("/agent/bad", undefined),
    { code: 4426, reason: "the relay speaks protocol version 1, the other side none" },
  ],
  [
    "a version of the future on /client",
    closedAfter("/client/good", "converge.client.v23"),
    { code: 4426, reason: "the relay speaks protocol version 1, the other side 23" },
  ],
  [
    "an agent at the clients' door",
    closedAfter("/client/good", subprotocols.agent),
    { code: 4426, reason: "this door speaks converge.client.v1, the other side converge.agent.v1" },
  ],
  [
    "a version of the future on /dial",
    async () => {
      const { ticket, end } = await knock("future");
      const seen = await closedAfter(`/dial/${ticket}`, "converge.data.v2")();
      end();
      return seen;
    },
    { code: 4426, reason: "the relay speaks protocol version 1, the other side 2" },
  ],
]);

/** The relay's links: each has a name for as long as its websocket lives, and none after. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { closeCodes } from "../../../src/io/protocol/wire.ts";
import { openLinks } from "../../../src/io/relay/links.ts";
import { ServerLink } from "../../../src/io/websocket/server-link.ts";
import { handClock } from "../../support/clock.ts";
import { until } from "../../support/until.ts";

test("a link that is closed, by either side, is forgotten, and counts nothing any more", async () => {
  const clock = handClock();
  const links = openLinks(clock, assert.fail);
  const far: WebSocket[] = [];
  const servers: WebSocketServer[] = [];
  let wasLeft = false;
  const comers: [object, (socket: never) => void][] = [
    [{}, links.addControl],
    [
      { WebSocket: ServerLink, clientTracking: false },
      (socket) =>
        links.addData(socket, () => {
          wasLeft = true;
        }),
    ],
  ];
  for (const [options, add] of comers) {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
    servers.push(server);
    await once(server, "listening");
    const arrival = once(server, "connection");
    far.push(new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`));
    const [near] = (await arrival) as [never];
    add(near);
  }
  const [control, data] = links.all();
  assert.ok(control && data && control !== data);
  far[0]?.close();
  await until("the first is forgotten", () => links.all().length === 1);
  links.shut(data, closeCodes.done, "");
  await until("none is left", () => links.all().length === 0);
  assert.deepEqual(links.countsOf(data), { clientBytes: 0, agentBytes: 0 });
  assert.ok(wasLeft);
  assert.equal(
    links.splice(data, control, () => {}),
    false,
  );
  for (const server of servers) server.close();
  clock.stop();
});

test("an agent that reads nothing of what it is told is let go", async () => {
  const clock = handClock({ pings: false });
  const links = openLinks(clock, assert.fail);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const arrival = once(server, "connection");
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [near] = (await arrival) as [WebSocket];
  const link = links.addControl(near);
  await once(far, "open");
  far.pause();
  const nonce = "x".repeat(60_000);
  for (let n = 0; n < 1_000 && links.size() > 0; n += 1) {
    links.say(link, { type: "challenge", nonce });
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(links.size(), 0);
  far.terminate();
  server.close();
  clock.stop();
});

/** The relay's links: each has a name for as long as its websocket lives, and none after. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { openLinks } from "../../src/io/links.ts";
import { ServerLink } from "../../src/io/server-link.ts";
import { closeCodes } from "../../src/io/wire.ts";
import type { Ticket } from "../../src/machines/vocabulary.ts";
import { handClock } from "../support/clock.ts";
import { until } from "../support/until.ts";

test("a link that is closed, by either side, is forgotten, and counts nothing any more", async () => {
  const clock = handClock();
  const links = openLinks(clock);
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

test("an agent that leaves 1 MiB unread is cut", async () => {
  const clock = handClock();
  const links = openLinks(clock);
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const arrival = once(server, "connection");
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [near] = (await arrival) as [WebSocket];
  const link = links.addControl(near);
  await once(far, "open");
  far.pause();
  const ticket = "x".repeat(22) as Ticket;
  for (let said = 0; near.readyState === near.OPEN && said < 200_000; said += 1)
    links.say(link, { type: "summon", ticket, client: { address: "192.0.2.1" } });
  assert.ok(near.bufferedAmount < 2 * 1024 * 1024, `${near.bufferedAmount} bytes wait`);
  await until("it is forgotten", () => links.size() === 0);
  far.terminate();
  server.close();
  clock.stop();
});
